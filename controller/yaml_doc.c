/* SPDX-License-Identifier: MIT */
#include "controller/yaml_doc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/error.h"

static int parse(FILE *file, struct sl_yaml_doc *doc, struct sl_error *err)
{
	yaml_parser_t parser;
	yaml_document_t second;
	int rc = 0;

	if (!yaml_parser_initialize(&parser))
		return sl_fail(err, SL_ENOMEM, "out of memory");
	yaml_parser_set_input_file(&parser, file);
	if (!yaml_parser_load(&parser, &doc->document)) {
		rc = sl_fail(err, SL_EINVALID, "%s:%zu: %s", doc->path,
			parser.problem_mark.line + 1,
			parser.problem ? parser.problem : "not YAML");
		yaml_parser_delete(&parser);
		return rc;
	}
	doc->root = yaml_document_get_root_node(&doc->document);
	if (doc->root && yaml_parser_load(&parser, &second)) {
		yaml_node_t *more = yaml_document_get_root_node(&second);

		if (more)
			rc = sl_yaml_doc_fail(
				doc, more, err, "a second document; one is wanted");
		yaml_document_delete(&second);
	} else if (doc->root) {
		rc = sl_fail(err, SL_EINVALID, "%s:%zu: %s", doc->path,
			parser.problem_mark.line + 1,
			parser.problem ? parser.problem : "not YAML");
	}
	yaml_parser_delete(&parser);
	if (rc)
		yaml_document_delete(&doc->document);
	return rc;
}

int sl_yaml_doc_read(const char *path, struct sl_yaml_doc *out, struct sl_error *err)
{
	struct sl_yaml_doc doc = {.path = path};
	FILE *file = fopen(path, "re");
	struct stat st;
	int rc;

	if (!file && (errno == ENOENT || errno == ENOTDIR))
		return sl_fail(err, SL_ENOT_FOUND, "no file '%s'", path);
	if (!file)
		return sl_fail_errno(err, errno, "can't open %s", path);
	if (fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode))
		rc = sl_fail(err, SL_EINVALID, "%s is a directory", path);
	else if (st.st_size > (off_t)SL_MAX_YAML_BYTES)
		rc = sl_fail(
			err, SL_ETOO_LARGE, "%s is over %u MiB", path, SL_MAX_YAML_BYTES >> 20);
	else
		rc = parse(file, &doc, err);
	fclose(file);
	if (!rc)
		*out = doc;
	return rc;
}

void sl_yaml_doc_deinit(struct sl_yaml_doc *doc)
{
	if (doc->path)
		yaml_document_delete(&doc->document);
	*doc = (struct sl_yaml_doc){0};
}

int sl_yaml_doc_fail(const struct sl_yaml_doc *doc, const yaml_node_t *node,
	struct sl_error *err, const char *fmt, ...)
{
	char text[300];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return sl_fail(
		err, SL_EINVALID, "%.150s:%zu: %s", doc->path, node->start_mark.line + 1, text);
}

yaml_node_t *sl_yaml_doc_node(struct sl_yaml_doc *doc, int index)
{
	return yaml_document_get_node(&doc->document, index);
}

const char *sl_yaml_text(const yaml_node_t *node)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE)
		return NULL;
	text = (const char *)node->data.scalar.value;
	return strlen(text) == node->data.scalar.length ? text : NULL;
}
