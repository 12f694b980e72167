/* SPDX-License-Identifier: MIT */
#include "proto/value_msg.h"

#include <math.h>

#include "common/error.h"
#include "proto/limits.h"
#include "tests/support/check_main.h"
#include "tests/support/values.h"

static struct sl_parcel *parcel;
static struct sl_buffer out;

static void setup(void)
{
	parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	ck_assert_ptr_nonnull(parcel);
}

static void teardown(void)
{
	sl_parcel_free(parcel);
	sl_buffer_deinit(&out);
}

static void encode(struct sl_value value)
{
	struct sl_error err = {0};

	sl_buffer_clear(&out);
	ck_assert_msg(sl_value_encode(&value, "value", &out, &err) == 0, "%s", err.text);
}

/* There and back; the bytes stay in out. */
static struct sl_value travel(struct sl_value value)
{
	struct sl_error err = {0};
	struct sl_value back;

	encode(value);
	ck_assert_msg(sl_value_decode(sl_buffer_bytes(&out), parcel, &back, &err) == 0, "%s",
		err.text);
	return back;
}

static int decode(const char *hex, struct sl_value *back)
{
	char bytes[256];
	size_t n = sl_test_unhex(hex, bytes, sizeof(bytes));

	return sl_value_decode((struct sl_bytes){bytes, n}, parcel, back, NULL);
}

