/* SPDX-License-Identifier: MIT */
#include "agent/admission.h"

#include <assert.h>
#include <stdlib.h>

#include "common/error.h"

#define MIN_RETRY_MS 50
#define MAX_RETRY_MS 5000

struct sl_admission {
	size_t max_inside, max_waiting, max_waiting_bytes; /* immutable after new */
	size_t n_inside, n_waiting, waiting_bytes;
	bool draining;
	int64_t usual_ms; /* how long a task stays inside: a moving average */
	TAILQ_HEAD(, sl_ticket) waiting;
};

int sl_admission_new(size_t max_inside, size_t max_waiting, size_t max_waiting_bytes,
	struct sl_admission **out, struct sl_error *err)
{
	struct sl_admission *admission = calloc(1, sizeof(*admission));

	assert(max_inside > 0);
	if (!admission)
		return sl_fail(err, SL_ENOMEM, "no memory for admission");
	admission->max_inside = max_inside;
	admission->max_waiting = max_waiting;
	admission->max_waiting_bytes = max_waiting_bytes;
	TAILQ_INIT(&admission->waiting);
	*out = admission;
	return 0;
}

void sl_admission_free(struct sl_admission *admission)
{
	free(admission);
}

static void enter(struct sl_admission *admission, struct sl_ticket *ticket, int64_t now_ms)
{
	ticket->place = SL_TICKET_INSIDE;
	ticket->entered_ms = now_ms;
	admission->n_inside++;
}

static bool has_waiting_room(const struct sl_admission *admission, size_t size_bytes)
{
	if (admission->n_waiting >= admission->max_waiting)
		return false;
	return admission->n_waiting == 0 ||
	       (size_bytes <= admission->max_waiting_bytes &&
		       admission->waiting_bytes <= admission->max_waiting_bytes - size_bytes);
}

/* When about a place in the queue will be free: one turn of the slots. */
static uint64_t retry_ms(const struct sl_admission *admission)
{
	int64_t ms = admission->usual_ms / (int64_t)admission->max_inside;

	if (ms < MIN_RETRY_MS)
		return MIN_RETRY_MS;
	return ms > MAX_RETRY_MS ? MAX_RETRY_MS : (uint64_t)ms;
}

enum sl_admission_answer sl_admission_ask(struct sl_admission *admission,
	struct sl_ticket *ticket, size_t size_bytes, int64_t now_ms, uint64_t *out_retry_ms)
{
	assert(ticket->place == SL_TICKET_OUTSIDE);
	if (admission->draining)
		return SL_ADMISSION_DRAINING;

	ticket->size_bytes = size_bytes;
	if (admission->n_inside < admission->max_inside && admission->n_waiting == 0) {
		enter(admission, ticket, now_ms);
		return SL_ADMISSION_ENTERED;
	}
	if (!has_waiting_room(admission, size_bytes)) {
		*out_retry_ms = retry_ms(admission);
		return SL_ADMISSION_BUSY;
	}
	ticket->place = SL_TICKET_WAITING;
	admission->n_waiting++;
	admission->waiting_bytes += size_bytes;
	TAILQ_INSERT_TAIL(&admission->waiting, ticket, link);
	return SL_ADMISSION_WAITING;
}

static void stop_waiting(struct sl_admission *admission, struct sl_ticket *ticket)
{
	TAILQ_REMOVE(&admission->waiting, ticket, link);
	admission->n_waiting--;
	admission->waiting_bytes -= ticket->size_bytes;
}

void sl_admission_leave(
	struct sl_admission *admission, struct sl_ticket *ticket, int64_t now_ms)
{
	if (ticket->place == SL_TICKET_WAITING) {
		stop_waiting(admission, ticket);
	} else if (ticket->place == SL_TICKET_INSIDE) {
		admission->n_inside--;
		admission->usual_ms += (now_ms - ticket->entered_ms - admission->usual_ms) / 8;
	}
	ticket->place = SL_TICKET_OUTSIDE;
}

struct sl_ticket *sl_admission_next(struct sl_admission *admission, int64_t now_ms)
{
	struct sl_ticket *ticket = TAILQ_FIRST(&admission->waiting);

	if (!ticket || admission->n_inside == admission->max_inside)
		return NULL;
	stop_waiting(admission, ticket);
	enter(admission, ticket, now_ms);
	return ticket;
}

void sl_admission_drain(struct sl_admission *admission)
{
	admission->draining = true;
}

struct sl_ticket *sl_admission_first_waiting(struct sl_admission *admission)
{
	return TAILQ_FIRST(&admission->waiting);
}

size_t sl_admission_n_inside(const struct sl_admission *admission)
{
	return admission->n_inside;
}

size_t sl_admission_n_waiting(const struct sl_admission *admission)
{
	return admission->n_waiting;
}

size_t sl_admission_waiting_bytes(const struct sl_admission *admission)
{
	return admission->waiting_bytes;
}

bool sl_admission_is_draining(const struct sl_admission *admission)
{
	return admission->draining;
}
