/* SPDX-License-Identifier: MIT */
#include "agent/jobs.h"

#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/crew.h"
#include "agent/loop.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "proto/message.h"
#include "proto/task_msg.h"

#define KEEP_FINISHED_MS (24 * 3600 * 1000)
#define MAX_FINISHED 10000
#define MAX_FINISHED_BYTES (64u << 20)
#define MAX_QUEUED_BYTES (256u << 20)

/* So many bytes of events leave holes in the heap that are worth giving back. */
#define TRIM_BYTES (4u << 20)

TAILQ_HEAD(job_list, sl_job);

struct sl_jobs {
	struct sl_job_home home;
	const struct sl_jobs_ops *ops;
	void *ctx;
	size_t prefork;       /* immutable after new */
	struct sl_bytes user; /* immutable after new: whom tasks run as */
	char *user_text;
	struct sl_admission *admission;
	struct sl_crew *crew;
	struct sl_loop_timer *expiry;
	struct job_list live;     /* sl_job.live */
	struct job_list unmanned; /* sl_job.unmanned: admitted, waiting for a hand */
	size_t n_live, n_unmanned;
	uint64_t n_total;
	uint64_t n_refused[SL_N_REFUSALS];
	uint64_t trimmed_at; /* home.event_bytes when the heap was last trimmed */
	bool was_ready;
};

static void on_changed(void *ctx, struct sl_job *job)
{
	struct sl_jobs *jobs = ctx;

	jobs->ops->changed(jobs->ctx, job);
	if (sl_state_is_terminal(job->record->state) && !sl_loop_timer_is_set(jobs->expiry))
		sl_loop_timer_set(jobs->expiry, KEEP_FINISHED_MS);
}

static void on_expiry(void *ctx)
{
	struct sl_jobs *jobs = ctx;
	int64_t in_ms = sl_store_expire(jobs->home.store, sl_clock_monotonic_ms());

	if (in_ms >= 0)
		sl_loop_timer_set(jobs->expiry, in_ms);
}

/* A worker that is taken from a stock that is still half full is replaced when it is gone, so
 * that the new one's birth doesn't take the processor from the task. */
static void fill_crew(struct sl_jobs *jobs, bool at_leisure)
{
	if (at_leisure || jobs->n_unmanned > 0 ||
		sl_crew_n_idle(jobs->crew) * 2 < jobs->prefork)
		sl_crew_fill(jobs->crew, jobs->n_unmanned);
}

static void unlink_unmanned(struct sl_jobs *jobs, struct sl_job *job)
{
	TAILQ_REMOVE(&jobs->unmanned, job, unmanned);
	job->is_unmanned = false;
	jobs->n_unmanned--;
}

static void man_jobs(struct sl_jobs *jobs)
{
	struct sl_job *job;

	while ((job = TAILQ_FIRST(&jobs->unmanned))) {
		struct sl_hand *hand = sl_crew_take(jobs->crew, job);

		if (!hand)
			break;
		unlink_unmanned(jobs, job);
		sl_job_start(job, hand);
	}
}

static void add_unmanned(struct sl_jobs *jobs, struct sl_job *job)
{
	TAILQ_INSERT_TAIL(&jobs->unmanned, job, unmanned);
	job->is_unmanned = true;
	jobs->n_unmanned++;
}

/* It has ended, and no worker has it. */
static void drop(struct sl_jobs *jobs, struct sl_job *job)
{
	if (job->is_unmanned)
		unlink_unmanned(jobs, job);
	sl_admission_leave(jobs->admission, &job->ticket, sl_clock_monotonic_ms());
	TAILQ_REMOVE(&jobs->live, job, live);
	jobs->n_live--;
	sl_job_free(job);
}

static struct sl_job *job_of(struct sl_ticket *ticket)
{
	return (struct sl_job *)((char *)ticket - offsetof(struct sl_job, ticket));
}

static void let_in(struct sl_jobs *jobs)
{
	struct sl_ticket *ticket;

	while ((ticket = sl_admission_next(jobs->admission, sl_clock_monotonic_ms())))
		add_unmanned(jobs, job_of(ticket));
	man_jobs(jobs);
}

static void tell_idle(struct sl_jobs *jobs)
{
	if (jobs->n_live == 0)
		jobs->ops->idle(jobs->ctx);
}

