/* SPDX-License-Identifier: MIT */
#include "controller/printable.h"

#include <string.h>

#include "tests/support/check_main.h"

static const char *printable(const char *data, size_t size, bool newlines)
{
	static struct sl_buffer out;

	sl_buffer_clear(&out);
	sl_printable(&out, (struct sl_bytes){data, size}, newlines);
	sl_buffer_append(&out, "", 1);
	return out.data;
}

START_TEST(letters_of_all_scripts_stay)
{
	const char *text = "ação ✅ 📦 日本語\ttab";

	ck_assert_str_eq(printable(text, strlen(text), false), text);
}
END_TEST

START_TEST(what_acts_on_a_terminal_is_escaped)
{
	ck_assert_str_eq(printable("\033[2Jx", 5, false), "\\x1b[2Jx");
	ck_assert_str_eq(printable("a\rb", 3, false), "a\\x0db");
	ck_assert_str_eq(printable("a\nb", 3, false), "a\\x0ab");
	ck_assert_str_eq(printable("a\nb", 3, true), "a\nb");
	ck_assert_str_eq(printable("\xc2\x9b"
				   "31m",
				 5, false),
		"\\u{9b}31m");
	ck_assert_str_eq(printable("\xe2\x80\xae", 3, false), "\\u{202e}");
	ck_assert_str_eq(printable("\xff\0", 2, false), "\\xff\\x00");
}
END_TEST

SL_CHECK_MAIN("printable", letters_of_all_scripts_stay, what_acts_on_a_terminal_is_escaped)
