/* SPDX-License-Identifier: MIT */

/*
 * Written here and not by jansson, which reads JSON for tasks: its writer wants a
 * second copy of everything as a tree of its own, refuses texts that are no UTF-8
 * and numbers that are not finite, writes 0.1 as 0.10000000000000001 (fewer digits
 * would lose some), and leaves C1 controls and U+2028 as they are.
 */

#include "controller/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_DEPTH 200
#define MAX_BYTES ((size_t)16 << 20)

size_t sl_utf8_at(const char *at, size_t left, uint32_t *out_code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char first = (unsigned char)at[0];
	size_t n = first < 0x80   ? 1
	           : first < 0xc2 ? 0
	           : first < 0xe0 ? 2
	           : first < 0xf0 ? 3
	                          : 4;
	uint32_t code = first;

	if (n == 0 || n > left || first > 0xf4)
		return 0;
	if (n > 1)
		code = first & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		unsigned char next = (unsigned char)at[i];

		if ((next & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (next & 0x3f);
	}
	if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	*out_code = code;
	return n;
}

static void escape(struct sl_buffer *out, uint32_t code)
{
	static const char letters[] = "btn\0fr"; /* for 8 … 13 */

	if (code == '"' || code == '\\')
		sl_buffer_printf(out, "\\%c", (char)code);
	else if (code >= 8 && code <= 13 && code != 11)
		sl_buffer_printf(out, "\\%c", letters[code - 8]);
	else
		sl_buffer_printf(out, "\\u%04x", (unsigned)code);
}

/* Most characters: ASCII that stands for itself. */
static bool is_plain(char c)
{
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

void sl_json_string(struct sl_buffer *out, struct sl_bytes text)
{
	size_t from = 0, at = 0;

	sl_buffer_append(out, "\"", 1);
	while (at < text.size) {
		uint32_t code = 0;
		size_t n;

		if (is_plain(text.data[at])) {
			at++;
			continue;
		}
		n = sl_utf8_at(text.data + at, text.size - at, &code);

		/* U+2028 and U+2029 end a line for some readers of JSON lines. */
		if (n && code >= ' ' && code != '"' && code != '\\' && code != 0x7f &&
			(code < 0x80 || code > 0x9f) && code != 0x2028 && code != 0x2029) {
			at += n;
			continue;
		}
		sl_buffer_append(out, text.data + from, at - from);
		if (n)
			escape(out, code);
		else
			sl_buffer_append(out, "\xef\xbf\xbd", 3);
		at += n ? n : 1;
		from = at;
	}
	if (at > from)
		sl_buffer_append(out, text.data + from, at - from);
	sl_buffer_append(out, "\"", 1);
}

/* Into @text, 40 bytes. */
static void format_double(double number, char *text)
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, 40, "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	if (!strpbrk(text, ".e"))
		strcat(text, ".0");
}

void sl_json_double(struct sl_buffer *out, double number)
{
	char text[40];

	if (!isfinite(number)) {
		sl_buffer_append(out, "null", 4);
		return;
	}
	format_double(number, text);
	sl_buffer_append(out, text, strlen(text));
}

struct writer {
	struct sl_buffer *out;
	size_t limit; /* bytes that out may have */
	bool full;    /* it has: nothing more is begun */
	const struct sl_table *path[MAX_DEPTH];
	size_t depth;
};

struct member {
	struct sl_bytes key;
	char text[40]; /* where the key was no string */
	const struct sl_value *value;
};

static void write_value(struct writer *w, const struct sl_value *value);

static void write_what(struct writer *w, const char *what)
{
	sl_json_string(w->out, sl_bytes_of(what));
}

/* A pointer to a member's own text would be wrong as soon as sorting moves it. */
static struct sl_bytes key_of(const struct member *member)
{
	return member->text[0] ? sl_bytes_of(member->text) : member->key;
}

static int by_key(const void *a, const void *b)
{
	struct sl_bytes x = key_of(a), y = key_of(b);
	size_t n = x.size < y.size ? x.size : y.size;
	int order = n ? memcmp(x.data, y.data, n) : 0;

	if (order)
		return order;
	return x.size < y.size ? -1 : x.size > y.size;
}

static void set_key(struct member *member, const struct sl_value *key)
{
	switch (key->kind) {
	case SL_VALUE_STRING:
	case SL_VALUE_NAMED:
		member->key = key->string;
		return;
	case SL_VALUE_INTEGER:
		snprintf(member->text, sizeof(member->text), "%" PRId64, key->integer);
		break;
	case SL_VALUE_FLOAT:
		if (isfinite(key->number))
			format_double(key->number, member->text);
		else
			snprintf(member->text, sizeof(member->text), "%s",
				key->number > 0 ? "inf" : "-inf");
		break;
	case SL_VALUE_BOOLEAN:
		snprintf(member->text, sizeof(member->text), "%s",
			key->boolean ? "true" : "false");
		break;
	case SL_VALUE_NIL:
	case SL_VALUE_TABLE:
	case SL_VALUE_FUNCTION:
	case SL_VALUE_HANDLE:
		snprintf(member->text, sizeof(member->text), "<%s>",
			key->kind == SL_VALUE_TABLE ? "table" : "function");
		break;
	}
}

/* All that the table has, by their keys, for free(). NULL when memory ran out. */
static struct member *sorted_members(const struct sl_table *table, size_t n)
{
	struct member *members = calloc(n ? n : 1, sizeof(*members));

	if (!members)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		struct sl_value index = {.kind = SL_VALUE_INTEGER, .integer = (int64_t)i + 1};
		const struct sl_pair *pair =
			i < table->n_array ? NULL : &table->pairs[i - table->n_array];

		set_key(&members[i], pair ? &pair->key : &index);
		members[i].value = pair ? &pair->value : &table->array[i];
	}
	qsort(members, n, sizeof(*members), by_key);
	return members;
}

