/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Values for tests: short ways to write down Lua values in a parcel, and hex.
 */

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/parcel.h"

static inline struct sl_value sl_test_integer(int64_t integer)
{
	return (struct sl_value){.kind = SL_VALUE_INTEGER, .integer = integer};
}

static inline struct sl_value sl_test_float(double number)
{
	return (struct sl_value){.kind = SL_VALUE_FLOAT, .number = number};
}

static inline struct sl_value sl_test_boolean(bool boolean)
{
	return (struct sl_value){.kind = SL_VALUE_BOOLEAN, .boolean = boolean};
}

static inline struct sl_value sl_test_string(const char *text)
{
	return (struct sl_value){.kind = SL_VALUE_STRING, .string = sl_bytes_of(text)};
}

static inline struct sl_value sl_test_named(const char *name)
{
	return (struct sl_value){.kind = SL_VALUE_NAMED, .string = sl_bytes_of(name)};
}

/* A table with room for @n_array items and @n_pairs pairs, to be filled by hand. */
static inline struct sl_value sl_test_table(
	struct sl_parcel *parcel, size_t n_array, size_t n_pairs)
{
	struct sl_table *table = sl_parcel_alloc(parcel, sizeof(*table));

	ck_assert_ptr_nonnull(table);
	table->array = sl_parcel_array(parcel, n_array, sizeof(*table->array));
	table->pairs = sl_parcel_array(parcel, n_pairs, sizeof(*table->pairs));
	table->n_array = n_array;
	table->n_pairs = n_pairs;
	return (struct sl_value){.kind = SL_VALUE_TABLE, .table = table};
}

/* A function of source text with room for upvalues, each with a cell of its own. */
static inline struct sl_value sl_test_function(
	struct sl_parcel *parcel, const char *text, size_t n_upvalues)
{
	struct sl_function *function = sl_parcel_alloc(parcel, sizeof(*function));

	ck_assert_ptr_nonnull(function);
	function->text = sl_bytes_of(text);
	function->file = sl_bytes_of("x.lua");
	function->line = 1;
	function->n_upvalues = n_upvalues;
	function->upvalues = sl_parcel_array(parcel, n_upvalues, sizeof(*function->upvalues));
	for (size_t i = 0; i < n_upvalues; i++) {
		function->upvalues[i].name = sl_bytes_of("u");
		function->upvalues[i].cell =
			sl_parcel_alloc(parcel, sizeof(*function->upvalues[i].cell));
	}
	return (struct sl_value){.kind = SL_VALUE_FUNCTION, .function = function};
}

/* Bytes for "93 01 02 …"; blanks are free. Returns how many. */
static inline size_t sl_test_unhex(const char *hex, char *out, size_t size)
{
	unsigned byte;
	size_t n = 0;
	int used;

	while (sscanf(hex, " %2x%n", &byte, &used) == 1) {
		ck_assert_uint_lt(n, size);
		out[n++] = (char)byte;
		hex += used;
	}
	ck_assert_msg(hex[strspn(hex, " \t\n")] == '\0', "not hex: '%s'", hex);
	return n;
}

static inline void sl_test_hex_eq(struct sl_bytes bytes, const char *hex)
{
	char text[8192] = "", *at = text;

	ck_assert_uint_lt(bytes.size, sizeof(text) / 3);
	for (size_t i = 0; i < bytes.size; i++)
		at += sprintf(at, i ? " %02x" : "%02x", (unsigned char)bytes.data[i]);
	ck_assert_str_eq(text, hex);
}

static inline void sl_test_bytes_eq(struct sl_bytes bytes, const char *text)
{
	ck_assert_uint_eq(bytes.size, strlen(text));
	ck_assert_mem_eq(bytes.data, text, bytes.size);
}
