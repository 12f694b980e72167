/* SPDX-License-Identifier: MIT */
#include "lua/runtime.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "lua/modules/environment.h"
#include "lua/modules/http.h"
#include "lua/modules/mod_io.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/deadlock.h"
#include "lua/schedule/monitor.h"
#include "lua/schedule/outcome.h"
#include "lua/schedule/preempt.h"
#include "lua/schedule/reactor.h"
#include "lua/schedule/scheduler.h"
#include "lua/schedule/scope.h"
#include "lua/share/share.h"
#include "lua/state/region.h"
#include "lua/sync/channel.h"
#include "lua/sync/pool.h"
#include "lua/task_start.h"

/* Memory of one goroutine, if nothing else is said. */
#define GOROUTINE_MEMORY ((size_t)256 << 20)

/* ---- life ---- */

/* More is ready than there are threads for. */
static void busy(void *ctx)
{
	struct sl_runtime *runtime = ctx;

	sl_monitor_rouse(runtime->monitor);
}

/* A thread has run out of work. */
static void idle(void *ctx)
{
	sl_deadlock_check(ctx);
}

static int make_http(struct sl_runtime *runtime, struct sl_error *err)
{
	runtime->http = sl_http_new(runtime->reactor, &runtime->account);
	return runtime->http ? 0 : sl_fail(err, SL_ENOMEM, "not enough memory");
}

static int fill(struct sl_runtime *runtime, const struct sl_runtime_config *config,
	struct sl_error *err)
{
	size_t limit = config->goroutine_memory_bytes ? config->goroutine_memory_bytes
	                                              : GOROUTINE_MEMORY;
	int code;

	runtime->scope = sl_scope_new(NULL, &runtime->scopes_lock);
	if (!runtime->scope)
		return sl_fail(err, SL_ENOMEM, "not enough memory for a runtime");
	runtime->commons = sl_commons_new();
	runtime->environment = sl_environment_new(&runtime->account);
	if (!runtime->commons || !runtime->environment)
		return sl_fail(err, SL_ENOMEM, "not enough memory for a runtime");
	code = sl_scheduler_new(config->threads, busy, idle, runtime, &runtime->scheduler, err);
	if (code == 0)
		sl_scheduler_seed(runtime->scheduler, config->seed);
	if (code == 0)
		code = sl_reactor_new(&runtime->reactor, err);
	if (code == 0)
		code = sl_deadlines_new(
			runtime->reactor, sl_goroutine_deadline, &runtime->deadlines, err);
	if (code == 0)
		code = make_http(runtime, err);
	if (code == 0)
		code = sl_monitor_new(runtime, config, &runtime->monitor, err);
	if (code == 0)
		code = sl_home_model_init(&runtime->model, &runtime->account, limit, err);
	return code;
}

int sl_runtime_new(const struct sl_runtime_config *config, const struct sl_runtime_host *host,
	struct sl_runtime **out, struct sl_error *err)
{
	struct sl_runtime *runtime = calloc(1, sizeof(*runtime));
	int code;

	if (!runtime)
		return sl_fail(err, SL_ENOMEM, "not enough memory for a runtime");
	runtime->host = *host;
	runtime->tally = &runtime->own_tally;
	runtime->account.limit = config->task_memory_bytes;
	pthread_mutex_init(&runtime->lock, NULL);
	pthread_mutex_init(&runtime->scopes_lock, NULL);
	code = fill(runtime, config, err);
	if (code != 0) {
		sl_runtime_free(runtime);
		return code;
	}
	*out = runtime;
	return 0;
}

void sl_runtime_set_tally(struct sl_runtime *runtime, struct sl_tally *tally)
{
	runtime->tally = tally;
}

void sl_runtime_warm(struct sl_runtime *runtime)
{
	sl_home_model_warm(&runtime->model);
}

void sl_runtime_free(struct sl_runtime *runtime)
{
	if (!runtime)
		return;
	sl_outcome_deinit(&runtime->outcome);
	sl_channels_drain(runtime);
	sl_monitor_free(runtime->monitor);
	sl_deadlines_free(runtime->deadlines);
	sl_http_free(runtime->http);
	sl_reactor_free(runtime->reactor);
	sl_scheduler_free(runtime->scheduler);
	sl_scope_unref(runtime->scope);
	sl_commons_free(runtime->commons);
	sl_environment_free(runtime->environment);
	sl_home_model_deinit(&runtime->model);
	pthread_mutex_destroy(&runtime->lock);
	pthread_mutex_destroy(&runtime->scopes_lock);
	free(runtime);
}

struct sl_reactor *sl_runtime_reactor(struct sl_runtime *runtime)
{
	return runtime->reactor;
}

struct sl_runtime *sl_runtime_of(lua_State *L)
{
	return sl_goroutine_of(L)->runtime;
}

/* ---- events ---- */

