/* SPDX-License-Identifier: MIT */
#include "controller/values_file.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "controller/yaml_doc.h"

#define MAX_DEPTH 100

struct reader {
	struct sl_yaml_doc doc;
	struct sl_parcel *parcel;
	struct sl_table **tables; /* by node: what it became; an alias finds it here */
	int depth;
};

static int read_node(
	struct reader *r, yaml_node_t *node, struct sl_value *out, struct sl_error *err);

static int no_memory(struct sl_error *err)
{
	return sl_fail(err, SL_ENOMEM, "values: out of memory");
}

static bool is_one_of(const char *text, const char *const words[])
{
	for (size_t i = 0; words[i]; i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

static bool read_integer(const char *text, int64_t *out)
{
	const char *digits = text + (*text == '+' || *text == '-');
	int base = 10;
	char *end;

	if (digits == text && strncmp(text, "0x", 2) == 0) {
		base = 16;
		digits = text + 2;
	} else if (digits == text && strncmp(text, "0o", 2) == 0) {
		base = 8;
		digits = text + 2;
	}
	if (!*digits || strspn(digits, base == 16 ? "0123456789abcdefABCDEF" : "0123456789") !=
				strlen(digits))
		return false;
	errno = 0;
	*out = strtoll(base == 10 ? text : digits, &end, base);
	return !*end && errno == 0;
}

static bool read_float(const char *text, double *out)
{
	static const char *const inf[] = {
		".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", NULL};
	static const char *const minus_inf[] = {"-.inf", "-.Inf", "-.INF", NULL};
	static const char *const nan[] = {".nan", ".NaN", ".NAN", NULL};
	char *end;

	if (is_one_of(text, inf) || is_one_of(text, minus_inf)) {
		*out = text[0] == '-' ? -INFINITY : INFINITY;
		return true;
	}
	if (is_one_of(text, nan)) {
		*out = NAN;
		return true;
	}
	if (strspn(text, "+-.0123456789eE") != strlen(text) || !strpbrk(text, "0123456789"))
		return false;
	*out = strtod(text, &end);
	return !*end;
}

/* YAML's core rules for a scalar that is not quoted. */
static bool read_plain(const char *text, struct sl_value *out)
{
	static const char *const null[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const yes[] = {"true", "True", "TRUE", NULL};
	static const char *const no[] = {"false", "False", "FALSE", NULL};

	if (is_one_of(text, null)) {
		*out = (struct sl_value){0};
	} else if (is_one_of(text, yes) || is_one_of(text, no)) {
		out->kind = SL_VALUE_BOOLEAN;
		out->boolean = is_one_of(text, yes);
	} else if (read_integer(text, &out->integer)) {
		out->kind = SL_VALUE_INTEGER;
	} else if (read_float(text, &out->number)) {
		out->kind = SL_VALUE_FLOAT;
	} else {
		return false;
	}
	return true;
}

static int read_scalar(
	struct reader *r, const yaml_node_t *node, struct sl_value *out, struct sl_error *err)
{
	struct sl_bytes text = {
		(const char *)node->data.scalar.value, node->data.scalar.length};
	const char *tag = (const char *)node->tag;

	if (tag && strcmp(tag, YAML_STR_TAG) != 0)
		return sl_yaml_doc_fail(
			&r->doc, node, err, "tag '%.60s' is not understood", tag);
	/* libyaml gives each untagged scalar the string tag: the style tells. */
	if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		strlen(text.data) == text.size && read_plain(text.data, out))
		return 0;
	out->kind = SL_VALUE_STRING;
	return sl_parcel_copy(r->parcel, text, &out->string) ? 0 : no_memory(err);
}

static int read_list(
	struct reader *r, yaml_node_t *node, struct sl_table *table, struct sl_error *err)
{
	yaml_node_item_t *items = node->data.sequence.items.start;
	size_t n = (size_t)(node->data.sequence.items.top - items);

	table->array = sl_parcel_array(r->parcel, n, sizeof(*table->array));
	if (!table->array)
		return no_memory(err);
	for (size_t i = 0; i < n; i++) {
		yaml_node_t *item = sl_yaml_doc_node(&r->doc, items[i]);
		int rc = read_node(r, item, &table->array[i], err);

		if (rc)
			return rc;
		if (table->array[i].kind == SL_VALUE_NIL)
			return sl_yaml_doc_fail(
				&r->doc, item, err, "a Lua list can't hold null");
		table->n_array = i + 1;
	}
	return 0;
}

static bool same_key(const struct sl_value *a, const struct sl_value *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == SL_VALUE_STRING)
		return sl_bytes_equal(a->string, b->string);
	if (a->kind == SL_VALUE_BOOLEAN)
		return a->boolean == b->boolean;
	return a->integer == b->integer;
}

static int read_key(
	struct reader *r, yaml_node_t *node, struct sl_value *out, struct sl_error *err)
{
	int rc = read_node(r, node, out, err);

	if (rc)
		return rc;
	if (out->kind != SL_VALUE_STRING && out->kind != SL_VALUE_INTEGER &&
		out->kind != SL_VALUE_BOOLEAN)
		return sl_yaml_doc_fail(&r->doc, node, err,
			"a key must be a string, a whole number or true and false");
	if (out->kind == SL_VALUE_STRING && out->string.size == 2 &&
		memcmp(out->string.data, "<<", 2) == 0)
		return sl_yaml_doc_fail(
			&r->doc, node, err, "merge keys ('<<') are not understood");
	return 0;
}

static int read_map(
	struct reader *r, yaml_node_t *node, struct sl_table *table, struct sl_error *err)
{
	yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
	size_t n = (size_t)(node->data.mapping.pairs.top - pairs);

	table->pairs = sl_parcel_array(r->parcel, n, sizeof(*table->pairs));
	if (!table->pairs)
		return no_memory(err);
	for (size_t i = 0; i < n; i++) {
		yaml_node_t *key = sl_yaml_doc_node(&r->doc, pairs[i].key);
		struct sl_pair pair = {0};
		int rc = read_key(r, key, &pair.key, err);

		if (!rc)
			rc = read_node(
				r, sl_yaml_doc_node(&r->doc, pairs[i].value), &pair.value, err);
		if (rc)
			return rc;
		for (size_t k = 0; k < table->n_pairs; k++)
			if (same_key(&table->pairs[k].key, &pair.key))
				return sl_yaml_doc_fail(
					&r->doc, key, err, "this key is there already");
		if (pair.value.kind != SL_VALUE_NIL)
			table->pairs[table->n_pairs++] = pair;
	}
	return 0;
}

static int read_node(
	struct reader *r, yaml_node_t *node, struct sl_value *out, struct sl_error *err)
{
	size_t index = (size_t)(node - r->doc.document.nodes.start);
	int rc;

	if (node->type == YAML_SCALAR_NODE)
		return read_scalar(r, node, out, err);
	out->kind = SL_VALUE_TABLE;
	out->table = r->tables[index];
	if (out->table)
		return 0;
	out->table = sl_parcel_alloc(r->parcel, sizeof(*out->table));
	if (!out->table)
		return no_memory(err);
	r->tables[index] = out->table;
	if (r->depth == MAX_DEPTH)
		return sl_yaml_doc_fail(&r->doc, node, err, "nested over %d levels", MAX_DEPTH);
	r->depth++;
	rc = node->type == YAML_SEQUENCE_NODE ? read_list(r, node, out->table, err)
	                                      : read_map(r, node, out->table, err);
	r->depth--;
	return rc;
}

int sl_values_file_read(
	const char *path, struct sl_parcel *parcel, struct sl_value *out, struct sl_error *err)
{
	struct reader r = {.parcel = parcel};
	struct sl_value value = {0};
	int rc = sl_yaml_doc_read(path, &r.doc, err);
	size_t n_nodes;

	if (rc)
		return rc;
	if (r.doc.root) {
		n_nodes = (size_t)(r.doc.document.nodes.top - r.doc.document.nodes.start);
		r.tables = calloc(n_nodes, sizeof(struct sl_table *));
		rc = r.tables ? read_node(&r, r.doc.root, &value, err) : no_memory(err);
	}
	if (!rc && value.kind != SL_VALUE_TABLE && value.kind != SL_VALUE_NIL)
		rc = sl_yaml_doc_fail(&r.doc, r.doc.root, err, "a map is wanted: name: value");
	free(r.tables);
	sl_yaml_doc_deinit(&r.doc);
	if (!rc)
		*out = value;
	return rc;
}
