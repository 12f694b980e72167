/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Event message: an event as a msgpack array [time_us, kind, …]. A batch is a
 * number of them end to end.
 *
 * Threads: any; the parcel's owner.
 */

#include "common/buffer.h"
#include "common/event.h"

struct sl_error;

/* Appends @event to @out. Values that can't go over the wire (handles, functions of a running
 * task, what is nested over SL_MAX_VALUE_DEPTH) are written as strings that say what they were:
 * an event is never lost for them. Returns 0; SL_ENOMEM; SL_ETOO_LARGE over
 * SL_MAX_EVENT_BYTES, when @out has what it had. Uses and clears the marks of the values. */
int sl_event_encode(const struct sl_event *event, struct sl_buffer *out,
	struct sl_error *err) sl_must_check;

/* A positive answer of sl_event_decode(). */
#define SL_EVENT_SKIPPED 1

/* Reads the event at *at in @batch and moves *at behind it. What it points to is in @batch or
 * @parcel. Returns 0; SL_EVENT_SKIPPED, with *at moved and *out left alone, for an event of a
 * kind that is not known here (it has its number all the same); SL_EPROTOCOL, SL_ETOO_LARGE or
 * SL_ENOMEM. */
int sl_event_decode(struct sl_bytes batch, size_t *at, struct sl_parcel *parcel,
	struct sl_event *out, struct sl_error *err) sl_must_check;
