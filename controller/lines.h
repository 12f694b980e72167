/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lines: joins the events of a job into which a long line was split. A line of
 * more than a MiB is handed on in pieces of that size.
 *
 * Threads: the owner's.
 */

#include "common/event.h"

struct sl_lines;

/* Calls event(ctx, number, event) for whole lines and whatever isn't a line. NULL when memory
 * ran out. */
struct sl_lines *sl_lines_new(
	void (*event)(void *ctx, uint64_t number, const struct sl_event *event),
	void *ctx) sl_must_check;
void sl_lines_free(struct sl_lines *lines);

void sl_lines_add(struct sl_lines *lines, uint64_t number, const struct sl_event *event);

/* Hands on what is still open: no more comes. */
void sl_lines_end(struct sl_lines *lines);