static void on_hand_ready(void *ctx)
{
	struct sl_jobs *jobs = ctx;

	man_jobs(jobs);
	if (!jobs->was_ready && sl_crew_n_idle(jobs->crew) >= jobs->prefork) {
		jobs->was_ready = true;
		jobs->ops->ready(jobs->ctx);
	}
}

static void on_frame(void *ctx, struct sl_hand *hand, const struct sl_link_frame *frame)
{
	(void)ctx;
	sl_job_take_frame(hand->user, frame);
}

static void on_paused(void *ctx, struct sl_hand *hand)
{
	(void)ctx;
	sl_job_take_pause(hand->user);
}

static void trim_heap(struct sl_jobs *jobs)
{
	if (jobs->n_live > 0 || jobs->home.event_bytes - jobs->trimmed_at < TRIM_BYTES)
		return;
	jobs->trimmed_at = jobs->home.event_bytes;
	malloc_trim(0);
}

static void on_gone(void *ctx, struct sl_hand *hand, const struct sl_hand_end *end)
{
	struct sl_jobs *jobs = ctx;
	struct sl_job *job = hand->user;

	sl_job_take_end(job, end);
	drop(jobs, job);
	let_in(jobs);
	fill_crew(jobs, true);
	trim_heap(jobs);
	tell_idle(jobs);
}

static void on_child(void *ctx)
{
	struct sl_jobs *jobs = ctx;

	sl_crew_on_child(jobs->crew);
}

static void on_lost(void *ctx)
{
	struct sl_jobs *jobs = ctx;

	jobs->ops->lost(jobs->ctx);
}

static const struct sl_crew_ops crew_ops = {
	.ready = on_hand_ready,
	.frame = on_frame,
	.paused = on_paused,
	.gone = on_gone,
	.lost = on_lost,
};

static void learn_user(struct sl_jobs *jobs)
{
	struct passwd *entry = getpwuid(geteuid());

	jobs->user_text = strdup(entry ? entry->pw_name : "");
	jobs->user = sl_bytes_of(jobs->user_text);
}

static const struct sl_store_limits store_limits = {
	.keep_finished_ms = KEEP_FINISHED_MS,
	.max_finished = MAX_FINISHED,
	.max_finished_bytes = MAX_FINISHED_BYTES,
};

int sl_jobs_new(struct sl_loop *loop, const struct sl_jobs_config *config,
	const struct sl_jobs_ops *ops, void *ctx, struct sl_jobs **out, struct sl_error *err)
{
	struct sl_jobs *jobs = calloc(1, sizeof(*jobs));
	int result;

	if (!jobs)
		return sl_fail(err, SL_ENOMEM, "no memory for the jobs");
	sl_job_home_init(&jobs->home, loop, on_changed, jobs);
	jobs->ops = ops;
	jobs->ctx = ctx;
	jobs->prefork = config->prefork;
	jobs->was_ready = config->prefork == 0; /* there is nothing to wait for */
	TAILQ_INIT(&jobs->live);
	TAILQ_INIT(&jobs->unmanned);
	learn_user(jobs);
	result = sl_store_new(&store_limits, &jobs->home.store, err);
	if (result == 0)
		result = sl_admission_new(config->max_tasks, config->max_queued,
			MAX_QUEUED_BYTES, &jobs->admission, err);
	if (result == 0)
		result = sl_loop_timer_new(loop, on_expiry, jobs, &jobs->expiry, err);
	if (result == 0)
		result = sl_loop_signal(loop, SIGCHLD, on_child, jobs, err);
	if (result == 0)
		result = sl_crew_new(loop, config->prefork, &crew_ops, jobs, &jobs->crew, err);
	if (result < 0) {
		sl_jobs_free(jobs);
		return result;
	}
	*out = jobs;
	return 0;
}

void sl_jobs_keep_spawner(struct sl_jobs *jobs)
{
	sl_crew_keep_spawner(jobs->crew);
}

void sl_jobs_free(struct sl_jobs *jobs)
{
	struct sl_job *job;

	if (!jobs)
		return;
	sl_crew_free(jobs->crew);
	while ((job = TAILQ_FIRST(&jobs->live))) {
		TAILQ_REMOVE(&jobs->live, job, live);
		job->record = NULL;
		sl_job_free(job);
	}
	sl_loop_timer_free(jobs->expiry);
	sl_admission_free(jobs->admission);
	sl_store_free(jobs->home.store);
	free(jobs->user_text);
	free(jobs);
}

