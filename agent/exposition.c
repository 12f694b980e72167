/* SPDX-License-Identifier: MIT */
#include "agent/exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buffer.h"
#include "common/histogram.h"

#define NS_PER_S 1000000000u

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static const char *unit_of(const char *name)
{
	if (ends_with(name, "_seconds"))
		return "seconds";
	return ends_with(name, "_bytes") ? "bytes" : NULL;
}

/* What stands behind the family's name in its samples. */
static const char *suffix_of(enum sl_exposition_type type)
{
	switch (type) {
	case SL_EXPOSITION_COUNTER:
		return "_total";
	case SL_EXPOSITION_INFO:
		return "_info";
	default:
		return "";
	}
}

static const char *type_name(const struct sl_exposition *exposition)
{
	static const char *const names[] = {"gauge", "counter", "histogram", "info"};

	/* The older format has no info, and names families as their samples. */
	if (!exposition->openmetrics && exposition->type == SL_EXPOSITION_INFO)
		return "gauge";
	return names[exposition->type];
}

void sl_exposition_family(struct sl_exposition *exposition, const char *name,
	enum sl_exposition_type type, const char *help)
{
	const char *unit = unit_of(name), *suffix;

	exposition->name = name;
	exposition->type = type;
	suffix = exposition->openmetrics ? "" : suffix_of(type);
	sl_buffer_printf(exposition->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix,
		help, name, suffix, type_name(exposition));
	if (unit && exposition->openmetrics)
		sl_buffer_printf(exposition->out, "# UNIT %s %s\n", name, unit);
}