static void write_object(struct writer *w, const struct sl_table *table)
{
	size_t n = table->n_array + table->n_pairs;
	struct member *members = sorted_members(table, n);

	if (!members) {
		w->out->failed = true;
		return;
	}
	sl_buffer_append(w->out, "{", 1);
	for (size_t i = 0; i < n && !w->full; i++) {
		if (i)
			sl_buffer_append(w->out, ",", 1);
		sl_json_string(w->out, key_of(&members[i]));
		sl_buffer_append(w->out, ":", 1);
		write_value(w, members[i].value);
	}
	sl_buffer_append(w->out, "}", 1);
	free(members);
}

static void write_table(struct writer *w, const struct sl_table *table)
{
	for (size_t i = 0; i < w->depth; i++)
		if (w->path[i] == table) {
			write_what(w, "<cycle>");
			return;
		}
	if (w->depth == MAX_DEPTH) {
		write_what(w, "<too deep>");
		return;
	}
	w->path[w->depth++] = table;
	if (table->n_array && !table->n_pairs) {
		for (size_t i = 0; i < table->n_array && !w->full; i++) {
			sl_buffer_append(w->out, i ? "," : "[", 1);
			write_value(w, &table->array[i]);
		}
		sl_buffer_append(w->out, "]", 1);
	} else {
		write_object(w, table);
	}
	w->depth--;
}

static void write_function(struct writer *w, const struct sl_function *function)
{
	char what[160];

	snprintf(what, sizeof(what), "<function %.*s:%" PRId64 ">",
		(int)(function->file.size < 100 ? function->file.size : 100),
		function->file.data ? function->file.data : "", function->line);
	write_what(w, what);
}

