/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Exposition: metrics as the text that Prometheus reads: OpenMetrics 1.0, or the
 * format 0.0.4 from before it for who doesn't ask for that. The samples are the
 * same in both.
 *
 * Threads: the owner's.
 */

#include "common/buffer.h"

struct sl_histogram;

enum sl_exposition_type {
	SL_EXPOSITION_GAUGE,
	SL_EXPOSITION_COUNTER,
	SL_EXPOSITION_HISTOGRAM,
	SL_EXPOSITION_INFO,
};

struct sl_exposition {
	struct sl_buffer *out; /* borrowed */
	bool openmetrics;

	/* Its own: the family that is being written. */
	const char *name;
	enum sl_exposition_type type;
};

struct sl_label {
	const char *name, *value;
};

/* Begins a family of samples, @name without _total and its like, which is borrowed till the
 * next one. @help is one line without \ in it. The unit is what @name ends with, if that is
 * _seconds or _bytes. */
void sl_exposition_family(struct sl_exposition *exposition, const char *name,
	enum sl_exposition_type type, const char *help);

/* A sample of a gauge or a counter. */
void sl_exposition_number(struct sl_exposition *exposition, const struct sl_label *labels,
	size_t n_labels, uint64_t value);

/* The same with one label. */
void sl_exposition_labelled(struct sl_exposition *exposition, const char *label,
	const char *label_value, uint64_t value);

/* The same without a label, of @ns, in seconds. */
void sl_exposition_seconds(struct sl_exposition *exposition, int64_t ns);

void sl_exposition_histogram(
	struct sl_exposition *exposition, const struct sl_histogram *histogram);

/* An info's labels. */
void sl_exposition_info(
	struct sl_exposition *exposition, const struct sl_label *labels, size_t n_labels);

void sl_exposition_end(struct sl_exposition *exposition);

/* What an HTTP client is sent that says to accept @accept, or nothing: true for OpenMetrics. */
bool sl_exposition_is_openmetrics_wanted(struct sl_bytes accept);

/* The Content-Type of either. Static memory. */
const char *sl_exposition_content_type(bool openmetrics);
