/* SPDX-License-Identifier: MIT */
#include "common/error.h"
#include "proto/limits.h"
#include "proto/scan.h"
#include "tests/support/check_main.h"
#include "tests/support/values.h"

static int scan(const char *hex)
{
	char bytes[256];
	size_t n = sl_test_unhex(hex, bytes, sizeof(bytes));

	return sl_scan_document((struct sl_bytes){bytes, n}, NULL, NULL);
}

START_TEST(every_kind_of_msgpack_passes)
{
	static const char *const good[] = {"00", "7f", "80", "81 01 02", "90", "93 01 02 03",
		"a0", "a3 61 62 63", "c0", "c2", "c3", "c4 00", "c4 01 ff", "c5 00 01 61",
		"c6 00 00 00 01 61", "c7 01 05 61", "c7 00 05", "c8 00 01 05 61",
		"c9 00 00 00 01 05 61", "ca 00 00 00 00", "cb 00 00 00 00 00 00 00 00", "cc ff",
		"cd ff ff", "ce ff ff ff ff", "cf ff ff ff ff ff ff ff ff", "d0 80", "d1 80 00",
		"d2 80 00 00 00", "d3 80 00 00 00 00 00 00 00", "d4 05 61", "d5 05 61 62",
		"d6 05 61 62 63 64", "d7 05 61 62 63 64 65 66 67 68",
		"d8 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", "d9 01 61",
		"da 00 01 61", "db 00 00 00 01 61", "dc 00 01 c0", "dd 00 00 00 01 c0",
		"de 00 01 01 02", "df 00 00 00 01 01 02", "e0", "ff"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(scan(good[i]) == 0, "%s", good[i]);
}
END_TEST

START_TEST(a_value_cut_off_anywhere_is_refused)
{
	static const char whole[] = "\x82\xa1"
				    "a\x93\x01\xcd\x01\x02\xc4\x02xy\xa1"
				    "b\xc7\x03\x05xyz";

	for (size_t n = 0; n < sizeof(whole) - 1; n++)
		ck_assert_int_eq(sl_scan_document((struct sl_bytes){whole, n}, NULL, NULL),
			SL_EPROTOCOL);
	ck_assert_int_eq(
		sl_scan_document((struct sl_bytes){whole, sizeof(whole) - 1}, NULL, NULL), 0);
}
END_TEST

START_TEST(a_count_that_the_bytes_cannot_hold_is_refused)
{
	ck_assert_int_eq(scan("dd ff ff ff ff"), SL_EPROTOCOL);
	ck_assert_int_eq(scan("df 7f ff ff ff 00 00"), SL_EPROTOCOL);
	ck_assert_int_eq(scan("c6 ff ff ff ff"), SL_EPROTOCOL);
	/* Each of these fits by itself, all of them together do not. */
	ck_assert_int_eq(scan("94 92 92 92 92 c0 c0 c0"), SL_EPROTOCOL);
}
END_TEST

START_TEST(what_msgpack_never_uses_is_refused)
{
	ck_assert_int_eq(scan("c1"), SL_EPROTOCOL);
	ck_assert_int_eq(scan("92 01 c1"), SL_EPROTOCOL);
}
END_TEST

START_TEST(bytes_behind_the_document_are_refused)
{
	ck_assert_int_eq(scan("90 c0"), SL_EPROTOCOL);
	ck_assert_int_eq(scan(""), SL_EPROTOCOL);
}
END_TEST

START_TEST(nesting_stops_at_the_limit)
{
	/* One level more each: a value in the innermost, an empty one in it, a full one. */
	static const char last[] = {'\xc0', '\x90', '\x91'};
	static const int expected[] = {0, SL_ETOO_LARGE, SL_ETOO_LARGE};
	char bytes[SL_MAX_MSGPACK_DEPTH + 2];

	memset(bytes, 0x91, sizeof(bytes));
	bytes[sizeof(bytes) - 1] = '\xc0';
	for (int i = 0; i < 3; i++) {
		size_t size = SL_MAX_MSGPACK_DEPTH + (last[i] == '\x91' ? 2 : 1);

		bytes[SL_MAX_MSGPACK_DEPTH] = last[i];
		ck_assert_int_eq(sl_scan_document((struct sl_bytes){bytes, size}, NULL, NULL),
			expected[i]);
	}
}
END_TEST

START_TEST(more_values_than_fit_in_a_parcel_are_refused)
{
	/* An array is a value too. */
	uint32_t n_items = SL_MAX_VALUES;
	size_t size = 5 + n_items;
	uint8_t *bytes = calloc(1, size);

	ck_assert_ptr_nonnull(bytes);
	bytes[0] = 0xdd;
	for (int i = 0; i < 4; i++)
		bytes[1 + i] = (uint8_t)(n_items >> (24 - 8 * i));
	ck_assert_int_eq(sl_scan_document((struct sl_bytes){(char *)bytes, size}, NULL, NULL),
		SL_ETOO_LARGE);
	bytes[4]--;
	ck_assert_int_eq(
		sl_scan_document((struct sl_bytes){(char *)bytes, size - 1}, NULL, NULL), 0);
	free(bytes);
}
END_TEST

SL_CHECK_MAIN("scan", every_kind_of_msgpack_passes, a_value_cut_off_anywhere_is_refused,
	a_count_that_the_bytes_cannot_hold_is_refused, what_msgpack_never_uses_is_refused,
	bytes_behind_the_document_are_refused, nesting_stops_at_the_limit,
	more_values_than_fit_in_a_parcel_are_refused)
