/* SPDX-License-Identifier: MIT */
#include "controller/report.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/json.h"
#include "controller/options.h"
#include "controller/printable.h"

#define MAX_COLUMNS 16

struct cell {
	char *json; /* NULL: the row doesn't have it */
	char *plain;
};

struct row {
	size_t rank, number;
	struct cell cells[MAX_COLUMNS];
};

struct sl_report {
	const char *name;
	const char *const *keys;
	size_t n_columns;
	struct row *rows;
	size_t n_rows;
	bool failed; /* memory ran out: something is missing */
};

struct sl_report *sl_report_new(const char *name, const char *const *keys)
{
	struct sl_report *report = calloc(1, sizeof(*report));

	if (!report)
		return NULL;
	report->name = name;
	report->keys = keys;
	while (keys[report->n_columns])
		report->n_columns++;
	assert(report->n_columns <= MAX_COLUMNS);
	return report;
}

void sl_report_free(struct sl_report *report)
{
	if (!report)
		return;
	for (size_t i = 0; i < report->n_rows; i++)
		for (size_t c = 0; c < report->n_columns; c++) {
			free(report->rows[i].cells[c].json);
			free(report->rows[i].cells[c].plain);
		}
	free(report->rows);
	free(report);
}

void sl_report_row(struct sl_report *report, size_t rank)
{
	struct row *rows = reallocarray(report->rows, report->n_rows + 1, sizeof(*rows));

	if (!rows) {
		report->failed = true;
		return;
	}
	report->rows = rows;
	rows[report->n_rows] = (struct row){.rank = rank, .number = report->n_rows};
	report->n_rows++;
}

static char *text_of(const struct sl_buffer *buffer)
{
	return buffer->failed ? NULL : strndup(buffer->data ? buffer->data : "", buffer->size);
}

/* Takes both buffers. */
static void set(struct sl_report *report, const char *key, struct sl_buffer *json,
	struct sl_buffer *plain)
{
	struct cell cell = {text_of(json), text_of(plain)};
	size_t c = 0;

	sl_buffer_deinit(json);
	sl_buffer_deinit(plain);
	while (c < report->n_columns && strcmp(report->keys[c], key) != 0)
		c++;
	assert(c < report->n_columns);
	if (!cell.json || !cell.plain || report->failed) {
		report->failed = true;
		free(cell.json);
		free(cell.plain);
		return;
	}
	free(report->rows[report->n_rows - 1].cells[c].json);
	free(report->rows[report->n_rows - 1].cells[c].plain);
	report->rows[report->n_rows - 1].cells[c] = cell;
}

void sl_report_text(struct sl_report *report, const char *key, struct sl_bytes text)
{
	struct sl_buffer json = SL_BUFFER_INIT, plain = SL_BUFFER_INIT;

	sl_json_string(&json, text);
	sl_printable(&plain, text, false);
	set(report, key, &json, &plain);
}

void sl_report_int(struct sl_report *report, const char *key, int64_t number, const char *plain)
{
	struct sl_buffer json = SL_BUFFER_INIT, text = SL_BUFFER_INIT;

	sl_buffer_printf(&json, "%" PRId64, number);
	if (plain)
		sl_buffer_printf(&text, "%s", plain);
	else
		sl_buffer_printf(&text, "%" PRId64, number);
	set(report, key, &json, &text);
}

void sl_report_double(
	struct sl_report *report, const char *key, double number, const char *plain)
{
	struct sl_buffer json = SL_BUFFER_INIT, text = SL_BUFFER_INIT;

	sl_json_double(&json, number);
	sl_buffer_printf(&text, "%s", plain ? plain : "");
	if (!plain)
		sl_json_double(&text, number);
	set(report, key, &json, &text);
}

void sl_report_bool(struct sl_report *report, const char *key, bool value)
{
	struct sl_buffer json = SL_BUFFER_INIT, text = SL_BUFFER_INIT;

	sl_buffer_printf(&json, "%s", value ? "true" : "false");
	sl_buffer_printf(&text, "%s", value ? "yes" : "no");
	set(report, key, &json, &text);
}

static int by_rank(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static void print_object(const struct sl_report *report, const struct row *row)
{
	const char *comma = "";

	putchar('{');
	for (size_t c = 0; c < report->n_columns; c++)
		if (row->cells[c].json) {
			printf("%s\"%s\":%s", comma, report->keys[c], row->cells[c].json);
			comma = ",";
		}
	putchar('}');
}

static void print_json(const struct sl_report *report)
{
	printf("{\"%s\":[", report->name);
	for (size_t i = 0; i < report->n_rows; i++) {
		if (i)
			putchar(',');
		print_object(report, &report->rows[i]);
	}
	printf("]}\n");
}

static void print_padded(const char *text, size_t width, bool last)
{
	size_t n = sl_printable_width(text);

	fputs(text, stdout);
	for (; !last && n < width + 2; n++)
		putchar(' ');
}

static void print_line(const struct sl_report *report, const size_t *widths,
	const char *const texts[MAX_COLUMNS])
{
	size_t last = 0;

	for (size_t c = 0; c < report->n_columns; c++)
		if (texts[c] && texts[c][0])
			last = c;
	for (size_t c = 0; c <= last; c++)
		if (widths[c])
			print_padded(texts[c] ? texts[c] : "", widths[c], c == last);
	putchar('\n');
}

/* "RSS" for rss_bytes: the cells themselves show their unit. */
static void make_head(const char *key, char out[40])
{
	static const char *const units[] = {"_ms", "_bytes"};

	snprintf(out, 40, "%s", key);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		char *end = strstr(out, units[i]);

		if (end && strcmp(end, units[i]) == 0)
			*end = '\0';
	}
	for (char *h = out; *h; h++)
		*h = *h == '_' ? ' ' : (char)toupper((unsigned char)*h);
}

/* A column that no row has is not shown. */
static void print_table(const struct sl_report *report)
{
	char heads[MAX_COLUMNS][40];
	const char *texts[MAX_COLUMNS] = {0};
	size_t widths[MAX_COLUMNS] = {0};

	for (size_t c = 0; c < report->n_columns; c++) {
		for (size_t i = 0; i < report->n_rows; i++) {
			const char *plain = report->rows[i].cells[c].plain;
			size_t n = plain ? sl_printable_width(plain) : 0;

			widths[c] = n > widths[c] ? n : widths[c];
		}
		make_head(report->keys[c], heads[c]);
		texts[c] = widths[c] ? heads[c] : "";
		if (widths[c] && strlen(heads[c]) > widths[c])
			widths[c] = strlen(heads[c]);
	}
	if (report->n_rows)
		print_line(report, widths, texts);
	for (size_t i = 0; i < report->n_rows; i++) {
		for (size_t c = 0; c < report->n_columns; c++)
			texts[c] = report->rows[i].cells[c].plain;
		print_line(report, widths, texts);
	}
}

void sl_report_print(struct sl_report *report, const struct sl_options *options)
{
	if (report->n_rows)
		qsort(report->rows, report->n_rows, sizeof(*report->rows), by_rank);
	if (report->failed)
		fprintf(stderr, "sloth: out of memory: something is missing here\n");
	if (options->output == SL_OUTPUT_JSON) {
		print_json(report);
		return;
	}
	if (options->output < SL_OUTPUT_JSON) {
		print_table(report);
		return;
	}
	for (size_t i = 0; i < report->n_rows; i++) {
		print_object(report, &report->rows[i]);
		putchar('\n');
	}
}
