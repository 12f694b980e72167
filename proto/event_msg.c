/* SPDX-License-Identifier: MIT */
#include "proto/event_msg.h"

#include <string.h>

#include "common/error.h"
#include "proto/items.h"
#include "proto/limits.h"
#include "proto/pack.h"
#include "proto/scan.h"
#include "proto/value_reader.h"
#include "proto/value_writer.h"

/* The fields of each kind, behind time and kind, stand in this order; PROTOCOL.md lists them.
 * New ones come at the end: readers ignore what they don't know, and do without what an older
 * writer didn't know. */

static void put_uint(struct sl_pack *pack, uint64_t number)
{
	msgpack_pack_uint64(&pack->to, number);
}

static void put_number(struct sl_pack *pack, double number)
{
	msgpack_pack_double(&pack->to, number);
}

static int put_value(struct sl_pack *pack, const struct sl_value *value, struct sl_error *err)
{
	const struct sl_value_writer writer = {
		.pack = pack, .what = "an event", .lenient = true};

	return sl_value_writer_write(&writer, value, err);
}

static void begin(struct sl_pack *pack, const struct sl_event *event, size_t n_fields)
{
	msgpack_pack_array(&pack->to, 2 + n_fields);
	msgpack_pack_int64(&pack->to, event->time_us);
	put_uint(pack, event->kind);
}

static int put_state(struct sl_pack *pack, const struct sl_event *event)
{
	begin(pack, event, 3);
	sl_pack_word(pack, sl_state_name(event->state.state));
	sl_pack_string(pack, event->state.why);
	sl_pack_string(pack, event->state.by);
	return 0;
}

/* The most frequent one: what has its default is left out. */
static int put_log(struct sl_pack *pack, const struct sl_event *event, struct sl_error *err)
{
	const struct sl_event_log *log = &event->log;
	bool has_fields = log->continued || log->fields.kind != SL_VALUE_NIL;
	int rc = 0;

	begin(pack, event, 3u + has_fields + log->continued);
	put_uint(pack, log->level);
	put_uint(pack, log->goroutine);
	sl_pack_string(pack, log->message);
	if (has_fields)
		rc = put_value(pack, &log->fields, err);
	if (log->continued)
		sl_pack_boolean(pack, true);
	return rc;
}

static int put_out(struct sl_pack *pack, const struct sl_event *event)
{
	const struct sl_event_out *out = &event->out;

	begin(pack, event, 3u + out->continued);
	put_uint(pack, (uint64_t)out->stream);
	put_uint(pack, out->goroutine);
	sl_pack_string(pack, out->bytes);
	if (out->continued)
		sl_pack_boolean(pack, true);
	return 0;
}

static int put_task(struct sl_pack *pack, const struct sl_event *event, struct sl_error *err)
{
	const struct sl_event_task *task = &event->task;
	int rc;

	begin(pack, event, 9);
	sl_pack_string(pack, task->id);
	sl_pack_string(pack, task->pool);
	put_uint(pack, task->goroutine);
	sl_pack_boolean(pack, task->success);
	put_number(pack, task->wait_ms);
	put_number(pack, task->run_ms);
	msgpack_pack_array(&pack->to, task->n_values);
	for (size_t i = 0; i < task->n_values; i++) {
		rc = put_value(pack, &task->values[i], err);
		if (rc)
			return rc;
	}
	rc = put_value(pack, &task->error, err);
	if (rc)
		return rc;
	sl_pack_string(pack, task->traceback);
	return 0;
}

static int put_pool(struct sl_pack *pack, const struct sl_event *event)
{
	const struct sl_pool_stats *pool = &event->pool;

	begin(pack, event, 13);
	sl_pack_string(pack, pool->name);
	put_uint(pack, pool->workers);
	put_uint(pack, pool->active);
	put_uint(pack, pool->completed);
	put_uint(pack, pool->failed);
	put_uint(pack, pool->queued);
	put_uint(pack, pool->submitted);
	put_uint(pack, pool->rejected);
	put_uint(pack, pool->capacity);
	put_uint(pack, pool->peak_active);
	put_number(pack, pool->wait_ms_avg);
	put_number(pack, pool->run_ms_avg);
	sl_pack_boolean(pack, pool->closed);
	return 0;
}

