/* SPDX-License-Identifier: MIT */
#include "lua/schedule/deadlines.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/error.h"
#include "lua/schedule/reactor.h"

struct sl_deadlines {
	void (*fire)(struct sl_deadline *deadline);
	struct sl_reactor *reactor;

	pthread_mutex_t lock;
	struct sl_deadline **heap; /* guarded by: lock; the earliest first; [0] is unused */
	size_t n, room;            /* guarded by: lock */
	int64_t alarm_ns;       /* guarded by: lock; what the alarm is set to; 0: it is not */
	struct sl_alarm *alarm; /* guarded by: lock; made at first need */
};

static void place(struct sl_deadlines *deadlines, size_t at, struct sl_deadline *deadline)
{
	deadlines->heap[at] = deadline;
	deadline->place = at;
}

static void sift_up(struct sl_deadlines *deadlines, size_t at)
{
	struct sl_deadline *deadline = deadlines->heap[at];

	while (at > 1 && deadlines->heap[at / 2]->at_ns > deadline->at_ns) {
		place(deadlines, at, deadlines->heap[at / 2]);
		at /= 2;
	}
	place(deadlines, at, deadline);
}

static void sift_down(struct sl_deadlines *deadlines, size_t at)
{
	struct sl_deadline *deadline = deadlines->heap[at];
	size_t child;

	while ((child = at * 2) <= deadlines->n) {
		if (child < deadlines->n &&
			deadlines->heap[child + 1]->at_ns < deadlines->heap[child]->at_ns)
			child++;
		if (deadlines->heap[child]->at_ns >= deadline->at_ns)
			break;
		place(deadlines, at, deadlines->heap[child]);
		at = child;
	}
	place(deadlines, at, deadline);
}

static void remove_locked(struct sl_deadlines *deadlines, struct sl_deadline *deadline)
{
	size_t at = deadline->place;
	struct sl_deadline *last = deadlines->heap[deadlines->n--];

	deadline->place = 0;
	if (last == deadline)
		return;
	place(deadlines, at, last);
	sift_up(deadlines, at);
	sift_down(deadlines, last->place);
}

static void set_alarm_locked(struct sl_deadlines *deadlines)
{
	int64_t at = deadlines->n > 0 ? deadlines->heap[1]->at_ns : 0;

	/* One that comes too early finds nothing and is set anew. */
	if (at == 0 || (deadlines->alarm_ns && deadlines->alarm_ns <= at))
		return;
	deadlines->alarm_ns = at;
	sl_alarm_set(deadlines->alarm, at);
}

static void fire_due(void *ctx)
{
	struct sl_deadlines *deadlines = ctx;
	int64_t now = sl_clock_monotonic_ns();

	pthread_mutex_lock(&deadlines->lock);
	deadlines->alarm_ns = 0;
	while (deadlines->n > 0 && deadlines->heap[1]->at_ns <= now) {
		struct sl_deadline *due = deadlines->heap[1];

		remove_locked(deadlines, due);
		deadlines->fire(due);
	}
	set_alarm_locked(deadlines);
	pthread_mutex_unlock(&deadlines->lock);
}

static bool make_room_locked(struct sl_deadlines *deadlines)
{
	size_t room = deadlines->room ? deadlines->room * 2 : 64;
	struct sl_deadline **heap;

	if (!deadlines->alarm && sl_alarm_new(deadlines->reactor, fire_due, deadlines,
					 &deadlines->alarm, NULL) != 0)
		return false;
	if (deadlines->n + 1 < deadlines->room)
		return true;
	heap = realloc(deadlines->heap, room * sizeof(struct sl_deadline *));
	if (!heap)
		return false;
	deadlines->heap = heap;
	deadlines->room = room;
	return true;
}

bool sl_deadlines_add(struct sl_deadlines *deadlines, struct sl_deadline *deadline)
{
	bool ok;

	pthread_mutex_lock(&deadlines->lock);
	ok = make_room_locked(deadlines);
	if (ok) {
		deadlines->heap[++deadlines->n] = deadline;
		sift_up(deadlines, deadlines->n);
		set_alarm_locked(deadlines);
	}
	pthread_mutex_unlock(&deadlines->lock);
	return ok;
}

void sl_deadlines_remove(struct sl_deadlines *deadlines, struct sl_deadline *deadline)
{
	pthread_mutex_lock(&deadlines->lock);
	if (deadline->place)
		remove_locked(deadlines, deadline);
	pthread_mutex_unlock(&deadlines->lock);
}

int sl_deadlines_new(struct sl_reactor *reactor, void (*fire)(struct sl_deadline *deadline),
	struct sl_deadlines **out, struct sl_error *err)
{
	struct sl_deadlines *deadlines = calloc(1, sizeof(*deadlines));

	if (!deadlines)
		return sl_fail(err, SL_ENOMEM, "not enough memory for deadlines");
	deadlines->fire = fire;
	deadlines->reactor = reactor;
	pthread_mutex_init(&deadlines->lock, NULL);
	*out = deadlines;
	return 0;
}

void sl_deadlines_free(struct sl_deadlines *deadlines)
{
	if (!deadlines)
		return;
	sl_alarm_free(deadlines->alarm);
	pthread_mutex_destroy(&deadlines->lock);
	free(deadlines->heap);
	free(deadlines);
}
