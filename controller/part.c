/* SPDX-License-Identifier: MIT */
#include "controller/part.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/duration.h"
#include "common/error.h"
#include "common/log.h"
#include "controller/dispatch.h"
#include "controller/fleet.h"
#include "controller/lines.h"
#include "controller/remote.h"
#include "controller/render.h"
#include "proto/task_msg.h"

struct sl_part {
	struct sl_part_env *env;
	const struct sl_step *step;
	const struct sl_target *target;
	const struct sl_value *deps;
	void *owner;
	struct sl_job job;
	struct sl_remote *remote;     /* borrowed from the fleet; NULL: none yet */
	struct sl_dispatch *dispatch; /* NULL: none yet, or between two attempts */
	struct sl_dispatch *last;     /* of the attempt before: over, to be freed */
	struct sl_lines *lines;
	struct sl_alarm again; /* between two attempts; or tells of a failure inside a call */
	int64_t backoff_ms;    /* before the next attempt */
};

static void attempt(struct sl_part *part);

static void fill_hint(struct sl_job *job)
{
	const char *what;

	if (job->verdict == SL_VERDICT_UNKNOWN)
		what = "what came of it is unknown";
	else if (job->verdict == SL_VERDICT_DETACHED)
		what = "it goes on";
	else
		return;
	snprintf(job->hint, sizeof(job->hint), "%s; ask for it with: sloth attach %.140s %s",
		what, job->target, job->id_text);
}

void sl_part_end(struct sl_part *part, enum sl_verdict verdict, const char *why)
{
	struct sl_part_env *env = part->env;
	struct sl_job *job = &part->job;

	if (job->over)
		return;
	if (part->lines)
		sl_lines_end(part->lines);
	sl_loop_unset(env->loop, &part->again);
	if (env->stopping && verdict == SL_VERDICT_CANCELLED) {
		verdict = env->stop_verdict;
		why = env->stop_why;
	}
	job->over = true;
	job->verdict = verdict;
	snprintf(job->why, sizeof(job->why), "%s", why);
	if (job->begun)
		job->duration_ms = sl_clock_monotonic_ms() - job->begun_ms;
	fill_hint(job);
	sl_outcome_add(&env->outcome, verdict);
	sl_render_ended(env->render, job);
}

/* The same, and tells. */
static void end_and_tell(struct sl_part *part, enum sl_verdict verdict, const char *why)
{
	if (part->job.over)
		return;
	sl_part_end(part, verdict, why);
	part->env->over(part->env->ctx, part);
}

static bool shall_retry(const struct sl_part *part, enum sl_verdict verdict)
{
	const struct sl_workflow_task *of = part->step->of;

	if (!of || part->env->stopping || part->job.attempt > of->retries.n)
		return false;
	/* Never where an earlier attempt may still be running: UNKNOWN is out. */
	return verdict == SL_VERDICT_FAILED || verdict == SL_VERDICT_TIMEOUT ||
	       verdict == SL_VERDICT_CRASHED || verdict == SL_VERDICT_LOST;
}

static void on_again(void *ctx)
{
	struct sl_part *part = ctx;

	sl_dispatch_free(sl_steal(part->last));
	attempt(part);
}

static void retry_later(struct sl_part *part, enum sl_verdict verdict, const char *why)
{
	const struct sl_workflow_retries *retries = &part->step->of->retries;
	struct sl_bytes message = sl_bytes_of(why);
	double next = (double)part->backoff_ms * retries->factor;
	char text[500], wait[40];

	if (part->job.has_result)
		message = sl_job_message(&part->job);
	snprintf(text, sizeof(text), "%.80s %s (%.*s); attempt %" PRIu64 " of %u in %s",
		part->step->name, sl_verdict_name(verdict),
		(int)(message.size < 200 ? message.size : 200),
		message.data ? message.data : "", part->job.attempt + 1, retries->n + 1,
		sl_duration_format(part->backoff_ms, wait, sizeof(wait)));
	sl_render_note(part->env->render, part->job.target, text);
	part->last = sl_steal(part->dispatch);
	sl_loop_set(part->env->loop, &part->again, sl_clock_monotonic_ms() + part->backoff_ms,
		on_again, part);
	part->backoff_ms = next < (double)retries->max_ms ? (int64_t)next : retries->max_ms;
}

static void on_ended(void *ctx, enum sl_verdict verdict, const char *why)
{
	struct sl_part *part = ctx;

	if (part->job.over)
		return;
	/* Gone with the connection: its death is heard of a little later. */
	if (sl_part_is_local(part) &&
		(verdict == SL_VERDICT_UNKNOWN || verdict == SL_VERDICT_UNREACHABLE)) {
		verdict = SL_VERDICT_LOST;
		why = "the agent of this run died under it";
	}
	/* What a message is made of, should it be tried again. */
	part->job.verdict = verdict;
	if (shall_retry(part, verdict))
		retry_later(part, verdict, why);
	else
		end_and_tell(part, verdict, why);
}

static void on_event(void *ctx, uint64_t number, const struct sl_event *event)
{
	struct sl_part *part = ctx;

	sl_lines_add(part->lines, number, event);
}

static void on_line(void *ctx, uint64_t number, const struct sl_event *event)
{
	struct sl_part *part = ctx;

	if (event->kind == SL_EVENT_RESULT && !sl_job_keep_result(&part->job, &event->result))
		sl_log(SL_LOG_ERROR, "no memory for the outputs of task %s", part->step->name);
	sl_render_event(part->env->render, &part->job, number, event);
}