static int check_head(
	const struct sl_jobs *jobs, const struct sl_task_head *head, struct sl_error *err)
{
	if (head->processes > 0)
		return sl_fail(err, SL_EBAD_TASK,
			"limits.processes: this agent can't limit the number of processes yet; "
			"leave it out");
	if (head->user.size == 0 || sl_bytes_equal(head->user, jobs->user))
		return 0;
	return sl_fail(err, SL_EDENIED,
		"this agent runs tasks as '%s' and can't run one as '%.*s'; leave user out, or "
		"run an agent as that user",
		jobs->user_text, (int)head->user.size, head->user.data);
}

static int make_job(struct sl_jobs *jobs, const struct sl_request *request,
	const struct sl_task_head *task, struct sl_bytes who, struct sl_job **out,
	struct sl_error *err)
{
	struct sl_store_head head = {
		request->job, task->name, task->workflow, task->run, who, sl_clock_wall_us()};
	struct sl_record *record;
	int result = sl_store_add(jobs->home.store, &head, &record, err);

	if (result < 0)
		return result;
	result = sl_job_new(&jobs->home, record, request->task, task->timeout_ms, out, err);
	if (result < 0)
		sl_store_forget(jobs->home.store, record);
	return result;
}

static int admit(struct sl_jobs *jobs, struct sl_ticket *ticket, size_t size,
	uint64_t *out_retry_ms, struct sl_error *err)
{
	switch (sl_admission_ask(
		jobs->admission, ticket, size, sl_clock_monotonic_ms(), out_retry_ms)) {
	case SL_ADMISSION_BUSY:
		return sl_fail(err, SL_EBUSY,
			"%zu tasks run here and %zu wait: come back in %llu ms",
			sl_admission_n_inside(jobs->admission),
			sl_admission_n_waiting(jobs->admission),
			(unsigned long long)*out_retry_ms);
	case SL_ADMISSION_DRAINING:
		return sl_fail(err, SL_EDRAINING, "the agent is stopping");
	default:
		return 0;
	}
}

/* A job that was not let in leaves no trace. */
static void undo(struct sl_jobs *jobs, struct sl_job *job)
{
	job->record->live = NULL;
	sl_store_forget(jobs->home.store, job->record);
	job->record = NULL;
	sl_job_free(job);
}

static void welcome(struct sl_jobs *jobs, struct sl_job *job)
{
	TAILQ_INSERT_TAIL(&jobs->live, job, live);
	jobs->n_live++;
	jobs->n_total++;
	if (job->ticket.place == SL_TICKET_INSIDE)
		add_unmanned(jobs, job);
	man_jobs(jobs);
	fill_crew(jobs, false);
}

static int take_in(struct sl_jobs *jobs, const struct sl_request *request, struct sl_bytes who,
	struct sl_record **out, uint64_t *out_retry_ms, struct sl_error *err)
{
	struct sl_record *record = sl_store_find(jobs->home.store, &request->job);
	struct sl_task_head task;
	struct sl_job *job;
	int result;

	if (record) {
		*out = record;
		return SL_JOBS_KNOWN;
	}
	result = sl_task_decode_head(request->task, &task, err);
	if (result == 0)
		result = check_head(jobs, &task, err);
	if (result == 0)
		result = make_job(jobs, request, &task, who, &job, err);
	if (result < 0)
		return result;
	result = admit(jobs, &job->ticket, request->task.size, out_retry_ms, err);
	if (result < 0) {
		undo(jobs, job);
		return result;
	}
	*out = job->record;
	welcome(jobs, job);
	return 0;
}

static enum sl_refusal refusal_of(int code)
{
	switch (code) {
	case SL_EBUSY:
		return SL_REFUSAL_BUSY;
	case SL_EDRAINING:
		return SL_REFUSAL_DRAINING;
	case SL_EDENIED:
		return SL_REFUSAL_DENIED;
	case SL_ENOMEM:
		return SL_REFUSAL_OTHER;
	default:
		return SL_REFUSAL_BAD_TASK;
	}
}

int sl_jobs_submit(struct sl_jobs *jobs, const struct sl_request *request, struct sl_bytes who,
	struct sl_record **out, uint64_t *out_retry_ms, struct sl_error *err)
{
	int result = take_in(jobs, request, who, out, out_retry_ms, err);

	if (result < 0)
		jobs->n_refused[refusal_of(result)]++;
	return result;
}

