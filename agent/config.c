/* SPDX-License-Identifier: MIT */
#include "agent/config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "agent/options.h"
#include "common/error.h"

#define MAX_KEYS 64

struct reader {
	const char *path;
	struct sl_options *options;
	yaml_document_t *document;
	const char *seen[MAX_KEYS];
	size_t n_seen;
	char origin[PATH_MAX + 24]; /* FILE:LINE of the key */
	struct sl_error *err;
};

static int fail_at(const struct reader *reader, const yaml_node_t *node, const char *what,
	const char *name)
{
	return sl_fail(reader->err, SL_EINVALID, "%s:%zu: %s%s", reader->path,
		node->start_mark.line + 1, what, name);
}

/* The text of a scalar; NULL for what is none, or has a NUL in it. */
static const char *text_of(const yaml_node_t *node)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE)
		return NULL;
	text = (const char *)node->data.scalar.value;
	return strlen(text) == node->data.scalar.length ? text : NULL;
}

static int set_one(struct reader *reader, const char *key, const yaml_node_t *value)
{
	const char *text = text_of(value);
	struct sl_error why;

	if (!text)
		return fail_at(reader, value, "plain text is wanted as the value of ", key);
	if (sl_options_set(reader->options, key, text, reader->origin, &why) < 0)
		return fail_at(reader, value, why.text, "");
	return 0;
}

static int set_pair(struct reader *reader, const yaml_node_pair_t *pair)
{
	const yaml_node_t *name = yaml_document_get_node(reader->document, pair->key);
	const yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
	const char *key = text_of(name);
	int result = 0;

	if (!key)
		return fail_at(reader, name, "an option's name is wanted", "");
	for (size_t i = 0; i < reader->n_seen; i++)
		if (strcmp(reader->seen[i], key) == 0)
			return fail_at(reader, name, "this stands twice: ", key);
	if (reader->n_seen < MAX_KEYS)
		reader->seen[reader->n_seen++] = key;

	snprintf(reader->origin, sizeof(reader->origin), "%s:%zu", reader->path,
		name->start_mark.line + 1);
	if (value->type != YAML_SEQUENCE_NODE || !sl_options_is_list(key))
		return set_one(reader, key, value);
	for (yaml_node_item_t *item = value->data.sequence.items.start;
		item < value->data.sequence.items.top && result == 0; item++)
		result = set_one(reader, key, yaml_document_get_node(reader->document, *item));
	return result;
}

static int read_document(struct reader *reader)
{
	const yaml_node_t *root = yaml_document_get_root_node(reader->document);
	int result = 0;

	if (!root)
		return 0;
	if (root->type != YAML_MAPPING_NODE)
		return fail_at(reader, root, "lines like 'max_tasks: 16' are wanted", "");
	for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
		pair < root->data.mapping.pairs.top && result == 0; pair++)
		result = set_pair(reader, pair);
	return result;
}

static int fail_to_parse(const struct reader *reader, const yaml_parser_t *parser)
{
	return sl_fail(reader->err, SL_EINVALID, "%s:%zu: not YAML: %s", reader->path,
		parser->problem_mark.line + 1,
		parser->problem ? parser->problem : "cannot be read");
}

/* What came after --- would be options that nobody reads. */
static int check_rest(const struct reader *reader, yaml_parser_t *parser)
{
	yaml_document_t second;
	const yaml_node_t *root;
	int result = 0;

	if (!yaml_parser_load(parser, &second))
		return fail_to_parse(reader, parser);
	root = yaml_document_get_root_node(&second);
	if (root)
		result = fail_at(reader, root, "a second document; one is wanted", "");
	yaml_document_delete(&second);
	return result;
}

static int read_file(
	const char *path, FILE *file, struct sl_options *options, struct sl_error *err)
{
	yaml_document_t document;
	struct reader reader = {
		.path = path, .options = options, .document = &document, .err = err};
	yaml_parser_t parser;
	int result;

	if (!yaml_parser_initialize(&parser))
		return sl_fail(err, SL_ENOMEM, "no memory to read %s", path);
	yaml_parser_set_input_file(&parser, file);
	if (yaml_parser_load(&parser, &document)) {
		result = read_document(&reader);
		if (result == 0 && yaml_document_get_root_node(&document))
			result = check_rest(&reader, &parser);
		yaml_document_delete(&document);
	} else {
		result = fail_to_parse(&reader, &parser);
	}
	yaml_parser_delete(&parser);
	return result;
}

int sl_config_read(const char *path, struct sl_options *options, struct sl_error *err)
{
	FILE *file = fopen(path, "re");
	int result;

	if (!file)
		return sl_fail_errno(err, errno, "cannot read the configuration %s", path);
	result = read_file(path, file, options, err);
	fclose(file);
	return result;
}

static int is_yaml(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);

	return size > 5 && entry->d_name[0] != '.' &&
	       strcmp(entry->d_name + size - 5, ".yaml") == 0;
}

/* The order of bytes: the same in each locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_directory(const char *dir, struct sl_options *options, struct sl_error *err)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, is_yaml, by_name), result = 0;

	if (n < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (n < 0)
		return sl_fail_errno(err, errno, "cannot read the configuration in %s", dir);
	for (int i = 0; i < n; i++) {
		char path[PATH_MAX];

		if (result == 0 && snprintf(path, sizeof(path), "%s/%s", dir,
					   entries[i]->d_name) >= (int)sizeof(path))
			result = sl_fail(err, SL_EINVALID, "too long a path: %.200s…", dir);
		if (result == 0)
			result = sl_config_read(path, options, err);
		free(entries[i]);
	}
	free(entries);
	return result;
}

int sl_config_read_all(const char *path, struct sl_options *options, struct sl_error *err)
{
	size_t size = strlen(path);
	char dir[PATH_MAX];
	int result = sl_config_read(path, options, err);

	if (result < 0 || size <= 5 || size >= sizeof(dir) ||
		strcmp(path + size - 5, ".yaml") != 0)
		return result;
	snprintf(dir, sizeof(dir), "%.*s.d", (int)size - 5, path);
	return read_directory(dir, options, err);
}
