/* SPDX-License-Identifier: MIT */
#include "agent/job.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/crew.h"
#include "agent/journal.h"
#include "agent/loop.h"
#include "common/clock.h"
#include "common/duration.h"
#include "common/error.h"
#include "common/event.h"
#include "common/log.h"
#include "proto/event_msg.h"

/* A worker that was asked to stop has this long, and one that said it has finished. */
#define STOP_MS (SL_SLOWNESS * 500)

/* Credit is granted in pieces, so that not each acknowledgement makes a frame. */
#define CREDIT_PIECE (1u << 20)
#define CREDIT_LOW (2u << 20)

/* Over the credit goes one batch, and a worker's last words, which wait for nobody. */
#define MAX_UNACKNOWLEDGED (SL_MAX_JOB_RING_BYTES + SL_LINK_MAX_BYTES + (1u << 20))

static void append_state(
	struct sl_job *job, enum sl_state state, struct sl_bytes why, struct sl_bytes by)
{
	struct sl_event event = {
		.kind = SL_EVENT_STATE,
		.time_us = sl_clock_wall_us(),
		.state = {state, why, by},
	};
	struct sl_buffer bytes = SL_BUFFER_INIT;
	struct sl_error err;
	int result = sl_event_encode(&event, &bytes, &err);

	if (result == 0)
		result = sl_store_append(
			job->home->store, job->record, 1, sl_buffer_bytes(&bytes), &err);
	if (result < 0) /* the record still has the state itself */
		sl_log(SL_LOG_ERROR, "a state event is lost: %s", err.text);
	sl_buffer_deinit(&bytes);
	job->has_news = true;
}

static void tell_news(struct sl_job *job)
{
	if (!job->has_news)
		return;
	job->has_news = false;
	job->home->changed(job->home->ctx, job);
}

static void log_start(const struct sl_job *job)
{
	const struct sl_record *record = job->record;

	sl_journal_log(SL_JOURNAL_TASK_STARTED, SL_LOG_INFO, record,
		"task started task=%02x%02x%02x%02x name=%.*s controller=%.*s",
		record->id.bytes[0], record->id.bytes[1], record->id.bytes[2],
		record->id.bytes[3], (int)record->name.size, record->name.data,
		(int)record->controller.size, record->controller.data);
}

static enum sl_journal_kind kind_of_end(enum sl_state state)
{
	switch (state) {
	case SL_STATE_DONE:
	case SL_STATE_CANCELLED:
		return SL_JOURNAL_TASK_ENDED;
	case SL_STATE_CRASHED:
		return SL_JOURNAL_TASK_LOST;
	default:
		return SL_JOURNAL_TASK_FAILED;
	}
}

static void log_end(const struct sl_job *job, struct sl_bytes why)
{
	const struct sl_record *record = job->record;

	sl_journal_log(kind_of_end(record->state), SL_LOG_INFO, record,
		"task ended task=%02x%02x%02x%02x name=%.*s state=%s why=%.*s",
		record->id.bytes[0], record->id.bytes[1], record->id.bytes[2],
		record->id.bytes[3], (int)record->name.size, record->name.data,
		sl_state_name(record->state), (int)why.size, why.data);
}

static void count_end(const struct sl_job *job, enum sl_state state)
{
	job->home->ended[state]++;
	if (job->started_ns > 0)
		sl_histogram_observe(
			&job->home->run, sl_clock_monotonic_ns() - job->started_ns);
}

static void end(
	struct sl_job *job, enum sl_state state, struct sl_bytes why, struct sl_bytes by)
{
	if (!job->record)
		return;
	append_state(job, state, why, by);
	count_end(job, state);
	sl_store_finish(job->home->store, job->record, state, sl_clock_wall_us(),
		sl_clock_monotonic_ms());
	log_end(job, why);
	tell_news(job);
	job->record->live = NULL;
	job->record = NULL;
}

static void on_timer(void *ctx)
{
	struct sl_job *job = ctx;
	char time[32], why[64];

	if (job->stopping || job->finished) {
		sl_job_kill(job);
		return;
	}
	snprintf(why, sizeof(why), "deadline of %s",
		sl_duration_format((int64_t)job->timeout_ms, time, sizeof(time)));
	sl_job_stop(job, SL_STATE_TIMEOUT, why, sl_bytes_of("agent"));
}