bool sl_runtime_emit(struct sl_runtime *runtime, struct sl_event *event)
{
	event->time_us = sl_clock_wall_us();
	return runtime->host.emit(runtime->host.ctx, event);
}

static bool full_enter(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_runtime *runtime = goroutine->runtime;
	bool full;

	pthread_mutex_lock(&runtime->lock);
	full = runtime->n_drained == wait->token;
	if (full)
		sl_waiters_add(&runtime->full, &wait->waiter);
	pthread_mutex_unlock(&runtime->lock);
	return full;
}

static void full_leave(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	pthread_mutex_lock(&goroutine->runtime->lock);
	sl_waiters_remove(&goroutine->runtime->full, &wait->waiter);
	pthread_mutex_unlock(&goroutine->runtime->lock);
}

static const struct sl_wait_kind full_kind = {
	.name = "output",
	.external = true,
	.enter = full_enter,
	.leave = full_leave,
};

uint64_t sl_runtime_drain_mark(struct sl_runtime *runtime)
{
	return atomic_load_explicit(&runtime->n_drained, memory_order_acquire);
}

static int return_results(lua_State *L, int status, lua_KContext n_results)
{
	(void)L;
	(void)status;
	return (int)n_results;
}

int sl_runtime_wait_drained(lua_State *L, uint64_t mark, int n_results)
{
	return sl_runtime_wait_drained_to(L, mark, 0, n_results, return_results);
}

int sl_runtime_wait_drained_to(
	lua_State *L, uint64_t mark, int64_t deadline_ns, lua_KContext ctx, lua_KFunction k)
{
	sl_goroutine_prepare(L, &full_kind, NULL, deadline_ns)->token = mark;
	return sl_goroutine_wait(L, ctx, k);
}

void sl_runtime_drained(struct sl_runtime *runtime)
{
	pthread_mutex_lock(&runtime->lock);
	runtime->n_drained++;
	sl_waiters_wake_all(&runtime->full);
	pthread_mutex_unlock(&runtime->lock);
}

/* ---- stopping ---- */

void sl_runtime_stop_scope(struct sl_runtime *runtime, struct sl_scope *scope)
{
	sl_scope_stop(scope);
	sl_monitor_rouse(runtime->monitor);
}

void sl_runtime_cancel(struct sl_runtime *runtime, const char *why)
{
	pthread_mutex_lock(&runtime->lock);
	if (!runtime->cancelled)
		snprintf(runtime->why, sizeof(runtime->why), "%s", why);
	runtime->cancelled = true;
	pthread_mutex_unlock(&runtime->lock);
	sl_runtime_stop_scope(runtime, runtime->scope);
}

void sl_runtime_note_memory(struct sl_runtime *runtime, const struct sl_outcome *outcome)
{
	struct sl_bytes message = sl_outcome_message(outcome);

	if (!memmem(message.data, message.size, "not enough memory", 17))
		return;
	pthread_mutex_lock(&runtime->lock);
	runtime->exhausted = true;
	pthread_mutex_unlock(&runtime->lock);
	sl_runtime_stop_scope(runtime, runtime->scope);
}

void sl_runtime_exit(struct sl_runtime *runtime, int status)
{
	pthread_mutex_lock(&runtime->lock);
	if (!runtime->exited)
		runtime->exit_status = status;
	runtime->exited = true;
	pthread_mutex_unlock(&runtime->lock);
	sl_runtime_stop_scope(runtime, runtime->scope);
}

/* ---- running a task ---- */

/* The task's function has ended; if it raised, what it left running has to end too. */
static void main_ended(void *ctx, struct sl_goroutine *goroutine, struct sl_outcome *outcome)
{
	struct sl_runtime *runtime = ctx;

	(void)goroutine;
	pthread_mutex_lock(&runtime->lock);
	runtime->outcome = *outcome;
	runtime->ended = true;
	pthread_mutex_unlock(&runtime->lock);
	if (!outcome->ok)
		sl_runtime_stop_scope(runtime, runtime->scope);
}

static double cpu_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

/* What the task came to; the words lie in @text or in the runtime. */
static enum sl_state judge_locked(
	struct sl_runtime *runtime, struct sl_event_result *result, char *text, size_t size)
{
	if (runtime->cancelled) {
		result->message = sl_bytes_of(runtime->why);
		return SL_STATE_CANCELLED;
	}
	if (runtime->exhausted) {
		snprintf(text, size, "the task's memory limit of %zu bytes is reached",
			runtime->account.limit);
		result->message = sl_bytes_of(text);
	} else if (runtime->exited) {
		result->ok = runtime->exit_status == 0;
		if (!result->ok) {
			snprintf(text, size, "exit status %d", runtime->exit_status);
			result->message = sl_bytes_of(text);
		}
	} else {
		sl_task_judge(&runtime->outcome, result, text, size);
	}
	return result->ok ? SL_STATE_DONE : SL_STATE_FAILED;
}

