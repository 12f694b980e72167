/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Duration: what people write for a stretch of time: "500ms", "30s", "5m",
 * "2h", "1d", "1h30m", or a plain number of seconds ("90", "0.5").
 */

#include "common/base.h"

struct sl_error;

/* Milliseconds for @text. At most 10,000 days. Returns 0 or SL_EINVALID with a sentence
 * that says what was found and what is understood. */
int sl_duration_parse(const char *text, int64_t *out_ms, struct sl_error *err) sl_must_check;

/* Milliseconds for a number of seconds; negative, NaN and too long are SL_EINVALID. */
int sl_duration_from_seconds(
	double seconds, int64_t *out_ms, struct sl_error *err) sl_must_check;

/* Writes @ms as a person reads it ("850ms", "2.1s", "3m05s", "2h10m"); returns @out. */
char *sl_duration_format(int64_t ms, char *out, size_t size);