static void on_waiting(void *ctx, const char *text)
{
	struct sl_part *part = ctx;

	sl_render_note(part->env->render, part->job.target, text);
}

static void on_caught_up(void *ctx)
{
	struct sl_part *part = ctx;

	if (!sl_render_flush(part->env->render))
		part->env->unread(part->env->ctx);
}

/* The task as bytes, addressed to its target. */
static int encode(const struct sl_part *part, struct sl_buffer *out, struct sl_error *err)
{
	struct sl_task task = part->step->task;

	if (part->step->attach)
		return 0;
	task.deps = *part->deps;
	task.meta.run = sl_bytes_of(part->env->run_id);
	task.meta.workflow = sl_bytes_of(part->env->plan->name);
	task.meta.agent = sl_bytes_of(part->target->name);
	task.meta.attempt = part->job.attempt;
	return sl_task_encode(&task, out, err);
}

static int dispatch(struct sl_part *part, struct sl_error *err)
{
	struct sl_dispatch_config config = {
		.remote = part->remote,
		.job = part->job.id,
		.after = part->step->after,
		.event = on_event,
		.caught_up = on_caught_up,
		.waiting = on_waiting,
		.ended = on_ended,
		.ctx = part,
	};
	struct sl_buffer bytes = SL_BUFFER_INIT;
	int rc = encode(part, &bytes, err);

	config.task = sl_buffer_bytes(&bytes);
	if (!rc)
		rc = sl_dispatch_new(part->env->loop, &config, &part->dispatch, err);
	sl_buffer_deinit(&bytes);
	return rc;
}

static void on_failed_to_begin(void *ctx)
{
	struct sl_part *part = ctx;
	char why[sizeof(part->job.why)];

	/* It goes where it comes from. */
	memcpy(why, part->job.why, sizeof(why));
	end_and_tell(part, SL_VERDICT_REFUSED, why);
}

/* The next attempt, or as much of it as can be done before the private agent is ready. */
static void go(struct sl_part *part)
{
	struct sl_error err;
	int rc = sl_fleet_remote(part->env->fleet, part->target, &part->remote, &err);

	if (!rc && part->remote)
		rc = dispatch(part, &err);
	if (!rc)
		return;
	snprintf(part->job.why, sizeof(part->job.why), "%.300s", err.text);
	sl_loop_set(part->env->loop, &part->again, sl_clock_monotonic_ms(), on_failed_to_begin,
		part);
}

static void attempt(struct sl_part *part)
{
	if (part->step->attach)
		part->job.id = part->step->job;
	else
		sl_job_id_make(&part->job.id);
	sl_job_id_format(&part->job.id, part->job.id_text);
	part->job.attempt++;
	part->job.has_result = false;
	part->job.why[0] = '\0';
	go(part);
}

struct sl_part *sl_part_new(struct sl_part_env *env, const struct sl_step *step,
	const struct sl_target *target, const struct sl_value *deps, void *owner)
{
	struct sl_part *part = calloc(1, sizeof(*part));

	if (!part)
		return NULL;
	part->env = env;
	part->step = step;
	part->target = target;
	part->deps = deps;
	part->owner = owner;
	part->job.task = step->name;
	part->job.target = target->name;
	part->backoff_ms = step->of ? step->of->retries.backoff_ms : 0;
	part->lines = sl_lines_new(on_line, part);
	if (!part->lines) {
		free(part);
		return NULL;
	}
	return part;
}

void sl_part_free(struct sl_part *part)
{
	if (!part)
		return;
	sl_loop_unset(part->env->loop, &part->again);
	sl_dispatch_free(part->dispatch);
	sl_dispatch_free(part->last);
	sl_lines_free(part->lines);
	sl_job_deinit(&part->job);
	free(part);
}

void *sl_part_owner(const struct sl_part *part)
{
	return part->owner;
}

const struct sl_job *sl_part_job(const struct sl_part *part)
{
	return &part->job;
}

bool sl_part_is_local(const struct sl_part *part)
{
	return !part->target->address;
}

bool sl_part_was_sent(const struct sl_part *part)
{
	return part->dispatch && sl_dispatch_was_sent(part->dispatch);
}

bool sl_part_is_up(const struct sl_part *part)
{
	return part->remote && sl_remote_is_up(part->remote);
}

void sl_part_begin(struct sl_part *part)
{
	part->job.begun = true;
	part->job.begun_ms = sl_clock_monotonic_ms();
	sl_render_begun(part->env->render, &part->job);
	attempt(part);
}

void sl_part_local_ready(struct sl_part *part)
{
	if (part->job.begun && !part->job.over && !part->dispatch && !part->again.set)
		go(part);
}

static void on_cancelled(void *ctx)
{
	end_and_tell(ctx, SL_VERDICT_CANCELLED, "");
}

void sl_part_cancel(struct sl_part *part, const char *reason)
{
	if (part->job.over)
		return;
	if (part->dispatch)
		sl_dispatch_cancel(part->dispatch, reason);
	else /* between two attempts, or before the first: nobody has it */
		sl_loop_set(part->env->loop, &part->again, sl_clock_monotonic_ms(),
			on_cancelled, part);
}

void sl_part_allow(struct sl_part *part)
{
	part->job.allowed_to_fail = true;
	sl_outcome_allow(&part->env->outcome, part->job.verdict);
}
