/* SPDX-License-Identifier: MIT */
#include "controller/shell_words.h"

#include <ctype.h>
#include <string.h>

static void quote(const char *word, struct sl_buffer *out)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_@%+=:,./-";

	if (word[0] && strspn(word, safe) == strlen(word)) {
		sl_buffer_append(out, word, strlen(word));
		return;
	}
	sl_buffer_append(out, "'", 1);
	for (; *word; word++)
		if (*word == '\'')
			sl_buffer_append(out, "'\\''", 4);
		else
			sl_buffer_append(out, word, 1);
	sl_buffer_append(out, "'", 1);
}

void sl_shell_words_join(const struct sl_texts *words, size_t first, struct sl_buffer *out)
{
	if (words->n == first + 1) {
		sl_buffer_append(out, words->items[first], strlen(words->items[first]));
		return;
	}
	for (size_t i = first; i < words->n; i++) {
		if (i > first)
			sl_buffer_append(out, " ", 1);
		quote(words->items[i], out);
	}
}

void sl_shell_words_to_lua(struct sl_bytes text, struct sl_buffer *out)
{
	sl_buffer_append(out, "\"", 1);
	for (size_t i = 0; i < text.size; i++) {
		unsigned char byte = (unsigned char)text.data[i];

		if (isascii(byte) && isprint(byte) && byte != '"' && byte != '\\')
			sl_buffer_append(out, &byte, 1);
		else
			sl_buffer_printf(out, "\\%03u", byte);
	}
	sl_buffer_append(out, "\"", 1);
}
