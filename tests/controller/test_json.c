/* SPDX-License-Identifier: MIT */
#include "controller/json.h"

#include <math.h>
#include <string.h>

#include "tests/support/check_main.h"

static struct sl_buffer out;

static const char *text(void)
{
	sl_buffer_append(&out, "", 1);
	return out.data;
}

static const char *json_of(struct sl_value value)
{
	sl_buffer_clear(&out);
	sl_json_value(&out, &value);
	return text();
}

static const char *json_of_bytes(const char *data, size_t size)
{
	sl_buffer_clear(&out);
	sl_json_string(&out, (struct sl_bytes){data, size});
	return text();
}

static struct sl_value integer(int64_t i)
{
	return (struct sl_value){.kind = SL_VALUE_INTEGER, .integer = i};
}

static struct sl_value number(double d)
{
	return (struct sl_value){.kind = SL_VALUE_FLOAT, .number = d};
}

static struct sl_value string(const char *s)
{
	return (struct sl_value){.kind = SL_VALUE_STRING, .string = sl_bytes_of(s)};
}

static struct sl_value table(struct sl_table *t)
{
	return (struct sl_value){.kind = SL_VALUE_TABLE, .table = t};
}

START_TEST(strings_are_escaped_and_always_utf8)
{
	ck_assert_str_eq(json_of_bytes("a\"b\\c\n\t\x01", 8), "\"a\\\"b\\\\c\\n\\t\\u0001\"");
	ck_assert_str_eq(json_of_bytes("a\0b", 3), "\"a\\u0000b\"");
	ck_assert_str_eq(json_of_bytes("ação ✅", 10), "\"ação ✅\"");
	ck_assert_str_eq(json_of_bytes("\xff\xc3(", 3), "\"\xef\xbf\xbd\xef\xbf\xbd(\"");
	ck_assert_str_eq(
		json_of_bytes("\xed\xa0\x80", 3), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	ck_assert_str_eq(json_of_bytes("\xc2\x9b\x7f", 3), "\"\\u009b\\u007f\"");
	ck_assert_str_eq(json_of_bytes("", 0), "\"\"");
}
END_TEST

START_TEST(numbers_stay_what_they_are)
{
	ck_assert_str_eq(json_of(integer(INT64_MIN)), "-9223372036854775808");
	ck_assert_str_eq(json_of(number(1)), "1.0");
	ck_assert_str_eq(json_of(number(0.1)), "0.1");
	ck_assert_str_eq(json_of(number(-0.0)), "-0.0");
	ck_assert_str_eq(json_of(number(1e300)), "1e+300");
	ck_assert_str_eq(json_of(number(INFINITY)), "null");
	ck_assert_str_eq(json_of(number(NAN)), "null");
}
END_TEST

START_TEST(tables_are_arrays_or_objects_with_sorted_keys)
{
	struct sl_value items[] = {integer(1), string("x")};
	struct sl_pair pairs[] = {{string("b"), integer(2)}, {string("a"), integer(1)},
		{number(1.5), integer(3)}, {integer(10), integer(5)}, {integer(9), integer(6)},
		{{.kind = SL_VALUE_BOOLEAN, .boolean = true}, integer(4)}};
	struct sl_table list = {.array = items, .n_array = 2};
	struct sl_table map = {.pairs = pairs, .n_pairs = 6};
	struct sl_table both = {.array = items, .n_array = 2, .pairs = pairs, .n_pairs = 1};
	struct sl_table empty = {0};

	ck_assert_str_eq(json_of(table(&list)), "[1,\"x\"]");
	ck_assert_str_eq(json_of(table(&map)),
		"{\"1.5\":3,\"10\":5,\"9\":6,\"a\":1,\"b\":2,\"true\":4}");
	ck_assert_str_eq(json_of(table(&both)), "{\"1\":1,\"2\":\"x\",\"b\":2}");
	ck_assert_str_eq(json_of(table(&empty)), "{}");
}
END_TEST

START_TEST(json_null_is_null)
{
	struct sl_value null = {.kind = SL_VALUE_NAMED, .string = sl_bytes_of("json.null")};
	struct sl_value other = {.kind = SL_VALUE_NAMED, .string = sl_bytes_of("math.floor")};
	struct sl_value items[] = {null, other};
	struct sl_table list = {.array = items, .n_array = 2};

	ck_assert_str_eq(json_of(table(&list)), "[null,\"<math.floor>\"]");
}
END_TEST

START_TEST(members_as_words_are_sorted_and_tell_texts_from_numbers)
{
	struct sl_value items[] = {integer(7)};
	struct sl_pair pairs[] = {{string("to"), string("a b")}, {string("n"), number(0.5)},
		{string("a=b c"), string("5")},
		{string("empty"), table(&(struct sl_table){0})}};
	struct sl_table fields = {.array = items, .n_array = 1, .pairs = pairs, .n_pairs = 4};

	sl_buffer_clear(&out);
	sl_json_words(&out, &fields);
	ck_assert_str_eq(text(), " 1=7 \"a=b c\"=\"5\" empty={} n=0.5 to=\"a b\"");
}
END_TEST

START_TEST(cycles_depth_and_growth_end)
{
	struct sl_value self;
	struct sl_table loop = {.array = &self, .n_array = 1};
	static struct sl_table levels[40];
	static struct sl_value twice[40][2];

	self = table(&loop);
	ck_assert_str_eq(json_of(table(&loop)), "[\"<cycle>\"]");
	/* 2^40 leaves when written out. */
	for (int i = 0; i < 40; i++) {
		twice[i][0] = twice[i][1] = i ? table(&levels[i - 1]) : integer(1);
		levels[i] = (struct sl_table){.array = twice[i], .n_array = 2};
	}
	json_of(table(&levels[39]));
	ck_assert_uint_lt(out.size, (size_t)17 << 20);
	ck_assert_ptr_nonnull(strstr(out.data, "<too large>"));
}
END_TEST

SL_CHECK_MAIN("json", strings_are_escaped_and_always_utf8, numbers_stay_what_they_are,
	tables_are_arrays_or_objects_with_sorted_keys, json_null_is_null,
	members_as_words_are_sorted_and_tell_texts_from_numbers, cycles_depth_and_growth_end)