static int put_result(struct sl_pack *pack, const struct sl_event *event, struct sl_error *err)
{
	const struct sl_event_result *result = &event->result;
	int rc;

	begin(pack, event, 10);
	sl_pack_boolean(pack, result->ok);
	sl_pack_string(pack, result->message);
	rc = put_value(pack, &result->outputs, err);
	if (rc)
		return rc;
	rc = put_value(pack, &result->error, err);
	if (rc)
		return rc;
	sl_pack_string(pack, result->traceback);
	put_number(pack, result->duration_ms);
	put_number(pack, result->cpu_ms);
	put_uint(pack, result->peak_memory_bytes);
	put_uint(pack, result->goroutines);
	put_uint(pack, result->failed_goroutines);
	return 0;
}

static int put_dropped(struct sl_pack *pack, const struct sl_event *event)
{
	begin(pack, event, 2);
	put_uint(pack, event->dropped.bytes);
	put_uint(pack, event->dropped.lines);
	return 0;
}

static int put_event(struct sl_pack *pack, const struct sl_event *event, struct sl_error *err)
{
	switch (event->kind) {
	case SL_EVENT_STATE:
		return put_state(pack, event);
	case SL_EVENT_LOG:
		return put_log(pack, event, err);
	case SL_EVENT_OUT:
		return put_out(pack, event);
	case SL_EVENT_TASK:
		return put_task(pack, event, err);
	case SL_EVENT_POOL:
		return put_pool(pack, event);
	case SL_EVENT_RESULT:
		return put_result(pack, event, err);
	case SL_EVENT_DROPPED:
		return put_dropped(pack, event);
	}
	return sl_fail(err, SL_EINVALID, "an event of no kind");
}

int sl_event_encode(const struct sl_event *event, struct sl_buffer *out, struct sl_error *err)
{
	struct sl_pack pack;
	int rc;

	sl_pack_begin(&pack, out, SL_MAX_EVENT_BYTES);
	rc = put_event(&pack, event, err);
	if (rc) {
		sl_pack_undo(&pack);
		return rc;
	}
	return sl_pack_end(&pack, "the event", err);
}

/* An event being read: its fields, one after the other. A field that is not there any more
 * leaves its default; one of the wrong type ends it. */
struct fields {
	struct sl_items items;
	struct sl_parcel *parcel;
	int rc;
	struct sl_error *err;
};

static bool next(struct fields *fields, struct sl_bytes *item)
{
	return fields->rc == 0 && sl_items_next(&fields->items, item);
}

static void expect(struct fields *fields, bool right, const char *what)
{
	if (!right && fields->rc == 0)
		fields->rc =
			sl_fail(fields->err, SL_EPROTOCOL, "a malformed event: no %s", what);
}

static void get_uint(struct fields *fields, uint64_t *out)
{
	struct sl_bytes item;

	if (next(fields, &item))
		expect(fields, sl_item_uint(item, out), "count where one belongs");
}

static void get_number(struct fields *fields, double *out)
{
	struct sl_bytes item;

	if (next(fields, &item))
		expect(fields, sl_item_number(item, out), "number where one belongs");
}

static void get_boolean(struct fields *fields, bool *out)
{
	struct sl_bytes item;

	if (next(fields, &item))
		expect(fields, sl_item_boolean(item, out), "true or false where one belongs");
}

static void get_string(struct fields *fields, struct sl_bytes *out)
{
	struct sl_bytes item;

	if (next(fields, &item))
		expect(fields, sl_item_string(item, out), "string where one belongs");
}

static void get_value(struct fields *fields, struct sl_value *out)
{
	struct sl_bytes item;

	if (next(fields, &item))
		fields->rc = sl_value_reader_read(item, fields->parcel, out, fields->err);
}

static void get_values(struct fields *fields, const struct sl_value **out, size_t *out_n)
{
	struct sl_bytes item;
	struct sl_items items;
	struct sl_value *values;
	size_t n = 0;

	if (!next(fields, &item))
		return;
	if (!sl_items_of_array(item, &items)) {
		expect(fields, false, "list of values where one belongs");
		return;
	}
	values = sl_parcel_array(fields->parcel, items.n_left, sizeof(*values));
	if (!values) {
		fields->rc = sl_fail(fields->err, SL_ETOO_LARGE, "an event too large");
		return;
	}
	while (fields->rc == 0 && sl_items_next(&items, &item))
		fields->rc =
			sl_value_reader_read(item, fields->parcel, &values[n++], fields->err);
	*out = values;
	*out_n = n;
}

static void get_state(struct fields *fields, struct sl_event_state *out)
{
	struct sl_bytes name = {0};
	char text[16] = "";

	get_string(fields, &name);
	if (name.size < sizeof(text) && name.size > 0)
		memcpy(text, name.data, name.size);
	expect(fields, sl_state_from_name(text, &out->state), "state of that name");
	get_string(fields, &out->why);
	get_string(fields, &out->by);
}

