/* SPDX-License-Identifier: MIT */
#include "controller/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/duration.h"
#include "common/error.h"
#include "common/log.h"
#include "controller/dispatch.h"
#include "controller/fleet.h"
#include "controller/job.h"
#include "controller/lines.h"
#include "controller/loop.h"
#include "controller/options.h"
#include "controller/plan.h"
#include "controller/remote.h"
#include "controller/render.h"
#include "proto/identity.h"
#include "proto/task_msg.h"

#define DETACH_MS 2000 /* between the first Ctrl-C and leaving */
#define STOP_MS 5000   /* for jobs that were told to stop */

enum phase {
	PHASE_RUNNING,
	PHASE_ASKED,    /* Ctrl-C once: leaves when a second one doesn't come */
	PHASE_STOPPING, /* jobs were told to stop */
	PHASE_OVER,
};

/* A job with what it takes to run it. */
struct part {
	struct sl_run *run;
	struct sl_job *job; /* sl_run.jobs */
	const struct sl_step *step;
	const struct sl_target *target;
	struct sl_remote *remote;     /* borrowed from the fleet; NULL: not begun */
	struct sl_dispatch *dispatch; /* NULL: not begun */
	struct sl_lines *lines;
};

struct sl_run {
	const struct sl_plan *plan;
	const struct sl_options *options;
	struct sl_loop *loop;
	struct sl_fleet *fleet;
	struct sl_render *render;
	char id[17];
	struct sl_job *jobs;
	struct part *parts; /* one a job; the steps' parts follow each other */
	size_t n_parts;
	size_t next;   /* the first part whose turn hasn't come */
	size_t n_open; /* begun and not over */
	enum phase phase;
	bool timed_out; /* stopping because the run's time is up */
	int64_t timeout_ms;
	int64_t begun_ms;
	struct sl_outcome outcome;
	struct sl_alarm deadline, leave, stop_deadline;
};

static void go_on(struct sl_run *run);

static void over(struct part *part, enum sl_verdict verdict, const char *why)
{
	struct sl_run *run = part->run;
	struct sl_job *job = part->job;
	char limit[40];

	if (job->over)
		return;
	if (part->lines)
		sl_lines_end(part->lines);
	job->over = true;
	job->verdict = verdict;
	snprintf(job->why, sizeof(job->why), "%s", why);
	if (job->begun)
		job->duration_ms = sl_clock_monotonic_ms() - job->begun_ms;
	if (run->timed_out && verdict == SL_VERDICT_CANCELLED) {
		job->verdict = SL_VERDICT_TIMEOUT;
		snprintf(job->why, sizeof(job->why), "the run's time was up after %s",
			sl_duration_format(run->timeout_ms, limit, sizeof(limit)));
	}
	if (job->verdict == SL_VERDICT_UNKNOWN || job->verdict == SL_VERDICT_DETACHED)
		snprintf(job->hint, sizeof(job->hint),
			"%s; ask for it with: sloth attach %.100s %s",
			verdict == SL_VERDICT_UNKNOWN ? "what came of it is unknown"
						      : "it goes on",
			job->target, job->id_text);
	sl_outcome_add(&run->outcome, job->verdict);
	sl_render_ended(run->render, job);
}

static void on_ended(void *ctx, enum sl_verdict verdict, const char *why)
{
	struct part *part = ctx;

	over(part, verdict, why);
	part->run->n_open--;
	go_on(part->run);
}

static void on_event(void *ctx, uint64_t number, const struct sl_event *event)
{
	struct part *part = ctx;

	sl_lines_add(part->lines, number, event);
}

static void on_line(void *ctx, uint64_t number, const struct sl_event *event)
{
	struct part *part = ctx;

	if (event->kind == SL_EVENT_RESULT && !sl_job_keep_result(part->job, &event->result))
		sl_log(SL_LOG_ERROR, "no memory for the outputs of %s", part->job->task);
	sl_render_event(part->run->render, part->job, number, event);
}

static void on_waiting(void *ctx, const char *text)
{
	struct part *part = ctx;

	sl_render_note(part->run->render, part->job->target, text);
}

