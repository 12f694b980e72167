/* SPDX-License-Identifier: MIT */
#include "controller/shell_words.h"

#include <string.h>

#include "tests/support/check_main.h"

static const char *joined(size_t n, const char **items)
{
	static struct sl_buffer out;
	struct sl_texts words = {items, n};

	sl_buffer_clear(&out);
	sl_shell_words_join(&words, 1, &out);
	sl_buffer_append(&out, "", 1);
	return out.data;
}

START_TEST(several_words_stay_words)
{
	const char *items[] = {"@web", "ls", "-l", "a b", "it's", "", "$HOME", "x=1"};

	ck_assert_str_eq(joined(8, items), "ls -l 'a b' 'it'\\''s' '' '$HOME' x=1");
}
END_TEST

START_TEST(a_single_word_is_a_command_line)
{
	const char *items[] = {"@web", "df -h | tail -1"};

	ck_assert_str_eq(joined(2, items), "df -h | tail -1");
}
END_TEST

START_TEST(any_bytes_make_a_lua_string)
{
	struct sl_buffer out = SL_BUFFER_INIT;
	const char *bytes = "a\"\\\n\0\xff"
			    "1";

	sl_shell_words_to_lua((struct sl_bytes){bytes, 7}, &out);
	sl_buffer_append(&out, "", 1);
	ck_assert_str_eq(out.data, "\"a\\034\\092\\010\\000\\2551\"");
	sl_buffer_deinit(&out);
}
END_TEST

SL_CHECK_MAIN("shell_words", several_words_stay_words, a_single_word_is_a_command_line,
	any_bytes_make_a_lua_string)