static void write_value(struct writer *w, const struct sl_value *value)
{
	char what[160];

	/* Shared tables are written each time: a small graph can be a huge text. */
	if (w->out->size > w->limit) {
		w->full = true;
		write_what(w, "<too large>");
		return;
	}
	switch (value->kind) {
	case SL_VALUE_NIL:
		sl_buffer_append(w->out, "null", 4);
		break;
	case SL_VALUE_BOOLEAN:
		sl_buffer_printf(w->out, "%s", value->boolean ? "true" : "false");
		break;
	case SL_VALUE_INTEGER:
		sl_buffer_printf(w->out, "%" PRId64, value->integer);
		break;
	case SL_VALUE_FLOAT:
		sl_json_double(w->out, value->number);
		break;
	case SL_VALUE_STRING:
		sl_json_string(w->out, value->string);
		break;
	case SL_VALUE_TABLE:
		write_table(w, value->table);
		break;
	case SL_VALUE_FUNCTION:
		write_function(w, value->function);
		break;
	case SL_VALUE_NAMED:
		if (sl_bytes_equal(value->string, sl_bytes_of("json.null"))) {
			sl_buffer_append(w->out, "null", 4);
			break;
		}
		snprintf(what, sizeof(what), "<%.*s>",
			(int)(value->string.size < 100 ? value->string.size : 100),
			value->string.data);
		write_what(w, what);
		break;
	case SL_VALUE_HANDLE:
		snprintf(what, sizeof(what), "<%s>", value->handle->kind);
		write_what(w, what);
		break;
	}
}

void sl_json_value(struct sl_buffer *out, const struct sl_value *value)
{
	struct writer w = {.out = out, .limit = out->size + MAX_BYTES};

	write_value(&w, value);
}

static bool is_word(struct sl_bytes text)
{
	for (size_t i = 0; i < text.size; i++)
		if (!isalnum((unsigned char)text.data[i]) && !strchr("_-.", text.data[i]))
			return false;
	return text.size > 0;
}

void sl_json_words(struct sl_buffer *out, const struct sl_table *table)
{
	size_t n = table->n_array + table->n_pairs;
	struct member *members = sorted_members(table, n);

	if (!members) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct sl_bytes key = key_of(&members[i]);

		sl_buffer_append(out, " ", 1);
		if (is_word(key))
			sl_buffer_append(out, key.data, key.size);
		else
			sl_json_string(out, key);
		sl_buffer_append(out, "=", 1);
		sl_json_value(out, members[i].value);
	}
	free(members);
}

void sl_json_key(struct sl_buffer *out, const char *key)
{
	char last = out->size ? out->data[out->size - 1] : '{';

	if (last != '{')
		sl_buffer_append(out, ",", 1);
	sl_buffer_append(out, "\"", 1);
	sl_buffer_append(out, key, strlen(key));
	sl_buffer_append(out, "\":", 2);
}

void sl_json_text_member(struct sl_buffer *out, const char *key, struct sl_bytes text)
{
	sl_json_key(out, key);
	sl_json_string(out, text);
}

void sl_json_int_member(struct sl_buffer *out, const char *key, int64_t number)
{
	sl_json_key(out, key);
	sl_buffer_printf(out, "%" PRId64, number);
}

void sl_json_double_member(struct sl_buffer *out, const char *key, double number)
{
	sl_json_key(out, key);
	sl_json_double(out, number);
}

void sl_json_bool_member(struct sl_buffer *out, const char *key, bool value)
{
	sl_json_key(out, key);
	sl_buffer_printf(out, "%s", value ? "true" : "false");
}

void sl_json_value_member(struct sl_buffer *out, const char *key, const struct sl_value *value)
{
	sl_json_key(out, key);
	sl_json_value(out, value);
}

void sl_json_time_member(struct sl_buffer *out, const char *key, int64_t time_us)
{
	time_t seconds = (time_t)(time_us / 1000000);
	struct tm tm = {0};
	char text[40];

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	sl_json_key(out, key);
	sl_buffer_printf(out, "\"%s.%06dZ\"", text, (int)(time_us % 1000000));
}