static void finish(struct sl_run *run)
{
	run->phase = PHASE_OVER;
	sl_loop_stop(run->loop);
}

/* Leaves all jobs to their agents. */
static void leave(void *ctx)
{
	struct sl_run *run = ctx;

	for (size_t i = 0; i < run->n_parts; i++) {
		struct part *part = &run->parts[i];

		if (part->job->over)
			continue;
		if (!part->dispatch || !sl_dispatch_was_sent(part->dispatch))
			over(part, SL_VERDICT_CANCELLED, "its turn never came");
		else if (part->target->address)
			over(part, SL_VERDICT_DETACHED, "");
		else
			over(part, SL_VERDICT_CANCELLED, "it ended with this command");
	}
	finish(run);
}

static void on_caught_up(void *ctx)
{
	struct part *part = ctx;

	if (!sl_render_flush(part->run->render) && part->run->phase == PHASE_RUNNING)
		leave(part->run);
}

/* The task of @part as bytes, addressed to its target. */
static int encode(const struct part *part, struct sl_buffer *out, struct sl_error *err)
{
	struct sl_task task = part->step->task;

	if (part->step->attach)
		return 0;
	task.meta.run = sl_bytes_of(part->run->id);
	task.meta.workflow = sl_bytes_of(part->run->plan->workflow);
	task.meta.agent = sl_bytes_of(part->target->name);
	task.meta.attempt = 1;
	return sl_task_encode(&task, out, err);
}

static int dispatch(struct part *part, struct sl_error *err)
{
	struct sl_dispatch_config config = {
		.remote = part->remote,
		.job = part->job->id,
		.after = part->step->after,
		.event = on_event,
		.caught_up = on_caught_up,
		.waiting = on_waiting,
		.ended = on_ended,
		.ctx = part,
	};
	struct sl_buffer bytes = SL_BUFFER_INIT;
	int rc = encode(part, &bytes, err);

	part->lines = sl_lines_new(on_line, part);
	if (!rc && !part->lines)
		rc = sl_fail(err, SL_ENOMEM, "out of memory");
	config.task = sl_buffer_bytes(&bytes);
	if (!rc)
		rc = sl_dispatch_new(part->run->loop, &config, &part->dispatch, err);
	sl_buffer_deinit(&bytes);
	return rc;
}

/* Begins @part now, or when the private agent is ready. */
static void begin(struct part *part)
{
	struct sl_run *run = part->run;
	struct sl_error err;

	if (!part->job->begun) {
		part->job->begun = true;
		part->job->begun_ms = sl_clock_monotonic_ms();
		run->n_open++;
	}
	if (sl_fleet_remote(run->fleet, part->target, &part->remote, &err))
		goto failed;
	if (!part->remote)
		return;
	if (dispatch(part, &err) == 0)
		return;
failed:
	over(part, SL_VERDICT_REFUSED, err.text);
	run->n_open--;
}

/* Begins the next step when the last one is over. */
static void go_on(struct sl_run *run)
{
	while (run->n_open == 0 && run->phase != PHASE_OVER) {
		const struct sl_step *step;

		if (run->phase == PHASE_STOPPING || run->next == run->n_parts) {
			finish(run);
			return;
		}
		step = run->parts[run->next].step;
		for (; run->next < run->n_parts && run->parts[run->next].step == step;
			run->next++)
			if (!run->parts[run->next].job->over)
				begin(&run->parts[run->next]);
	}
}

static void give_up_stopping(void *ctx)
{
	struct sl_run *run = ctx;

	for (size_t i = 0; i < run->n_parts; i++)
		if (!run->parts[i].job->over)
			over(&run->parts[i], SL_VERDICT_CANCELLED,
				"it was told to stop and hasn't said that it did");
	finish(run);
}