static void write_label(struct sl_buffer *out, const struct sl_label *label)
{
	sl_buffer_printf(out, "%s=\"", label->name);
	for (const char *c = label->value; *c; c++) {
		if (*c == '\n')
			sl_buffer_append(out, "\\n", 2);
		else
			sl_buffer_printf(out, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
	}
	sl_buffer_append(out, "\"", 1);
}

static void write_name(const struct sl_exposition *exposition, const char *suffix,
	const struct sl_label *labels, size_t n_labels)
{
	struct sl_buffer *out = exposition->out;

	sl_buffer_printf(out, "%s%s", exposition->name, suffix);
	for (size_t i = 0; i < n_labels; i++) {
		sl_buffer_append(out, i == 0 ? "{" : ",", 1);
		write_label(out, &labels[i]);
	}
	sl_buffer_printf(out, "%s ", n_labels > 0 ? "}" : "");
}

void sl_exposition_number(struct sl_exposition *exposition, const struct sl_label *labels,
	size_t n_labels, uint64_t value)
{
	write_name(exposition, suffix_of(exposition->type), labels, n_labels);
	sl_buffer_printf(exposition->out, "%" PRIu64 "\n", value);
}

void sl_exposition_labelled(struct sl_exposition *exposition, const char *label,
	const char *label_value, uint64_t value)
{
	sl_exposition_number(exposition, &(struct sl_label){label, label_value}, 1, value);
}

/* "0.0025", "1.0": as few digits as say it, but one behind the point. So 'le' looks the same
 * whoever writes it. */
static void format_seconds(uint64_t ns, char *out, size_t size)
{
	size_t n;

	snprintf(out, size, "%" PRIu64 ".%09" PRIu64, ns / NS_PER_S, ns % NS_PER_S);
	n = strlen(out);
	while (out[n - 1] == '0' && out[n - 2] != '.')
		out[--n] = 0;
}

void sl_exposition_seconds(struct sl_exposition *exposition, int64_t ns)
{
	char text[40];

	format_seconds(ns > 0 ? (uint64_t)ns : 0, text, sizeof(text));
	write_name(exposition, suffix_of(exposition->type), NULL, 0);
	sl_buffer_printf(exposition->out, "%s\n", text);
}

void sl_exposition_histogram(
	struct sl_exposition *exposition, const struct sl_histogram *histogram)
{
	uint64_t n = 0;
	char text[40];

	for (size_t i = 0; i <= histogram->n_bounds; i++) {
		struct sl_label label = {"le", "+Inf"};

		if (i < histogram->n_bounds) {
			format_seconds((uint64_t)histogram->bounds_ns[i], text, sizeof(text));
			label.value = text;
		}
		n += histogram->counts[i];
		write_name(exposition, "_bucket", &label, 1);
		sl_buffer_printf(exposition->out, "%" PRIu64 "\n", n);
	}
	format_seconds(histogram->sum_ns, text, sizeof(text));
	sl_buffer_printf(exposition->out, "%s_sum %s\n%s_count %" PRIu64 "\n", exposition->name,
		text, exposition->name, n);
}

void sl_exposition_info(
	struct sl_exposition *exposition, const struct sl_label *labels, size_t n_labels)
{
	sl_exposition_number(exposition, labels, n_labels, 1);
}

void sl_exposition_end(struct sl_exposition *exposition)
{
	if (exposition->openmetrics)
		sl_buffer_printf(exposition->out, "# EOF\n");
}

/* ---- which of them ---- */

static struct sl_bytes trim(struct sl_bytes text)
{
	while (text.size > 0 && strchr(" \t", text.data[0])) {
		text.data++;
		text.size--;
	}
	while (text.size > 0 && strchr(" \t", text.data[text.size - 1]))
		text.size--;
	return text;
}

/* Takes what stands before the next @separator off the front of @text. */
static struct sl_bytes take(struct sl_bytes *text, char separator)
{
	const char *end = text->size > 0 ? memchr(text->data, separator, text->size) : NULL;
	size_t size = end ? (size_t)(end - text->data) : text->size;
	struct sl_bytes piece = {text->data, size};

	if (end)
		size++;
	text->data += size;
	text->size -= size;
	return trim(piece);
}

static bool is(struct sl_bytes text, const char *word)
{
	return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

/* The weight of a parameter q=0.5 in thousandths; anything else leaves *q alone. */
static void read_weight(struct sl_bytes parameter, double *q)
{
	char text[16];

	if (parameter.size < 3 || parameter.size >= sizeof(text) ||
		strncasecmp(parameter.data, "q=", 2) != 0)
		return;
	memcpy(text, parameter.data, parameter.size);
	text[parameter.size] = 0;
	*q = strtod(text + 2, NULL);
}

/* One media range of an Accept header, with its weight. OpenMetrics in a version that isn't
 * ours is nothing. */
static struct sl_bytes read_range(struct sl_bytes range, double *out_q)
{
	struct sl_bytes type = take(&range, ';');

	*out_q = 1;
	while (range.size > 0) {
		struct sl_bytes parameter = take(&range, ';');

		read_weight(parameter, out_q);
		if (is(type, "application/openmetrics-text") && parameter.size > 8 &&
			strncasecmp(parameter.data, "version=", 8) == 0 &&
			!is(parameter, "version=1.0.0") && !is(parameter, "version=0.0.1"))
			type.size = 0;
	}
	return type;
}

bool sl_exposition_is_openmetrics_wanted(struct sl_bytes accept)
{
	struct sl_bytes rest = accept;
	double openmetrics = 0, text = 0;

	while (rest.size > 0) {
		double q;
		struct sl_bytes type = read_range(take(&rest, ','), &q);

		if (is(type, "application/openmetrics-text") && q > openmetrics)
			openmetrics = q;
		else if ((is(type, "text/plain") || is(type, "text/*") || is(type, "*/*")) &&
			 q > text)
			text = q;
	}
	/* Who names both alike knows it. */
	return openmetrics > 0 && openmetrics >= text;
}

const char *sl_exposition_content_type(bool openmetrics)
{
	return openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
	                   : "text/plain; version=0.0.4; charset=utf-8";
}
