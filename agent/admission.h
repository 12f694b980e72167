/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Admission: how many tasks run at once, how many wait their turn, and who is
 * sent away. What waits goes in order of its coming.
 *
 * Threads: the loop's.
 */

#include <sys/queue.h>

#include "common/base.h"

struct sl_error;
struct sl_admission;

/* A job's place; embedded in the job, zeroed before the first use. */
struct sl_ticket {
	TAILQ_ENTRY(sl_ticket) link; /* sl_admission.waiting */
	enum {
		SL_TICKET_OUTSIDE = 0,
		SL_TICKET_WAITING,
		SL_TICKET_INSIDE,
	} place;
	size_t size_bytes;
	int64_t entered_ms;
};

enum sl_admission_answer {
	SL_ADMISSION_ENTERED = 0,
	SL_ADMISSION_WAITING,  /* sl_admission_next() will bring it */
	SL_ADMISSION_BUSY,     /* come back in the milliseconds said */
	SL_ADMISSION_DRAINING, /* final */
};

/* What waits is also bounded by @max_waiting_bytes, except for the first that waits. */
int sl_admission_new(size_t max_inside, size_t max_waiting, size_t max_waiting_bytes,
	struct sl_admission **out, struct sl_error *err) sl_must_check;

/* Tickets are left alone. NULL is fine. */
void sl_admission_free(struct sl_admission *admission);
SL_DEFINE_CLEANUP(struct sl_admission *, sl_admission_free);

/* Asks for a task of @size_bytes. After ENTERED and WAITING the ticket owes one leave.
 * *out_retry_ms is set with BUSY. */
enum sl_admission_answer sl_admission_ask(struct sl_admission *admission,
	struct sl_ticket *ticket, size_t size_bytes, int64_t now_ms,
	uint64_t *out_retry_ms) sl_must_check;

/* It ended, or doesn't want to wait any more. */
void sl_admission_leave(
	struct sl_admission *admission, struct sl_ticket *ticket, int64_t now_ms);

/* The first that waits, if there is room: it is inside now. Else NULL. */
struct sl_ticket *sl_admission_next(struct sl_admission *admission, int64_t now_ms);

/* Turns everybody away from now on. Those that wait still wait. */
void sl_admission_drain(struct sl_admission *admission);

/* The first that waits, which stays there; NULL for none. */
struct sl_ticket *sl_admission_first_waiting(struct sl_admission *admission);

size_t sl_admission_n_inside(const struct sl_admission *admission);
size_t sl_admission_n_waiting(const struct sl_admission *admission);
size_t sl_admission_waiting_bytes(const struct sl_admission *admission);
bool sl_admission_is_draining(const struct sl_admission *admission);
