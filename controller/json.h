/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON: texts, numbers and Lua values as JSON, appended to a buffer.
 *
 * Always valid JSON in UTF-8: a byte that is no UTF-8 becomes U+FFFD, control
 * characters and DEL are escaped. Infinity and NaN, for which JSON has no word,
 * become null. A table with a list part alone is an array, any other an object
 * whose keys are sorted and, where they aren't strings, written as Lua's
 * tostring() would. Functions and the like become a string in angle brackets
 * that says what they were; so does a table inside itself. json.null is null.
 *
 * Threads: any.
 */

#include "common/buffer.h"
#include "common/parcel.h"

void sl_json_string(struct sl_buffer *out, struct sl_bytes text);

/* The shortest text that reads as the same number, always with a point or an exponent. */
void sl_json_double(struct sl_buffer *out, double number);

/* The text ends, still as valid JSON, soon after 16 MiB with a "<too large>". */
void sl_json_value(struct sl_buffer *out, const struct sl_value *value);

/* " key=value" for each member, with the value in JSON, and the key too where it is no plain
 * word. */
void sl_json_words(struct sl_buffer *out, const struct sl_table *table);

/* ,"key": before a member; no comma behind an opening brace. */
void sl_json_key(struct sl_buffer *out, const char *key);

/* Whole members. */
void sl_json_text_member(struct sl_buffer *out, const char *key, struct sl_bytes text);
void sl_json_int_member(struct sl_buffer *out, const char *key, int64_t number);
void sl_json_double_member(struct sl_buffer *out, const char *key, double number);
void sl_json_bool_member(struct sl_buffer *out, const char *key, bool value);
void sl_json_value_member(struct sl_buffer *out, const char *key, const struct sl_value *value);

/* "2026-01-31T23:59:59.123456Z" */
void sl_json_time_member(struct sl_buffer *out, const char *key, int64_t time_us);

/* How many bytes at @at, of @left, make one valid UTF-8 character; 0 for none. *out_code is the
 * character. */
size_t sl_utf8_at(const char *at, size_t left, uint32_t *out_code);
