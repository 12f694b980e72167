/* SPDX-License-Identifier: MIT */
#include "controller/values_file.h"

#include <math.h>
#include <string.h>

#include "common/error.h"
#include "tests/support/check_main.h"
#include "tests/support/text_file.h"

static struct sl_error err;
static struct sl_parcel *parcel;
static struct sl_value values;

static int read_text(const char *text)
{
	char path[64];
	int rc;

	sl_parcel_free(parcel);
	parcel = sl_parcel_new(1 << 20);
	values = (struct sl_value){0};
	rc = sl_values_file_read(sl_text_file(text, path), parcel, &values, &err);
	unlink(path);
	return rc;
}

static const struct sl_value *get(const char *key)
{
	const struct sl_value *value = sl_table_get(values.table, key);

	ck_assert_msg(value, "no %s", key);
	return value;
}

START_TEST(scalars_keep_their_types)
{
	ck_assert_int_eq(read_text("i: -42\nh: 0x2a\no: 0o17\nbig: 9223372036854775807\n"
				   "f: 1.5\ne: 1e3\none: 1.0\ninf: -.inf\nt: true\nn: null\n"
				   "s: hello\nq: \"42\"\nversion: 1.2.3\ndate: 2024-01-01\n"
				   "huge: 9223372036854775808\nyes: yes\n"),
		0);
	ck_assert_int_eq(get("i")->integer, -42);
	ck_assert_int_eq(get("h")->integer, 42);
	ck_assert_int_eq(get("o")->integer, 15);
	ck_assert_int_eq(get("big")->integer, INT64_MAX);
	ck_assert_double_eq(get("f")->number, 1.5);
	ck_assert_double_eq(get("e")->number, 1000);
	ck_assert_int_eq(get("one")->kind, SL_VALUE_FLOAT);
	ck_assert(isinf(get("inf")->number) && get("inf")->number < 0);
	ck_assert(get("t")->kind == SL_VALUE_BOOLEAN && get("t")->boolean);
	ck_assert_ptr_null(sl_table_get(values.table, "n"));
	ck_assert_int_eq(get("q")->kind, SL_VALUE_STRING);
	ck_assert_int_eq(get("version")->kind, SL_VALUE_STRING);
	ck_assert_int_eq(get("date")->kind, SL_VALUE_STRING);
	ck_assert_int_eq(get("huge")->kind, SL_VALUE_FLOAT);
	ck_assert_int_eq(get("yes")->kind, SL_VALUE_STRING);
}
END_TEST

START_TEST(lists_maps_and_aliases_are_tables)
{
	const struct sl_table *list;

	ck_assert_int_eq(read_text("l: [1, two, [3]]\nm: {7: x, a: {b: c}}\n"
				   "one: &a {k: v}\ntwo: *a\n"),
		0);
	list = get("l")->table;
	ck_assert_uint_eq(list->n_array, 3);
	ck_assert_int_eq(list->array[0].integer, 1);
	ck_assert_int_eq(list->array[2].table->array[0].integer, 3);
	ck_assert_uint_eq(get("m")->table->n_pairs, 2);
	ck_assert_int_eq(get("m")->table->pairs[0].key.integer, 7);
	ck_assert_ptr_eq(get("one")->table, get("two")->table);
	ck_assert_int_eq(read_text("# nothing\n"), 0);
	ck_assert_int_eq(values.kind, SL_VALUE_NIL);
}
END_TEST

START_TEST(what_lua_has_no_place_for_is_refused_with_its_line)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"a: 1\nl: [1, null]\n", ":2: a Lua list can't hold null"},
		{"a: 1\nb: 2\na: 3\n", ":3: this key is there already"},
		{"1.5: x\n", ":1: a key must be"},
		{"b: &b {x: 1}\na:\n  <<: *b\n", ":3: merge keys"},
		{"b: !!binary aGk=\n", ":1: tag"},
		{"just text\n", ":1: a map is wanted"},
		{"a: 'open\n", ":"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(read_text(rows[i].text) == SL_EINVALID, "%s", rows[i].text);
		ck_assert_msg(strstr(err.text, rows[i].says), "%s: %s", rows[i].text, err.text);
	}
}
END_TEST

START_TEST(deep_nesting_ends_in_a_sentence)
{
	char text[1000] = "a: ";

	memset(text + 3, '[', 400);
	memset(text + 403, ']', 400);
	ck_assert_int_eq(read_text(text), SL_EINVALID);
	ck_assert_ptr_nonnull(strstr(err.text, "nested over"));
}
END_TEST

SL_CHECK_MAIN("values_file", scalars_keep_their_types, lists_maps_and_aliases_are_tables,
	what_lua_has_no_place_for_is_refused_with_its_line, deep_nesting_ends_in_a_sentence)