/* Tells all jobs to stop, and begins no more. */
static void stop(struct sl_run *run, const char *reason)
{
	run->phase = PHASE_STOPPING;
	sl_loop_unset(run->loop, &run->leave);
	sl_loop_unset(run->loop, &run->deadline);
	for (size_t i = 0; i < run->n_parts; i++) {
		struct part *part = &run->parts[i];

		if (part->job->over)
			continue;
		if (part->dispatch) {
			sl_dispatch_cancel(part->dispatch, reason);
		} else if (part->job->begun) {
			over(part, SL_VERDICT_CANCELLED, reason);
			run->n_open--;
		} else {
			over(part, SL_VERDICT_CANCELLED, "its turn never came");
		}
	}
	sl_loop_set(run->loop, &run->stop_deadline, sl_clock_monotonic_ms() + STOP_MS,
		give_up_stopping, run);
	go_on(run);
}

/* Whom nobody can tell to stop needs no wait: what came of it is not known. */
static void give_up_unreachable(struct sl_run *run)
{
	for (size_t i = 0; i < run->n_parts; i++) {
		struct part *part = &run->parts[i];
		char why[300];
		bool sent;

		if (part->job->over || !part->dispatch || sl_remote_is_up(part->remote))
			continue;
		sent = sl_dispatch_was_sent(part->dispatch);
		snprintf(why, sizeof(why), "%.80s at %.160s is out of reach",
			part->target->name, sl_remote_address(part->remote));
		over(part, sent ? SL_VERDICT_UNKNOWN : SL_VERDICT_UNREACHABLE, why);
		sl_dispatch_free(sl_steal(part->dispatch));
		run->n_open--;
	}
}

static void on_deadline(void *ctx)
{
	struct sl_run *run = ctx;
	char reason[80], limit[40];

	run->timed_out = true;
	snprintf(reason, sizeof(reason), "the run's time was up after %s",
		sl_duration_format(run->timeout_ms, limit, sizeof(limit)));
	give_up_unreachable(run);
	stop(run, reason);
}

static bool has_remote_jobs(const struct sl_run *run)
{
	for (size_t i = 0; i < run->n_parts; i++)
		if (run->parts[i].target->address && run->parts[i].job->begun &&
			!run->parts[i].job->over)
			return true;
	return false;
}

static void on_interrupt(struct sl_run *run)
{
	if (run->phase == PHASE_RUNNING && has_remote_jobs(run)) {
		run->phase = PHASE_ASKED;
		fprintf(stderr, "\nsloth: leaving the jobs to their agents; press Ctrl-C again "
				"within 2 seconds to stop them instead\n");
		sl_loop_set(run->loop, &run->leave, sl_clock_monotonic_ms() + DETACH_MS, leave,
			run);
	} else if (run->phase == PHASE_STOPPING) {
		give_up_stopping(run);
	} else {
		fprintf(stderr, "\nsloth: stopping\n");
		stop(run, "somebody pressed Ctrl-C");
	}
}

static void on_signal(void *ctx, int number)
{
	struct sl_run *run = ctx;

	if (run->phase == PHASE_OVER)
		return;
	if (number == SIGINT)
		on_interrupt(run);
	else if (number == SIGHUP)
		leave(run);
	else if (run->phase != PHASE_STOPPING)
		stop(run, "sloth was told to end (SIGTERM)");
}

static void on_note(void *ctx, const char *target, const char *text)
{
	struct sl_run *run = ctx;

	sl_render_note(run->render, target, text);
	sl_render_flush(run->render);
}

static void on_local_ready(void *ctx)
{
	struct sl_run *run = ctx;

	for (size_t i = 0; i < run->n_parts; i++) {
		struct part *part = &run->parts[i];

		if (!part->target->address && part->job->begun && !part->job->over &&
			!part->dispatch)
			begin(part);
	}
	go_on(run);
}

static void on_local_died(void *ctx, const char *why)
{
	struct sl_run *run = ctx;

	for (size_t i = 0; i < run->n_parts; i++) {
		struct part *part = &run->parts[i];

		if (part->target->address || part->job->over)
			continue;
		if (part->job->begun)
			run->n_open--;
		over(part, part->dispatch ? SL_VERDICT_LOST : SL_VERDICT_UNREACHABLE, why);
		sl_dispatch_free(sl_steal(part->dispatch));
	}
	go_on(run);
}

