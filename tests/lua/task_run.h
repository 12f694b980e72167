/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Runs a piece of Lua as a task's function and keeps what it emitted.
 */

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/error.h"
#include "lua/runtime.h"

/* In Lua: nap, a command that runs for long and that no other process of this machine has, and
 * naps(), a line for each that runs now. Without ps it raises: nothing found would be no news.
 */
#define NAP                                                                                    \
	"local nap = 'sleep 98' .. fs.read('/proc/self/stat'):match('%d+') .. '.5'\n"          \
	"local function naps()\n"                                                              \
	"  local found, r = '', exec.run('ps -eo stat,args', {stream = false})\n"              \
	"  assert(r.success, 'ps is missing: install procps')\n"                               \
	"  for line in r.stdout:gmatch('[^\\n]+') do\n"                                        \
	"    if not line:find('^Z') and line:find(nap, 1, true) then\n"                        \
	"      found = found .. line .. '\\n'\n"                                               \
	"    end\n"                                                                            \
	"  end\n"                                                                              \
	"  return found\n"                                                                     \
	"end\n"

/* In Lua: brood, a command whose processes leave their group, session and parent, and each of
 * which makes a file in the directory den; and stays(), who of them is to be seen. Nothing
 * comes between the end of what is looked at and the look. For it the process has to be a
 * subreaper. */
#define BROOD                                                                                  \
	"local den = fs.tmp()\n"                                                               \
	"local brood = 'cd ' .. den .. [[; child=': > $$; exec sleep 600'\n"                   \
	"  (setsid sh -c \"$child\" &); (sh -c \"$child\" &); sh -c \"$child\" &\n"            \
	"  : > $$; sleep 600; true]]\n"                                                        \
	"local function is_full() return #fs.list(den) == 4 end\n"                             \
	"local function stays()\n"                                                             \
	"  local list = {}\n"                                                                  \
	"  for _, pid in ipairs(fs.list(den)) do\n"                                            \
	"    if fs.exists('/proc/' .. pid) then\n"                                             \
	"      list[#list + 1] = pid .. ' ' .. (fs.read('/proc/' .. pid .. '/stat') or '')\n"  \
	"    end\n"                                                                            \
	"  end\n"                                                                              \
	"  for _, pid in ipairs(fs.list(den)) do fs.remove(den .. '/' .. pid) end\n"           \
	"  return table.concat(list, '\\n')\n"                                                 \
	"end\n"

struct task_run {
	struct sl_runtime *runtime;
	struct sl_parcel *parcel;
	struct sl_task task;
	enum sl_state state;

	pthread_mutex_t lock;
	/* Each event as a line: "log info 1: text", "out 1 1: text", "task pool-1 true …", … */
	struct sl_buffer events;
	struct sl_buffer log; /* the messages of log events alone, a line each */
	size_t n_events;
	bool full; /* what emit answers */
	struct sl_event_result result;
	char message[1024], error[1024], traceback[4096];
};

static inline void task_copy(char *to, size_t size, struct sl_bytes bytes)
{
	size_t n = bytes.size < size - 1 ? bytes.size : size - 1;

	if (n > 0)
		memcpy(to, bytes.data, n);
	to[n] = '\0';
}

static inline const char *task_error_text(struct sl_value error, char *text, size_t size)
{
	task_copy(text, size,
		error.kind == SL_VALUE_STRING  ? error.string
		: error.kind == SL_VALUE_TABLE ? sl_bytes_of("(table)")
					       : sl_bytes_of(""));
	return text;
}

static inline void task_record_locked(struct task_run *run, const struct sl_event *event)
{
	char text[1024];

	switch (event->kind) {
	case SL_EVENT_LOG:
		sl_buffer_append(&run->log, event->log.message.data, event->log.message.size);
		sl_buffer_append(&run->log, "\n", 1);
		sl_buffer_printf(&run->events, "log %s %llu: %.*s\n",
			sl_log_level_name(event->log.level),
			(unsigned long long)event->log.goroutine, (int)event->log.message.size,
			event->log.message.data);
		break;
	case SL_EVENT_OUT:
		sl_buffer_printf(&run->events, "out %d: %.*s\n", event->out.stream,
			(int)event->out.bytes.size, event->out.bytes.data);
		break;
	case SL_EVENT_TASK:
		sl_buffer_printf(&run->events, "task %.*s %s %s\n", (int)event->task.id.size,
			event->task.id.data, event->task.success ? "ok" : "failed",
			task_error_text(event->task.error, text, sizeof(text)));
		break;
	case SL_EVENT_POOL:
		sl_buffer_printf(&run->events, "pool %.*s %llu%s\n", (int)event->pool.name.size,
			event->pool.name.data, (unsigned long long)event->pool.completed,
			event->pool.closed ? " closed" : "");
		break;
	case SL_EVENT_RESULT:
		run->result = event->result;
		task_copy(run->message, sizeof(run->message), event->result.message);
		task_error_text(event->result.error, run->error, sizeof(run->error));
		task_copy(run->traceback, sizeof(run->traceback), event->result.traceback);
		break;
	default:
		break;
	}
}