START_TEST(scalars_are_plain_msgpack)
{
	const struct {
		struct sl_value value;
		const char *hex;
	} cases[] = {
		{{0}, "c0"},
		{sl_test_boolean(true), "c3"},
		{sl_test_boolean(false), "c2"},
		{sl_test_integer(1), "01"},
		{sl_test_integer(-1), "ff"},
		{sl_test_integer(INT64_MAX), "cf 7f ff ff ff ff ff ff ff"},
		{sl_test_integer(INT64_MIN), "d3 80 00 00 00 00 00 00 00"},
		{sl_test_float(1.0), "cb 3f f0 00 00 00 00 00 00"},
		{sl_test_float(-0.0), "cb 80 00 00 00 00 00 00 00"},
		{sl_test_string("hé"), "a3 68 c3 a9"},
		{sl_test_string("\xff"), "c4 01 ff"},
		{sl_test_string(""), "a0"},
		{sl_test_named("string.format"),
			"c7 0d 03 73 74 72 69 6e 67 2e 66 6f 72 6d 61 74"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		encode(cases[i].value);
		sl_test_hex_eq(sl_buffer_bytes(&out), cases[i].hex);
	}
}
END_TEST

START_TEST(numbers_come_back_as_what_they_were)
{
	struct sl_value back = travel(sl_test_integer(INT64_MAX));

	ck_assert_int_eq(back.kind, SL_VALUE_INTEGER);
	ck_assert_int_eq(back.integer, INT64_MAX);
	back = travel(sl_test_integer(INT64_MIN));
	ck_assert_int_eq(back.integer, INT64_MIN);
	back = travel(sl_test_float(-0.0));
	ck_assert_int_eq(back.kind, SL_VALUE_FLOAT);
	ck_assert(signbit(back.number));
	back = travel(sl_test_float(INFINITY));
	ck_assert(isinf(back.number));
	back = travel(sl_test_float(NAN));
	ck_assert(isnan(back.number));
}
END_TEST

START_TEST(an_integer_that_lua_does_not_have_is_refused)
{
	struct sl_value back;

	ck_assert_int_eq(decode("cf 80 00 00 00 00 00 00 00", &back), SL_EPROTOCOL);
}
END_TEST

START_TEST(strings_may_have_any_bytes)
{
	const struct {
		const char *bytes;
		uint8_t head;
	} cases[] = {{"\xed\xa0\x80", 0xc4}, /* a surrogate */
		{"\xc0\xaf", 0xc4},          /* longer than need be */
		{"\xe0\x80\xaf", 0xc4}, {"\xf0\x8f\xbf\xbf", 0xc4}, {"\xf4\x90\x80\x80", 0xc4},
		{"\xc3", 0xc4}, {"12345678\x80", 0xc4}, {"1234567\xe2\x82\xac", 0xaa},
		{"\xf4\x8f\xbf\xbf", 0xa4}, {"\xee\x80\x80", 0xa3}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sl_value back = travel(sl_test_string(cases[i].bytes));

		ck_assert_uint_eq((uint8_t)out.data[0], cases[i].head);
		sl_test_bytes_eq(back.string, cases[i].bytes);
	}
}
END_TEST

START_TEST(a_sequence_is_an_array_and_the_rest_is_a_map)
{
	struct sl_value list = sl_test_table(parcel, 3, 0);
	struct sl_value mixed = sl_test_table(parcel, 2, 1);
	struct sl_value back;

	for (int i = 0; i < 3; i++)
		list.table->array[i] = sl_test_integer(i + 7);
	encode(list);
	sl_test_hex_eq(sl_buffer_bytes(&out), "93 07 08 09");

	mixed.table->array[0] = sl_test_string("a");
	mixed.table->array[1] = sl_test_string("b");
	mixed.table->pairs[0] = (struct sl_pair){sl_test_string("x"), sl_test_boolean(true)};
	back = travel(mixed);
	sl_test_hex_eq(sl_buffer_bytes(&out), "83 01 a1 61 02 a1 62 a1 78 c3");
	ck_assert_uint_eq(back.table->n_array, 2);
	ck_assert_uint_eq(back.table->n_pairs, 1);
	ck_assert(sl_table_get(back.table, "x")->boolean);

	encode(sl_test_table(parcel, 0, 0));
	sl_test_hex_eq(sl_buffer_bytes(&out), "80");
}
END_TEST

START_TEST(an_array_with_holes_keeps_its_keys)
{
	struct sl_value back;

	ck_assert_int_eq(decode("94 01 c0 03 c0", &back), 0);
	ck_assert_uint_eq(back.table->n_array, 1);
	ck_assert_uint_eq(back.table->n_pairs, 1);
	ck_assert_int_eq(back.table->pairs[0].key.integer, 3);
	ck_assert_int_eq(back.table->pairs[0].value.integer, 3);
	ck_assert_int_eq(decode("90", &back), 0);
	ck_assert_uint_eq(back.table->n_array + back.table->n_pairs, 0);
}
END_TEST

START_TEST(a_float_key_that_is_whole_is_the_integer)
{
	struct sl_value back;

	ck_assert_int_eq(
		decode("82 cb 40 00 00 00 00 00 00 00 c3 cb 3f e0 00 00 00 00 00 00 c3", &back),
		0);
	ck_assert_int_eq(back.table->pairs[0].key.kind, SL_VALUE_INTEGER);
	ck_assert_int_eq(back.table->pairs[0].key.integer, 2);
	ck_assert_int_eq(back.table->pairs[1].key.kind, SL_VALUE_FLOAT);
}
END_TEST

START_TEST(keys_that_cannot_be_are_refused)
{
	static const char *const bad[] = {
		"81 c0 01",                               /* nil */
		"81 cb 7f f8 00 00 00 00 00 00 01",       /* nan */
		"82 a1 61 01 a1 61 02",                   /* "a" twice */
		"82 a1 61 01 c4 01 61 02",                /* the same, as bin */
		"82 01 01 cb 3f f0 00 00 00 00 00 00 02", /* 1 and 1.0 */
		"83 05 01 06 01 05 01",
	};
	struct sl_value back;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(decode(bad[i], &back) == SL_EPROTOCOL, "%s", bad[i]);
}
END_TEST

START_TEST(a_key_twice_among_many_is_found)
{
	char bytes[3 + 2 * 100];
	struct sl_value back;

	memcpy(bytes, "\xde\x00\x64", 3);
	for (int i = 0; i < 100; i++) {
		bytes[3 + 2 * i] = (char)(110 - i);
		bytes[4 + 2 * i] = 1;
	}
	ck_assert_int_eq(
		sl_value_decode((struct sl_bytes){bytes, sizeof(bytes)}, parcel, &back, NULL),
		0);
	bytes[3 + 2 * 50] = 110;
	ck_assert_int_eq(
		sl_value_decode((struct sl_bytes){bytes, sizeof(bytes)}, parcel, &back, NULL),
		SL_EPROTOCOL);
}
END_TEST

START_TEST(a_cycle_comes_back_as_a_cycle)
{
	struct sl_value table = sl_test_table(parcel, 1, 0), back;

	table.table->array[0] = table;
	back = travel(table);
	sl_test_hex_eq(sl_buffer_bytes(&out), "91 c7 01 02 00");
	ck_assert_ptr_eq(back.table->array[0].table, back.table);
	ck_assert_uint_eq(table.table->mark, 0);
}
END_TEST

START_TEST(a_table_reached_twice_is_one_table)
{
	struct sl_value outer = sl_test_table(parcel, 3, 0), back;

	outer.table->array[0] = sl_test_table(parcel, 0, 0);
	outer.table->array[1] = sl_test_table(parcel, 0, 0);
	outer.table->array[2] = outer.table->array[1];
	back = travel(outer);
	sl_test_hex_eq(sl_buffer_bytes(&out), "93 80 80 c7 01 02 02");
	ck_assert_ptr_eq(back.table->array[1].table, back.table->array[2].table);
	ck_assert_ptr_ne(back.table->array[0].table, back.table->array[1].table);
	ck_assert_uint_eq(outer.table->array[1].table->mark, 0);
}
END_TEST

START_TEST(other_keys_and_metatables_travel_in_an_extension)
{
	struct sl_value table = sl_test_table(parcel, 0, 1), back;
	struct sl_value meta = sl_test_table(parcel, 0, 1);

	table.table->pairs[0] = (struct sl_pair){table, sl_test_integer(5)};
	table.table->meta = meta.table;
	meta.table->pairs[0] = (struct sl_pair){sl_test_string("__index"), meta};
	back = travel(table);
	ck_assert_ptr_eq(back.table->pairs[0].key.table, back.table);
	ck_assert_int_eq(back.table->pairs[0].value.integer, 5);
	ck_assert_ptr_nonnull(back.table->meta);
	ck_assert_ptr_eq(sl_table_get(back.table->meta, "__index")->table, back.table->meta);
	ck_assert_uint_eq(table.table->mark + meta.table->mark, 0);
}
END_TEST

START_TEST(functions_keep_their_shared_variables)
{
	struct sl_value pair = sl_test_table(parcel, 2, 0), back;
	struct sl_value up = sl_test_function(parcel, "function() n = n + 1 end", 1);
	struct sl_value down = sl_test_function(parcel, "function() return n, up end", 2);
	struct sl_function *f, *g;

	up.function->upvalues[0].cell->value = sl_test_integer(3);
	down.function->upvalues[0].cell = up.function->upvalues[0].cell;
	down.function->upvalues[1].cell->value = up;
	pair.table->array[0] = up;
	pair.table->array[1] = down;
	back = travel(pair);
	f = back.table->array[0].function;
	g = back.table->array[1].function;
	sl_test_bytes_eq(f->text, "function() n = n + 1 end");
	sl_test_bytes_eq(g->file, "x.lua");
	ck_assert_ptr_eq(f->upvalues[0].cell, g->upvalues[0].cell);
	ck_assert_int_eq(f->upvalues[0].cell->value.integer, 3);
	ck_assert_ptr_eq(g->upvalues[1].cell->value.function, f);
	ck_assert_uint_eq(up.function->mark + down.function->mark, 0);
	ck_assert_uint_eq(up.function->upvalues[0].cell->mark_function, 0);
}
END_TEST

START_TEST(a_function_may_hold_itself)
{
	struct sl_value fact = sl_test_function(parcel, "function(n) return fact(n) end", 1);
	struct sl_value back;

	fact.function->upvalues[0].cell->value = fact;
	back = travel(fact);
	ck_assert_ptr_eq(back.function->upvalues[0].cell->value.function, back.function);
}
END_TEST

static struct sl_value nested(unsigned levels)
{
	struct sl_value inner = sl_test_integer(42);

	for (unsigned i = 0; i < levels; i++) {
		struct sl_value outer = sl_test_table(parcel, 1, 0);

		outer.table->array[0] = inner;
		inner = outer;
	}
	return inner;
}

START_TEST(any_nesting_up_to_the_limit_travels)
{
	for (unsigned levels = 1; levels <= SL_MAX_VALUE_DEPTH; levels++) {
		struct sl_value back = travel(nested(levels));

		for (unsigned i = 0; i < levels; i++) {
			ck_assert_int_eq(back.kind, SL_VALUE_TABLE);
			ck_assert_uint_eq(back.table->n_array, 1);
			back = back.table->array[0];
		}
		ck_assert_int_eq(back.integer, 42);
	}
}
END_TEST

START_TEST(whoever_nests_more_levels_of_msgpack_than_we_do_is_read_too)
{
	char bytes[SL_MAX_MSGPACK_DEPTH + 1];
	struct sl_value back;

	memset(bytes, 0x91, sizeof(bytes));
	bytes[SL_MAX_MSGPACK_DEPTH] = 42;
	ck_assert_int_eq(
		sl_value_decode((struct sl_bytes){bytes, sizeof(bytes)}, parcel, &back, NULL),
		0);
	while (back.kind == SL_VALUE_TABLE)
		back = back.table->array[0];
	ck_assert_int_eq(back.integer, 42);
}
END_TEST

START_TEST(deeper_nesting_is_refused_with_the_way)
{
	struct sl_value value = nested(SL_MAX_VALUE_DEPTH + 1), walk = value;
	struct sl_error err;

	ck_assert(sl_buffer_append(&out, "kept", 4));
	ck_assert_int_eq(sl_value_encode(&value, "outputs", &out, &err), SL_EINVALID);
	ck_assert_msg(strncmp(err.text, "cannot send outputs[1][1]", 25) == 0, "%s", err.text);
	sl_test_bytes_eq(sl_buffer_bytes(&out), "kept");
	for (; walk.kind == SL_VALUE_TABLE; walk = walk.table->array[0])
		ck_assert_uint_eq(walk.table->mark, 0);
}
END_TEST

START_TEST(a_handle_is_refused_with_the_way)
{
	struct sl_handle handle = {.refs = 1, .kind = "wait group"};
	struct sl_value conf = sl_test_table(parcel, 0, 1), top = sl_test_table(parcel, 0, 1);
	struct sl_error err;

	conf.table->pairs[0] = (struct sl_pair){
		sl_test_string("wg"), {.kind = SL_VALUE_HANDLE, .handle = &handle}};
	top.table->pairs[0] = (struct sl_pair){sl_test_string("my conf"), conf};
	ck_assert_int_eq(sl_value_encode(&top, "outputs", &out, &err), SL_EINVALID);
	ck_assert_str_eq(err.text, "cannot send outputs['my conf'].wg: wait group");
	ck_assert_uint_eq(top.table->mark + conf.table->mark, 0);
}
END_TEST

START_TEST(a_binary_function_is_refused_with_the_way)
{
	struct sl_value f = sl_test_function(parcel, "function() end", 1);
	struct sl_value g = sl_test_function(parcel, "\x1bLua", 0);
	struct sl_error err;

	g.function->binary = true;
	f.function->upvalues[0].cell->value = g;
	ck_assert_int_eq(sl_value_encode(&f, "task", &out, &err), SL_EINVALID);
	ck_assert_str_eq(err.text, "cannot send task upvalue 'u': function: x.lua:1");
	ck_assert_uint_eq(f.function->mark, 0);
	ck_assert_uint_eq(f.function->upvalues[0].cell->mark_function, 0);
}
END_TEST

START_TEST(malformed_values_are_refused)
{
	static const char *const bad[] = {
		"c7 01 02 00",             /* a reference to nothing */
		"91 c7 01 02 01",          /* to what comes later */
		"c7 03 02 92 00 00",       /* a variable where a value belongs */
		"d4 05 00",                /* no such extension */
		"d6 ff 00 00 00 00",       /* a timestamp */
		"c7 01 01 90",             /* a function of nothing */
		"c7 02 01 91 c0",          /* its text is nil */
		"c7 03 01 91 a1 1b",       /* bytecode */
		"c7 02 04 91 01",          /* a table of 1 */
		"c7 04 04 92 91 01 c0",    /* a key without a value */
		"c7 03 04 92 90 01",       /* 1 as a metatable */
		"c7 01 04 c1",             /* no msgpack inside */
		"c7 05 04 dd ff ff ff ff", /* a bomb inside */
		"c7 00 02",                /* nothing inside */
		/* a variable that begins later, and one in itself */
		"c7 14 01 95 a1 78 a0 01 92 92 a1 61 c7 03 02 92 00 01 92 a1 62 01 80",
		"c7 10 01 95 a1 78 a0 01 91 92 a1 61 c7 03 02 92 00 00 80",
		"81 a1 61", /* cut off */
	};
	struct sl_value back;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(decode(bad[i], &back) == SL_EPROTOCOL, "%s", bad[i]);
}
END_TEST

START_TEST(tables_in_tables_without_end_are_refused)
{
	/* Extension in extension, each of two bytes more: deeper than any value may be. */
	struct sl_buffer a = SL_BUFFER_INIT;
	struct sl_value back;

	ck_assert(sl_buffer_append(&a, "\xc0", 1));
	for (int i = 0; i <= SL_MAX_VALUE_DEPTH; i++) {
		struct sl_buffer b = SL_BUFFER_INIT;
		size_t n = a.size + 3;
		uint8_t head[] = {0xc8, (uint8_t)(n >> 8), (uint8_t)n, 4, 0x91, 0x92, 0x05};

		ck_assert(sl_buffer_append(&b, head, sizeof(head)));
		ck_assert(sl_buffer_append(&b, a.data, a.size));
		sl_buffer_deinit(&a);
		a = b;
	}
	ck_assert_int_eq(
		sl_value_decode(sl_buffer_bytes(&a), parcel, &back, NULL), SL_ETOO_LARGE);
	sl_buffer_deinit(&a);
}
END_TEST

/* Decodes three lists of @n, each in a document of its own. */
static int decode_three_lists(uint32_t n)
{
	struct sl_parcel *roomy = sl_parcel_new((size_t)1 << 30);
	uint32_t payload = 3 + 5 + n;
	const uint8_t head[] = {0xc9, 0, (uint8_t)(payload >> 16), (uint8_t)(payload >> 8),
		(uint8_t)payload, 4, 0x91, 0x92, 1, 0xdd, 0, (uint8_t)(n >> 16),
		(uint8_t)(n >> 8), (uint8_t)n};
	size_t size = 1 + 3 * (sizeof(head) + n), at = 1;
	uint8_t *bytes = calloc(1, size);
	struct sl_value back;
	int rc;

	ck_assert_ptr_nonnull(roomy);
	ck_assert_ptr_nonnull(bytes);
	bytes[0] = 0x93;
	for (int i = 0; i < 3; i++, at += sizeof(head) + n)
		memcpy(bytes + at, head, sizeof(head));
	rc = sl_value_decode((struct sl_bytes){(char *)bytes, size}, roomy, &back, NULL);
	free(bytes);
	sl_parcel_free(roomy);
	return rc;
}

START_TEST(values_are_counted_over_all_documents)
{
	ck_assert_int_eq(decode_three_lists(900000), 0);
	ck_assert_int_eq(decode_three_lists(1000000), SL_ETOO_LARGE);
}
END_TEST

SL_CHECK_MAIN_WITH("value_msg", setup, teardown, scalars_are_plain_msgpack,
	numbers_come_back_as_what_they_were, an_integer_that_lua_does_not_have_is_refused,
	strings_may_have_any_bytes, a_sequence_is_an_array_and_the_rest_is_a_map,
	an_array_with_holes_keeps_its_keys, a_float_key_that_is_whole_is_the_integer,
	keys_that_cannot_be_are_refused, a_key_twice_among_many_is_found,
	a_cycle_comes_back_as_a_cycle, a_table_reached_twice_is_one_table,
	other_keys_and_metatables_travel_in_an_extension, functions_keep_their_shared_variables,
	a_function_may_hold_itself, any_nesting_up_to_the_limit_travels,
	whoever_nests_more_levels_of_msgpack_than_we_do_is_read_too,
	deeper_nesting_is_refused_with_the_way, a_handle_is_refused_with_the_way,
	a_binary_function_is_refused_with_the_way, malformed_values_are_refused,
	tables_in_tables_without_end_are_refused, values_are_counted_over_all_documents)
