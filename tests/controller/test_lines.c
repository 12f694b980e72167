/* SPDX-License-Identifier: MIT */
#include "controller/lines.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/check_main.h"

static char got[1000];
static size_t n_got, longest;

static void on_event(void *ctx, uint64_t number, const struct sl_event *event)
{
	struct sl_bytes text = {0};
	size_t n = strlen(got);

	(void)ctx;
	n_got++;
	if (event->kind == SL_EVENT_LOG)
		text = event->log.message;
	if (event->kind == SL_EVENT_OUT)
		text = event->out.bytes;
	if (text.size > longest)
		longest = text.size;
	if (text.size < 100)
		snprintf(got + n, sizeof(got) - n, "%d:%.*s ", (int)number, (int)text.size,
			text.data);
}

static void log_piece(struct sl_lines *lines, uint64_t number, uint64_t goroutine,
	const char *text, bool continued)
{
	struct sl_event event = {.kind = SL_EVENT_LOG};

	event.log.goroutine = goroutine;
	event.log.message = sl_bytes_of(text);
	event.log.continued = continued;
	sl_lines_add(lines, number, &event);
}

START_TEST(pieces_of_a_line_are_joined_goroutine_by_goroutine)
{
	struct sl_lines *lines = sl_lines_new(on_event, NULL);
	struct sl_event state = {.kind = SL_EVENT_STATE};

	log_piece(lines, 1, 1, "a", true);
	log_piece(lines, 2, 2, "x", true);
	log_piece(lines, 3, 3, "whole", false);
	sl_lines_add(lines, 4, &state);
	log_piece(lines, 5, 1, "b", true);
	log_piece(lines, 6, 1, "c", false);
	log_piece(lines, 7, 2, "y", true);
	ck_assert_str_eq(got, "3:whole 4: 6:abc ");
	sl_lines_end(lines);
	ck_assert_str_eq(got, "3:whole 4: 6:abc 7:xy ");
	sl_lines_free(lines);
}
END_TEST

START_TEST(streams_are_kept_apart)
{
	struct sl_lines *lines = sl_lines_new(on_event, NULL);
	struct sl_event out = {.kind = SL_EVENT_OUT};

	out.out.stream = 1;
	out.out.continued = true;
	out.out.bytes = sl_bytes_of("o");
	sl_lines_add(lines, 1, &out);
	out.out.stream = 2;
	out.out.continued = false;
	out.out.bytes = sl_bytes_of("e");
	sl_lines_add(lines, 2, &out);
	ck_assert_str_eq(got, "2:e ");
	sl_lines_free(lines);
}
END_TEST

START_TEST(a_line_without_end_is_handed_on_in_bounded_pieces)
{
	struct sl_lines *lines = sl_lines_new(on_event, NULL);
	static char piece[65537];

	memset(piece, 'x', 65536);
	for (uint64_t i = 1; i <= 64; i++)
		log_piece(lines, i, 1, piece, true);
	ck_assert_uint_eq(n_got, 4);
	ck_assert_uint_le(longest, (size_t)1 << 20);
	for (uint64_t i = 0; i < 200; i++)
		log_piece(lines, 65 + i, 10 + i, "open", true);
	ck_assert_uint_gt(n_got, 100);
	sl_lines_free(lines);
}
END_TEST

SL_CHECK_MAIN("lines", pieces_of_a_line_are_joined_goroutine_by_goroutine,
	streams_are_kept_apart, a_line_without_end_is_handed_on_in_bounded_pieces)