static inline bool task_emit(void *ctx, const struct sl_event *event)
{
	struct task_run *run = ctx;
	bool full;

	pthread_mutex_lock(&run->lock);
	run->n_events++;
	full = run->full;
	task_record_locked(run, event);
	pthread_mutex_unlock(&run->lock);
	return full;
}

/* Makes the runtime and a task whose function is "function(this, params, deps) @body end". */
static inline void task_prepare(
	struct task_run *run, const struct sl_runtime_config *config, const char *body)
{
	struct sl_runtime_host host = {.ctx = run, .emit = task_emit};
	struct sl_buffer text = SL_BUFFER_INIT;
	struct sl_function *function;
	struct sl_error err;

	*run = (struct task_run){.parcel = sl_parcel_new(1 << 20)};
	pthread_mutex_init(&run->lock, NULL);
	if (sl_runtime_new(config, &host, &run->runtime, &err) != 0)
		ck_abort_msg("%s", err.text);
	function = sl_parcel_array(run->parcel, 1, sizeof(*function));
	sl_buffer_printf(&text, "function(this, params, deps)%s\nend", body);
	ck_assert(sl_parcel_copy(run->parcel, sl_buffer_bytes(&text), &function->text));
	sl_buffer_deinit(&text);
	function->file = sl_bytes_of("test.sloth");
	function->line = 1;
	run->task.name = sl_bytes_of("test");
	run->task.meta.agent = sl_bytes_of("here");
	run->task.function = (struct sl_value){.kind = SL_VALUE_FUNCTION, .function = function};
}

static inline void task_finish(struct task_run *run)
{
	sl_runtime_free(run->runtime);
	sl_parcel_free(run->parcel);
	sl_buffer_deinit(&run->events);
	sl_buffer_deinit(&run->log);
	pthread_mutex_destroy(&run->lock);
}

static inline void task_run_with(
	struct task_run *run, const struct sl_runtime_config *config, const char *body)
{
	task_prepare(run, config, body);
	run->state = sl_runtime_run(run->runtime, &run->task);
	sl_buffer_append(&run->events, "", 1);
	sl_buffer_append(&run->log, "", 1);
}

/* On four threads, whatever the machine has. */
static inline void task_run(struct task_run *run, const char *body)
{
	struct sl_runtime_config config = {.threads = 4};

	task_run_with(run, &config, body);
}

/* On one thread: a goroutine that was begun first has its turn first, and until it waits. */
static inline void task_run_in_turn(struct task_run *run, const char *body)
{
	struct sl_runtime_config config = {.threads = 1};

	task_run_with(run, &config, body);
}

/* Expects the task to succeed. */
static inline void task_ok(const char *body)
{
	struct task_run run;

	task_run(&run, body);
	/* Check takes only so much. */
	ck_assert_msg(run.state == SL_STATE_DONE, "%s %s\n%.1000s\n%.1000s", run.message,
		run.error, run.traceback, run.events.data);
	task_finish(&run);
}

/* Expects the task's function to have raised @error (after "test.sloth:LINE: "). */
static inline void task_raises(const char *body, const char *error)
{
	struct task_run run;
	const char *text;

	task_run(&run, body);
	ck_assert_msg(run.state == SL_STATE_FAILED, "it did not fail: %s", body);
	text = strncmp(run.error, "test.sloth:", 11) == 0 ? strchr(run.error + 11, ' ') + 1
	                                                  : run.error;
	ck_assert_str_eq(text, error);
	task_finish(&run);
}

/* A thread: cancels the task at its first event. */
static inline void *task_cancel_after_log(void *arg)
{
	struct task_run *task = arg;
	size_t n = 0;

	while (n == 0) {
		pthread_mutex_lock(&task->lock);
		n = task->n_events;
		pthread_mutex_unlock(&task->lock);
		usleep(1000);
	}
	sl_runtime_cancel(task->runtime, "enough");
	return NULL;
}

#define task_seen(run, text)                                                                   \
	ck_assert_msg(strstr((run)->events.data, text), "no \"%s\" in:\n%s", text,             \
		(run)->events.data)
