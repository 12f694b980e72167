/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Printable: text that came from elsewhere, made fit for a terminal. What moves
 * the cursor, changes colours, rings, reorders letters or is no UTF-8 is written
 * as an escape; letters of all scripts and emoji stay.
 *
 * Threads: any.
 */

#include "common/buffer.h"

/* Appends @text to @out. Tabs stay; newlines too, where @newlines says so. */
void sl_printable(struct sl_buffer *out, struct sl_bytes text, bool newlines);

/* How many columns UTF-8 @text takes on a terminal, about: one a character. */
size_t sl_printable_width(const char *text);
