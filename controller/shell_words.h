/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Shell words: a command line made of words, for sh, and as a Lua string.
 *
 * Threads: any.
 */

#include "common/buffer.h"
#include "controller/flags.h"

/* Appends @words from @first on: a single one as it is, so that it may be a whole command line
 * ("df -h | tail"); several each quoted where sh would see more in it than a word. */
void sl_shell_words_join(const struct sl_texts *words, size_t first, struct sl_buffer *out);

/* Appends @text as a Lua string literal. */
void sl_shell_words_to_lua(struct sl_bytes text, struct sl_buffer *out);