static void fill_part(struct sl_run *run, const struct sl_step *step, size_t target)
{
	struct part *part = &run->parts[run->n_parts];
	struct sl_job *job = &run->jobs[run->n_parts++];

	*part = (struct part){
		.run = run, .job = job, .step = step, .target = &step->targets.items[target]};
	job->task = step->name;
	job->target = part->target->name;
	if (step->attach)
		job->id = step->job;
	else
		sl_job_id_make(&job->id);
	sl_job_id_format(&job->id, job->id_text);
}

static int prepare(struct sl_run *run, struct sl_error *err)
{
	static const struct sl_fleet_ops ops = {
		.note = on_note, .local_ready = on_local_ready, .local_died = on_local_died};
	size_t n = sl_plan_n_jobs(run->plan);
	bool local = false;
	uint64_t random;
	int rc;

	sl_random(&random, sizeof(random));
	snprintf(run->id, sizeof(run->id), "%016llx", (unsigned long long)random);
	run->jobs = calloc(n ? n : 1, sizeof(*run->jobs));
	run->parts = calloc(n ? n : 1, sizeof(*run->parts));
	run->render = sl_render_new(run->options, sl_plan_host_width(run->plan));
	if (!run->jobs || !run->parts || !run->render)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	for (size_t s = 0; s < run->plan->n_steps; s++)
		for (size_t t = 0; t < run->plan->steps[s].targets.n; t++) {
			fill_part(run, &run->plan->steps[s], t);
			local |= !run->plan->steps[s].targets.items[t].address;
		}
	rc = sl_loop_new(&sl_remote_endpoint_ops, &run->loop, err);
	if (!rc)
		rc = sl_fleet_new(run->loop, run->options, &ops, run, &run->fleet, err);
	if (!rc && local)
		rc = sl_fleet_start_local(run->fleet, err);
	return rc;
}

/* What bounds the run: the flag, the workflow, or the shorter of both. */
static void set_deadline(struct sl_run *run)
{
	int64_t flag = run->options->timeout_ms, plan = run->plan->timeout_ms;

	run->timeout_ms = flag && plan ? (flag < plan ? flag : plan) : flag + plan;
	run->begun_ms = sl_clock_monotonic_ms();
	if (run->timeout_ms)
		sl_loop_set(run->loop, &run->deadline, run->begun_ms + run->timeout_ms,
			on_deadline, run);
}

static void clean_up(struct sl_run *run)
{
	for (size_t i = 0; i < run->n_parts; i++) {
		sl_dispatch_free(run->parts[i].dispatch);
		sl_lines_free(run->parts[i].lines);
	}
	sl_fleet_free(run->fleet);
	sl_loop_free(run->loop);
	for (size_t i = 0; i < run->n_parts; i++)
		sl_job_deinit(&run->jobs[i]);
	sl_render_free(run->render);
	free(run->jobs);
	free(run->parts);
}

static void show_summary(struct sl_run *run)
{
	struct sl_render_run summary = {
		.id = run->id,
		.workflow = run->plan->workflow,
		.jobs = run->jobs,
		.n_jobs = run->n_parts,
		.duration_ms = sl_clock_monotonic_ms() - run->begun_ms,
		.outcome = run->outcome,
	};

	sl_render_finish(run->render, &summary);
}

int sl_run(const struct sl_plan *plan, const struct sl_options *options, enum sl_exit *out,
	struct sl_error *err)
{
	struct sl_run run = {.plan = plan, .options = options};
	int rc;

	/* A reader of stdout who leaves must not end us: private agents are to be ended. */
	signal(SIGPIPE, SIG_IGN);
	rc = prepare(&run, err);
	if (!rc) {
		sl_loop_on_signal(run.loop, on_signal, &run);
		set_deadline(&run);
		go_on(&run);
		if (run.phase != PHASE_OVER)
			sl_loop_run(run.loop);
		show_summary(&run);
		*out = sl_outcome_exit(&run.outcome);
	}
	clean_up(&run);
	return rc;
}