/* A dispatch takes a fraction of a millisecond when nobody waits; a task may take days. */
void sl_job_home_init(struct sl_job_home *out, struct sl_loop *loop,
	void (*changed)(void *ctx, struct sl_job *job), void *ctx)
{
	static const int64_t latencies[] = {100000, 250000, 500000, 1000000, 2500000, 5000000,
		10000000, 25000000, 50000000, 100000000, 250000000, 500000000, 1000000000,
		2500000000, 5000000000, 10000000000, 60000000000};
	static const int64_t runs[] = {1000000, 5000000, 10000000, 50000000, 100000000,
		500000000, 1000000000, 5000000000, 10000000000, 30000000000, 60000000000,
		300000000000, 900000000000, 3600000000000, 21600000000000, 86400000000000};

	*out = (struct sl_job_home){.loop = loop, .ctx = ctx, .changed = changed};
	sl_histogram_init(&out->dispatch, latencies, sizeof(latencies) / sizeof(latencies[0]));
	sl_histogram_init(
		&out->first_event, latencies, sizeof(latencies) / sizeof(latencies[0]));
	sl_histogram_init(&out->run, runs, sizeof(runs) / sizeof(runs[0]));
}

int sl_job_new(struct sl_job_home *home, struct sl_record *record, struct sl_bytes task,
	uint64_t timeout_ms, struct sl_job **out, struct sl_error *err)
{
	struct sl_job *job = calloc(1, sizeof(*job));

	if (!job)
		return sl_fail(err, SL_ENOMEM, "no memory for a job");
	sl_buffer_append(&job->task, record->id.bytes, sizeof(record->id.bytes));
	if (!sl_buffer_append(&job->task, task.data, task.size)) {
		sl_buffer_deinit(&job->task);
		free(job);
		return sl_fail(err, SL_ENOMEM, "no memory for a task of %zu bytes", task.size);
	}
	if (sl_loop_timer_new(home->loop, on_timer, job, &job->timer, err) < 0) {
		sl_buffer_deinit(&job->task);
		free(job);
		return SL_ENOMEM;
	}
	job->home = home;
	job->record = record;
	job->timeout_ms = timeout_ms;
	job->accepted_ns = sl_clock_monotonic_ns();
	TAILQ_INIT(&job->waiters);
	record->live = job;
	append_state(job, SL_STATE_ACCEPTED, sl_bytes_of(NULL), sl_bytes_of("agent"));
	*out = job;
	return 0;
}

void sl_job_free(struct sl_job *job)
{
	if (!job)
		return;
	assert(!job->record);
	sl_loop_timer_free(job->timer);
	sl_buffer_deinit(&job->task);
	sl_buffer_deinit(&job->stop_why);
	sl_buffer_deinit(&job->stop_by);
	free(job);
}

void sl_job_start(struct sl_job *job, struct sl_hand *hand)
{
	struct sl_link_frame frame = {
		SL_LINK_TASK, SL_MAX_JOB_RING_BYTES, sl_buffer_bytes(&job->task)};

	job->hand = hand;
	job->credit_left = SL_MAX_JOB_RING_BYTES;
	sl_hand_send(hand, &frame);
	sl_buffer_deinit(&job->task);
	job->started_ns = sl_clock_monotonic_ns();
	sl_histogram_observe(&job->home->dispatch, job->started_ns - job->accepted_ns);
	sl_store_start(job->home->store, job->record, sl_clock_wall_us());
	append_state(job, SL_STATE_RUNNING, sl_bytes_of(NULL), sl_bytes_of("agent"));
	if (job->timeout_ms > 0)
		sl_loop_timer_set(job->timer, (int64_t)job->timeout_ms);
	tell_news(job);
	log_start(job);
}

static void condemn(struct sl_job *job, const char *why)
{
	struct sl_error err;

	sl_fail(&err, SL_EPROTOCOL, "%s", why);
	sl_hand_condemn(job->hand, &err);
}

static void take_batch(struct sl_job *job, const struct sl_link_frame *frame)
{
	const struct sl_ring *ring = &job->record->ring;
	uint64_t cost = SL_LINK_COST(frame->bytes.size);
	struct sl_error err;

	/* An event is two bytes at the least. */
	if (frame->number == 0 || frame->number > frame->bytes.size) {
		condemn(job, "a batch of events whose number can't be right");
		return;
	}
	/* One batch may be as big as a result; what goes over is the next one's. */
	if (job->credit_left == 0 && ring->bytes - ring->history > MAX_UNACKNOWLEDGED) {
		condemn(job, "more than it had credit for");
		return;
	}
	job->credit_left -= cost < job->credit_left ? cost : job->credit_left;
	if (sl_store_append(job->home->store, job->record, frame->number, frame->bytes, &err) <
		0) {
		sl_hand_condemn(job->hand, &err);
		return;
	}
	job->home->event_bytes += frame->bytes.size;
	if (!job->heard)
		sl_histogram_observe(
			&job->home->first_event, sl_clock_monotonic_ns() - job->accepted_ns);
	job->heard = true;
	job->has_news = true;
}