static void get_log(struct fields *fields, struct sl_event_log *out)
{
	uint64_t level = SL_LOG_INFO;

	get_uint(fields, &level);
	expect(fields, level <= SL_LOG_DEBUG, "level of that number");
	out->level = (enum sl_log_level)level;
	get_uint(fields, &out->goroutine);
	get_string(fields, &out->message);
	get_value(fields, &out->fields);
	get_boolean(fields, &out->continued);
}

static void get_out(struct fields *fields, struct sl_event_out *out)
{
	uint64_t stream = 0;

	get_uint(fields, &stream);
	expect(fields, stream == 1 || stream == 2, "stream of that number");
	out->stream = (int)stream;
	get_uint(fields, &out->goroutine);
	get_string(fields, &out->bytes);
	get_boolean(fields, &out->continued);
}

static void get_task(struct fields *fields, struct sl_event_task *out)
{
	get_string(fields, &out->id);
	get_string(fields, &out->pool);
	get_uint(fields, &out->goroutine);
	get_boolean(fields, &out->success);
	get_number(fields, &out->wait_ms);
	get_number(fields, &out->run_ms);
	get_values(fields, &out->values, &out->n_values);
	get_value(fields, &out->error);
	get_string(fields, &out->traceback);
}

static void get_pool(struct fields *fields, struct sl_pool_stats *out)
{
	get_string(fields, &out->name);
	get_uint(fields, &out->workers);
	get_uint(fields, &out->active);
	get_uint(fields, &out->completed);
	get_uint(fields, &out->failed);
	get_uint(fields, &out->queued);
	get_uint(fields, &out->submitted);
	get_uint(fields, &out->rejected);
	get_uint(fields, &out->capacity);
	get_uint(fields, &out->peak_active);
	get_number(fields, &out->wait_ms_avg);
	get_number(fields, &out->run_ms_avg);
	get_boolean(fields, &out->closed);
}

static void get_result(struct fields *fields, struct sl_event_result *out)
{
	get_boolean(fields, &out->ok);
	get_string(fields, &out->message);
	get_value(fields, &out->outputs);
	get_value(fields, &out->error);
	get_string(fields, &out->traceback);
	get_number(fields, &out->duration_ms);
	get_number(fields, &out->cpu_ms);
	get_uint(fields, &out->peak_memory_bytes);
	get_uint(fields, &out->goroutines);
	get_uint(fields, &out->failed_goroutines);
}

static void get_event(struct fields *fields, struct sl_event *out)
{
	switch (out->kind) {
	case SL_EVENT_STATE:
		get_state(fields, &out->state);
		break;
	case SL_EVENT_LOG:
		get_log(fields, &out->log);
		break;
	case SL_EVENT_OUT:
		get_out(fields, &out->out);
		break;
	case SL_EVENT_TASK:
		get_task(fields, &out->task);
		break;
	case SL_EVENT_POOL:
		get_pool(fields, &out->pool);
		break;
	case SL_EVENT_RESULT:
		get_result(fields, &out->result);
		break;
	case SL_EVENT_DROPPED:
		get_uint(fields, &out->dropped.bytes);
		get_uint(fields, &out->dropped.lines);
		break;
	}
}

int sl_event_decode(struct sl_bytes batch, size_t *at, struct sl_parcel *parcel,
	struct sl_event *out, struct sl_error *err)
{
	struct fields fields = {.parcel = parcel, .err = err};
	struct sl_bytes rest = {batch.data + *at, batch.size - *at}, item;
	struct sl_event event = {0};
	size_t size = 0;
	uint64_t kind;
	int rc = sl_scan_value(rest, &size, NULL, err);

	if (rc)
		return rc;
	rest.size = size;
	if (!sl_items_of_array(rest, &fields.items) || !sl_items_next(&fields.items, &item) ||
		!sl_item_int(item, &event.time_us) || !sl_items_next(&fields.items, &item) ||
		!sl_item_uint(item, &kind))
		return sl_fail(err, SL_EPROTOCOL,
			"a malformed event: it must begin [time, kind, ...]");
	if (kind < SL_N_EVENT_KINDS) {
		event.kind = (enum sl_event_kind)kind;
		get_event(&fields, &event);
		if (fields.rc)
			return fields.rc;
		*out = event;
	}
	*at += size;
	return kind < SL_N_EVENT_KINDS ? 0 : SL_EVENT_SKIPPED;
}