/* A cancel may still come; it is too late from here on. */
static enum sl_state judge(
	struct sl_runtime *runtime, struct sl_event_result *result, char *text, size_t size)
{
	enum sl_state state;

	pthread_mutex_lock(&runtime->lock);
	state = judge_locked(runtime, result, text, size);
	pthread_mutex_unlock(&runtime->lock);
	return state;
}

static enum sl_state finish(struct sl_runtime *runtime, double cpu_ms_before)
{
	struct sl_event event = {.kind = SL_EVENT_RESULT};
	struct sl_event_result *result = &event.result;
	char text[96];
	enum sl_state state = judge(runtime, result, text, sizeof(text));

	result->duration_ms = (double)(sl_clock_monotonic_ns() - runtime->started_ns) / 1e6;
	result->cpu_ms = cpu_ms() - cpu_ms_before;
	result->peak_memory_bytes = atomic_load(&runtime->account.peak);
	result->goroutines = sl_tally_get(runtime->tally, SL_TALLY_GOROUTINES_STARTED);
	result->failed_goroutines = sl_tally_get(runtime->tally, SL_TALLY_GOROUTINES_FAILED);
	sl_runtime_emit(runtime, &event);
	return state;
}

/* What the task came to before it was given up, if that is why something of it had to end. */
static enum sl_state judge_given_up_locked(
	struct sl_runtime *runtime, struct sl_event_result *result, char *text, size_t size)
{
	if (runtime->cancelled || runtime->exhausted || runtime->exited || runtime->ended) {
		enum sl_state state = judge_locked(runtime, result, text, size);

		if (state != SL_STATE_DONE)
			return state;
		*result = (struct sl_event_result){0};
	}
	return SL_STATE_FAILED;
}

void sl_runtime_give_up(
	struct sl_runtime *runtime, uint64_t goroutine, bool sits, int64_t after_ns)
{
	struct sl_event event = {.kind = SL_EVENT_RESULT};
	struct sl_event_result *result = &event.result;
	char why[96], text[600];
	struct sl_bytes before;
	enum sl_state state;

	pthread_mutex_lock(&runtime->lock);
	state = judge_given_up_locked(runtime, result, why, sizeof(why));
	before = result->error.kind == SL_VALUE_NIL ? result->message
	                                            : sl_outcome_message(&runtime->outcome);
	pthread_mutex_unlock(&runtime->lock);
	snprintf(text, sizeof(text),
		"%.*s%sgoroutine %llu %s %d ms after it was stopped; its worker is ended",
		before.size < 300 ? (int)before.size : 300, before.data ? before.data : "",
		before.size > 0 ? "; " : "", (unsigned long long)goroutine,
		sits ? "sits in a function in C, or in a __gc, that has not come back"
		     : "has not ended",
		(int)(after_ns / 1000000));
	result->message = sl_bytes_of(text);
	result->duration_ms = (double)(sl_clock_monotonic_ns() - runtime->started_ns) / 1e6;
	result->peak_memory_bytes = atomic_load(&runtime->account.peak);
	result->goroutines = sl_tally_get(runtime->tally, SL_TALLY_GOROUTINES_STARTED);
	result->failed_goroutines = sl_tally_get(runtime->tally, SL_TALLY_GOROUTINES_FAILED);
	sl_runtime_emit(runtime, &event);
	if (runtime->host.abandon)
		runtime->host.abandon(runtime->host.ctx, state);
	_exit(EXIT_FAILURE);
}

static void on_broken_pipe(int signum)
{
	(void)signum;
}

/* What reads from us may go at any time; that is an error of write() then. A handler and not
 * SIG_IGN, which a program that is started would inherit. */
static void survive_broken_pipes(void)
{
	struct sigaction action = {.sa_handler = on_broken_pipe, .sa_flags = SA_RESTART};

	sigemptyset(&action.sa_mask);
	sigaction(SIGPIPE, &action, NULL);
}

enum sl_state sl_runtime_run(struct sl_runtime *runtime, const struct sl_task *task)
{
	struct sl_start start = {
		.kind = SL_GOROUTINE_MAIN,
		.scope = runtime->scope,
		.begin = sl_task_begin,
		.wants_values = true,
		.ended = main_ended,
		.ctx = runtime,
	};
	double cpu_ms_before = cpu_ms();
	struct sl_error err;

	sl_preempt_setup();
	survive_broken_pipes();
	runtime->task = task;
	runtime->started_ns = sl_clock_monotonic_ns();
	if (sl_goroutine_start(runtime, &start, &err) == 0)
		sl_scheduler_run(runtime->scheduler);
	else
		sl_outcome_fail(&runtime->outcome, err.text);
	sl_region_flush();
	sl_io_flush();
	sl_pools_close_left(runtime);
	return finish(runtime, cpu_ms_before);
}
