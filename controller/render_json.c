/* SPDX-License-Identifier: MIT */

/*
 * JSON: for programs. `-o json` writes one document at the end, `-o jsonl` one
 * object a line as it happens and a last one that sums up. sloth(1) says what is in
 * them, under JSON; a test holds that page and this file against each other. Keys
 * are only ever added.
 */

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/log.h"
#include "controller/json.h"
#include "controller/render.h"

#define FLUSH_BYTES ((size_t)1 << 20)
#define MAX_LOGS_BYTES ((size_t)64 << 20)

struct logs {
	const struct sl_job *job;
	struct sl_buffer text; /* objects with commas between */
	uint64_t dropped;
};

struct json {
	struct sl_render render;
	bool lines;
	struct logs *logs; /* one a job that logged; lines: none */
	size_t n_logs;
};

static void put_state(struct sl_buffer *out, const struct sl_event_state *state)
{
	sl_json_text_member(out, "state", sl_bytes_of(sl_state_name(state->state)));
	sl_json_text_member(out, "why", state->why);
	sl_json_text_member(out, "by", state->by);
}

static void put_log(struct sl_buffer *out, const struct sl_event_log *log)
{
	sl_json_text_member(out, "level", sl_bytes_of(sl_log_level_name(log->level)));
	sl_json_int_member(out, "goroutine", (int64_t)log->goroutine);
	sl_json_text_member(out, "message", log->message);
	if (log->fields.kind != SL_VALUE_NIL)
		sl_json_value_member(out, "fields", &log->fields);
}

static void put_out(struct sl_buffer *out, const struct sl_event_out *event)
{
	sl_json_text_member(
		out, "stream", sl_bytes_of(event->stream == 2 ? "stderr" : "stdout"));
	sl_json_int_member(out, "goroutine", (int64_t)event->goroutine);
	sl_json_text_member(out, "text", event->bytes);
}

static void put_task(struct sl_buffer *out, const struct sl_event_task *task)
{
	sl_json_text_member(out, "id", task->id);
	sl_json_text_member(out, "pool", task->pool);
	sl_json_int_member(out, "goroutine", (int64_t)task->goroutine);
	sl_json_bool_member(out, "success", task->success);
	sl_json_key(out, "values");
	sl_buffer_append(out, "[", 1);
	for (size_t i = 0; i < task->n_values; i++) {
		if (i)
			sl_buffer_append(out, ",", 1);
		sl_json_value(out, &task->values[i]);
	}
	sl_buffer_append(out, "]", 1);
	sl_json_value_member(out, "error", &task->error);
	sl_json_text_member(out, "traceback", task->traceback);
	sl_json_double_member(out, "wait_ms", task->wait_ms);
	sl_json_double_member(out, "run_ms", task->run_ms);
}

static void put_pool(struct sl_buffer *out, const struct sl_pool_stats *pool)
{
	sl_json_text_member(out, "name", pool->name);
	sl_json_int_member(out, "workers", (int64_t)pool->workers);
	sl_json_int_member(out, "active", (int64_t)pool->active);
	sl_json_int_member(out, "completed", (int64_t)pool->completed);
	sl_json_int_member(out, "failed", (int64_t)pool->failed);
	sl_json_int_member(out, "queued", (int64_t)pool->queued);
	sl_json_int_member(out, "submitted", (int64_t)pool->submitted);
	sl_json_int_member(out, "rejected", (int64_t)pool->rejected);
	sl_json_int_member(out, "capacity", (int64_t)pool->capacity);
	sl_json_int_member(out, "peak_active", (int64_t)pool->peak_active);
	sl_json_double_member(out, "wait_ms_avg", pool->wait_ms_avg);
	sl_json_double_member(out, "run_ms_avg", pool->run_ms_avg);
	sl_json_bool_member(out, "closed", pool->closed);
}

static void put_traceback(struct sl_buffer *out, struct sl_bytes traceback)
{
	if (traceback.size)
		sl_json_text_member(out, "traceback", traceback);
	else
		sl_json_value_member(out, "traceback", &(struct sl_value){0});
}