struct sl_record *sl_jobs_find(struct sl_jobs *jobs, const struct sl_job_id *id)
{
	return sl_store_find(jobs->home.store, id);
}

static void stop(struct sl_jobs *jobs, struct sl_job *job, enum sl_state state, const char *why,
	struct sl_bytes by)
{
	sl_job_stop(job, state, why, by);
	if (!job->record && !job->hand)
		drop(jobs, job);
}

void sl_jobs_cancel(
	struct sl_jobs *jobs, struct sl_record *record, const char *why, struct sl_bytes by)
{
	if (!record->live)
		return;
	stop(jobs, record->live, SL_STATE_CANCELLED, why, by);
	let_in(jobs);
	tell_idle(jobs);
}

void sl_jobs_acknowledge(struct sl_jobs *jobs, struct sl_record *record, uint64_t upto)
{
	uint64_t freed = sl_store_acknowledge(jobs->home.store, record, upto);

	if (record->live && freed > 0)
		sl_job_credit(record->live, freed);
}

int sl_jobs_forget(struct sl_jobs *jobs, struct sl_record *record, struct sl_error *err)
{
	if (record->live)
		return sl_fail(err, SL_EINVALID,
			"the job is still %s; cancel it, or wait for its end",
			sl_state_name(record->state));
	sl_store_forget(jobs->home.store, record);
	return 0;
}

struct sl_store *sl_jobs_store(struct sl_jobs *jobs)
{
	return jobs->home.store;
}

void sl_jobs_drain(struct sl_jobs *jobs)
{
	struct sl_ticket *ticket;

	sl_admission_drain(jobs->admission);
	while ((ticket = sl_admission_first_waiting(jobs->admission)))
		stop(jobs, job_of(ticket), SL_STATE_REFUSED, "the agent is stopping",
			sl_bytes_of("agent"));
	tell_idle(jobs);
}

void sl_jobs_stop_all(struct sl_jobs *jobs, const char *why)
{
	struct sl_job *job = TAILQ_FIRST(&jobs->live);

	while (job) {
		struct sl_job *next = TAILQ_NEXT(job, live);

		stop(jobs, job, SL_STATE_CANCELLED, why, sl_bytes_of("agent"));
		job = next;
	}
	tell_idle(jobs);
}

size_t sl_jobs_n_live(const struct sl_jobs *jobs)
{
	return jobs->n_live;
}

void sl_jobs_stat(struct sl_jobs *jobs, struct sl_stat *out)
{
	for (int state = 0; state < SL_N_STATES; state++)
		out->jobs_by_state[state] =
			sl_store_count(jobs->home.store, (enum sl_state)state);
	out->running = sl_admission_n_inside(jobs->admission);
	out->queued = sl_admission_n_waiting(jobs->admission);
	out->idle_workers = sl_crew_n_idle(jobs->crew);
	out->tasks_total = jobs->n_total;
	out->event_bytes = jobs->home.event_bytes;
	out->draining = sl_admission_is_draining(jobs->admission);
}

void sl_jobs_count(const struct sl_jobs *jobs, struct sl_jobs_numbers *out)
{
	const struct sl_job_home *home = &jobs->home;

	*out = (struct sl_jobs_numbers){
		.accepted = jobs->n_total,
		.running = sl_admission_n_inside(jobs->admission),
		.queued = sl_admission_n_waiting(jobs->admission),
		.queued_bytes = sl_admission_waiting_bytes(jobs->admission),
		.event_bytes = home->event_bytes,
		.ring_bytes = sl_store_bytes(home->store),
		.dispatch = &home->dispatch,
		.first_event = &home->first_event,
		.run = &home->run,
		.draining = sl_admission_is_draining(jobs->admission),
	};
	for (int state = 0; state < SL_N_STATES; state++)
		out->by_state[state] = sl_store_count(home->store, (enum sl_state)state);
	memcpy(out->refused, jobs->n_refused, sizeof(out->refused));
	memcpy(out->ended, home->ended, sizeof(out->ended));
	sl_crew_count(jobs->crew, &out->crew);
	sl_crew_tally(jobs->crew, &out->tally);
}

size_t sl_jobs_workers(const struct sl_jobs *jobs, pid_t *out, size_t max)
{
	return sl_crew_pids(jobs->crew, out, max);
}

void sl_jobs_ping(struct sl_jobs *jobs, void (*fn)(void *ctx), void *ctx)
{
	sl_crew_ping(jobs->crew, fn, ctx);
}