static void take_finished(struct sl_job *job, const struct sl_link_frame *frame)
{
	if (frame->number != SL_STATE_DONE && frame->number != SL_STATE_FAILED &&
		frame->number != SL_STATE_CANCELLED) {
		condemn(job, "an end in a state that is not the worker's to say");
		return;
	}
	job->finished = true;
	job->finished_state = (enum sl_state)frame->number;
	sl_loop_timer_set(job->timer, STOP_MS);
	if (job->finished_state == SL_STATE_DONE)
		end(job, SL_STATE_DONE, sl_bytes_of(NULL), sl_bytes_of("worker"));
}

void sl_job_take_frame(struct sl_job *job, const struct sl_link_frame *frame)
{
	if (frame->kind == SL_LINK_BATCH)
		take_batch(job, frame);
	else
		take_finished(job, frame);
}

void sl_job_take_pause(struct sl_job *job)
{
	if (job->record)
		tell_news(job);
}

static void say(struct sl_bytes *why, char *text, size_t size, const char *fmt, ...)
	sl_printf(4, 5);

static void say(struct sl_bytes *why, char *text, size_t size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, size, fmt, args);
	va_end(args);
	*why = sl_bytes_of(text);
}

/* What a worker that said nothing died of. */
static enum sl_state post_mortem(
	const struct sl_hand_end *end, char *text, size_t size, struct sl_bytes *why)
{
	if (end->spawner_died) {
		say(why, text, size, "the agent's spawner process died, and its workers");
		return SL_STATE_CRASHED;
	}
	if (end->broke_link) {
		say(why, text, size, "its worker process broke the protocol of its socket");
		return SL_STATE_CRASHED;
	}
	if (WIFSIGNALED(end->status)) {
		int signo = WTERMSIG(end->status);

		say(why, text, size, "signal %d (%s)%s", signo, strsignal(signo),
			signo == SIGKILL && !end->was_killed ? ", perhaps out of memory" : "");
		return SL_STATE_CRASHED;
	}
	if (WEXITSTATUS(end->status) == 0)
		say(why, text, size, "its worker exited without a result");
	else
		say(why, text, size, "exit status %d", WEXITSTATUS(end->status));
	return SL_STATE_FAILED;
}

void sl_job_take_end(struct sl_job *job, const struct sl_hand_end *hand_end)
{
	struct sl_bytes why = {0}, by = sl_bytes_of("agent");
	enum sl_state state;
	char text[128];

	job->hand = NULL;
	sl_loop_timer_clear(job->timer);
	if (job->finished && (job->finished_state != SL_STATE_CANCELLED || !job->stopping)) {
		state = job->finished_state;
		by = sl_bytes_of("worker");
	} else if (job->stopping) {
		state = job->stop_state;
		why = sl_buffer_bytes(&job->stop_why);
		by = sl_buffer_bytes(&job->stop_by);
	} else {
		state = post_mortem(hand_end, text, sizeof(text), &why);
	}
	end(job, state, why, by);
}

void sl_job_stop(struct sl_job *job, enum sl_state state, const char *why, struct sl_bytes by)
{
	if (!job->record || job->stopping || job->finished)
		return;
	if (!job->hand) {
		end(job, state, sl_bytes_of(why), by);
		return;
	}
	job->stopping = true;
	job->stop_state = state;
	sl_buffer_printf(&job->stop_why, "%s", why);
	sl_buffer_append(&job->stop_by, by.data, by.size);
	sl_loop_timer_set(job->timer, STOP_MS);
	sl_hand_send(job->hand, &(struct sl_link_frame){SL_LINK_STOP, 0, sl_bytes_of(why)});
}

void sl_job_kill(struct sl_job *job)
{
	sl_hand_kill(job->hand);
}

void sl_job_credit(struct sl_job *job, uint64_t freed)
{
	if (!job->hand || job->finished)
		return;
	job->credit_due += freed;
	if (job->credit_due == 0 ||
		(job->credit_due < CREDIT_PIECE && job->credit_left > CREDIT_LOW))
		return;
	sl_hand_send(
		job->hand, &(struct sl_link_frame){SL_LINK_CREDIT, job->credit_due, {NULL, 0}});
	job->credit_left += job->credit_due;
	job->credit_due = 0;
}