static void put_result(struct sl_buffer *out, const struct sl_event_result *result)
{
	sl_json_bool_member(out, "ok", result->ok);
	sl_json_text_member(out, "message", result->message);
	sl_json_value_member(out, "outputs", &result->outputs);
	sl_json_value_member(out, "error", &result->error);
	put_traceback(out, result->traceback);
	sl_json_double_member(out, "duration_ms", result->duration_ms);
	sl_json_double_member(out, "cpu_ms", result->cpu_ms);
	sl_json_int_member(out, "peak_memory_bytes", (int64_t)result->peak_memory_bytes);
	sl_json_int_member(out, "goroutines", (int64_t)result->goroutines);
	sl_json_int_member(out, "failed_goroutines", (int64_t)result->failed_goroutines);
}

static void put_event(struct sl_buffer *out, const struct sl_event *event)
{
	switch (event->kind) {
	case SL_EVENT_STATE:
		put_state(out, &event->state);
		break;
	case SL_EVENT_LOG:
		put_log(out, &event->log);
		break;
	case SL_EVENT_OUT:
		put_out(out, &event->out);
		break;
	case SL_EVENT_TASK:
		put_task(out, &event->task);
		break;
	case SL_EVENT_POOL:
		put_pool(out, &event->pool);
		break;
	case SL_EVENT_RESULT:
		put_result(out, &event->result);
		break;
	case SL_EVENT_DROPPED:
		sl_json_int_member(out, "bytes", (int64_t)event->dropped.bytes);
		sl_json_int_member(out, "lines", (int64_t)event->dropped.lines);
		break;
	}
}

/* Whether the flags want this event at all. */
static bool is_wanted(const struct sl_render *r, const struct sl_event *event)
{
	return !r->style.quiet &&
	       (event->kind != SL_EVENT_LOG || event->log.level <= r->style.level);
}

static struct logs *logs_of(struct json *json, const struct sl_job *job)
{
	struct logs *logs;

	for (size_t i = 0; i < json->n_logs; i++)
		if (json->logs[i].job == job)
			return &json->logs[i];
	logs = reallocarray(json->logs, json->n_logs + 1, sizeof(*logs));
	if (!logs)
		return NULL;
	json->logs = logs;
	logs[json->n_logs] = (struct logs){.job = job};
	return &logs[json->n_logs++];
}

static void keep_log(struct json *json, const struct sl_job *job, const struct sl_event *event)
{
	struct logs *logs = logs_of(json, job);

	if (!logs)
		return;
	if (logs->text.size > MAX_LOGS_BYTES) {
		logs->dropped++;
		return;
	}
	sl_buffer_printf(&logs->text, "%s{", logs->text.size ? "," : "");
	sl_json_text_member(&logs->text, "event", sl_bytes_of(sl_event_kind_name(event->kind)));
	sl_json_time_member(&logs->text, "time", event->time_us);
	put_event(&logs->text, event);
	sl_buffer_append(&logs->text, "}", 1);
}

static void json_event(struct sl_render *r, const struct sl_job *job, uint64_t number,
	const struct sl_event *event)
{
	struct json *json = (struct json *)r;

	if (!is_wanted(r, event))
		return;
	if (!json->lines) {
		if (event->kind == SL_EVENT_LOG || event->kind == SL_EVENT_OUT ||
			event->kind == SL_EVENT_DROPPED)
			keep_log(json, job, event);
		return;
	}
	sl_buffer_append(r->out, "{", 1);
	sl_json_text_member(r->out, "event", sl_bytes_of(sl_event_kind_name(event->kind)));
	sl_json_time_member(r->out, "time", event->time_us);
	sl_json_text_member(r->out, "task", sl_bytes_of(job->task));
	sl_json_text_member(r->out, "target", sl_bytes_of(job->target));
	sl_json_text_member(r->out, "job", sl_bytes_of(job->id_text));
	sl_json_int_member(r->out, "number", (int64_t)number);
	put_event(r->out, event);
	sl_buffer_append(r->out, "}\n", 2);
}

static void json_note(struct sl_render *r, const char *target, const char *text)
{
	struct json *json = (struct json *)r;

	if (!json->lines || r->style.quiet)
		return;
	sl_buffer_append(r->out, "{", 1);
	sl_json_text_member(r->out, "event", sl_bytes_of("note"));
	sl_json_text_member(r->out, "target", sl_bytes_of(target));
	sl_json_text_member(r->out, "text", sl_bytes_of(text));
	sl_buffer_append(r->out, "}\n", 2);
}

static void json_ended(struct sl_render *r, const struct sl_job *job)
{
	struct json *json = (struct json *)r;

	if (!json->lines || r->style.quiet)
		return;
	sl_buffer_append(r->out, "{", 1);
	sl_json_text_member(r->out, "event", sl_bytes_of("ended"));
	sl_json_text_member(r->out, "task", sl_bytes_of(job->task));
	sl_json_text_member(r->out, "target", sl_bytes_of(job->target));
	sl_json_text_member(r->out, "job", sl_bytes_of(job->begun ? job->id_text : ""));
	sl_json_text_member(r->out, "state", sl_bytes_of(sl_verdict_name(job->verdict)));
	sl_json_text_member(r->out, "message", sl_job_message(job));
	sl_buffer_append(r->out, "}\n", 2);
}

static void put_logs(struct json *json, const struct sl_job *job)
{
	struct sl_buffer *out = json->render.out;
	uint64_t dropped = 0;

	sl_json_key(out, "logs");
	sl_buffer_append(out, "[", 1);
	for (size_t i = 0; i < json->n_logs; i++)
		if (json->logs[i].job == job) {
			sl_buffer_append(out, json->logs[i].text.data, json->logs[i].text.size);
			dropped = json->logs[i].dropped;
		}
	sl_buffer_append(out, "]", 1);
	if (dropped)
		sl_json_int_member(out, "logs_dropped", (int64_t)dropped);
}

static void put_job(struct json *json, const struct sl_job *job)
{
	static const struct sl_value nil = {0};
	struct sl_buffer *out = json->render.out;

	sl_buffer_append(out, "{", 1);
	sl_json_text_member(out, "task", sl_bytes_of(job->task));
	sl_json_text_member(out, "target", sl_bytes_of(job->target));
	sl_json_text_member(out, "job", sl_bytes_of(job->begun ? job->id_text : ""));
	sl_json_text_member(out, "state", sl_bytes_of(sl_verdict_name(job->verdict)));
	sl_json_int_member(out, "attempt", (int64_t)job->attempt);
	sl_json_bool_member(out, "allowed_to_fail", job->allowed_to_fail);
	sl_json_text_member(out, "message", sl_job_message(job));
	sl_json_value_member(out, "outputs", job->has_result ? &job->result.outputs : &nil);
	sl_json_value_member(out, "error", job->has_result ? &job->result.error : &nil);
	put_traceback(
		out, job->has_result ? job->result.traceback : (struct sl_bytes){NULL, 0});
	sl_json_int_member(out, "duration_ms", job->duration_ms);
	if (!json->lines)
		put_logs(json, job);
	sl_buffer_append(out, "}", 1);
}

static void json_finish(struct sl_render *r, const struct sl_render_run *run)
{
	enum sl_exit status = sl_outcome_exit(&run->outcome);
	struct json *json = (struct json *)r;

	sl_buffer_append(r->out, "{", 1);
	if (json->lines)
		sl_json_text_member(r->out, "event", sl_bytes_of("summary"));
	sl_json_text_member(r->out, "run", sl_bytes_of(run->id));
	sl_json_text_member(r->out, "workflow", sl_bytes_of(run->workflow));
	sl_json_bool_member(r->out, "ok", status == SL_EXIT_OK);
	sl_json_int_member(r->out, "exit", status);
	sl_json_int_member(r->out, "duration_ms", run->duration_ms);
	sl_json_key(r->out, "tasks");
	sl_buffer_append(r->out, "[", 1);
	for (size_t i = 0; i < run->n_jobs; i++) {
		if (i)
			sl_buffer_append(r->out, ",", 1);
		put_job(json, run->jobs[i]);
		if (r->out->size > FLUSH_BYTES)
			sl_render_flush(r);
	}
	sl_buffer_append(r->out, "]}\n", 3);
}

static void json_free(struct sl_render *r)
{
	struct json *json = (struct json *)r;

	for (size_t i = 0; i < json->n_logs; i++)
		sl_buffer_deinit(&json->logs[i].text);
	free(json->logs);
	free(json);
}

static const struct sl_render_ops json_ops = {
	.event = json_event,
	.note = json_note,
	.ended = json_ended,
	.finish = json_finish,
	.free = json_free,
};

struct sl_render *sl_render_json_new(bool lines)
{
	struct json *json = calloc(1, sizeof(*json));

	if (!json)
		return NULL;
	json->render.ops = &json_ops;
	json->lines = lines;
	return &json->render;
}
