/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "proto/items.h"
#include "proto/limits.h"
#include "proto/message.h"
#include "proto/pack.h"
#include "proto/record.h"
#include "proto/scan.h"

#define FIELD(key_, member, type_, ...)                                                        \
	{                                                                                      \
		.key = key_, .type = SL_RECORD_##type_,                                        \
		.offset = offsetof(struct sl_reply, member), __VA_ARGS__                       \
	}
#define STAT(member, type_, ...) FIELD(#member, stat.member, type_, __VA_ARGS__)
#define RECORD(text, table)                                                                    \
	{                                                                                      \
		text, table, sizeof(table) / sizeof((table)[0])                                \
	}

static const struct sl_record_field refusal_fields[] = {
	FIELD("msg", msg, STRING),
	FIELD("retry_ms", retry_ms, UINT),
};
static const struct sl_record_field challenge_fields[] = {
	FIELD("msg", msg, STRING),
	FIELD("name", hello.name, STRING, .size = SL_MAX_NAME_BYTES),
	FIELD("boot", hello.boot, FIXED, .size = SL_BOOT_ID_SIZE, .required = true),
	FIELD("nonce", hello.nonce, FIXED, .size = SL_NONCE_SIZE, .required = true),
};
static const struct sl_record_field hello_fields[] = {
	FIELD("name", hello.name, STRING, .size = SL_MAX_NAME_BYTES),
	FIELD("version", hello.version, STRING, .size = SL_MAX_NAME_BYTES),
	FIELD("lua", hello.lua, STRING, .size = SL_MAX_NAME_BYTES),
	FIELD("role", hello.role, STRING, .size = SL_MAX_NAME_BYTES),
	FIELD("boot", hello.boot, FIXED, .size = SL_BOOT_ID_SIZE, .required = true),
	FIELD("max_message_bytes", hello.max_message_bytes, UINT),
};
static const struct sl_record_field events_fields[] = {
	FIELD("state", state, STATE, .required = true),
	FIELD("last", last, UINT),
	FIELD("more", more, BOOLEAN),
};
static const struct sl_record_field cancel_fields[] = {
	FIELD("state", state, STATE, .required = true),
};
static const struct sl_record_field jobs_fields[] = {
	FIELD("total", total, UINT),
};
static const struct sl_record_field stat_fields[] = {
	STAT(name, STRING),
	STAT(version, STRING),
	STAT(host, STRING),
	STAT(lua, STRING),
	STAT(boot, FIXED, .size = SL_BOOT_ID_SIZE, .required = true),
	STAT(uptime_ms, UINT),
	STAT(pid, UINT),
	STAT(rss_bytes, UINT),
	STAT(cpus, UINT),
	STAT(load1, NUMBER),
	STAT(running, UINT),
	STAT(queued, UINT),
	STAT(max_tasks, UINT),
	STAT(max_queued, UINT),
	STAT(idle_workers, UINT),
	STAT(connections, UINT),
	STAT(hello_failures, UINT),
	STAT(tasks_total, UINT),
	STAT(event_bytes, UINT),
	STAT(draining, BOOLEAN),
};

static const struct sl_record records[SL_N_OPS] = {
	[SL_OP_HELLO] = RECORD("reply to hello", hello_fields),
	[SL_OP_SUBMIT] = RECORD("reply to submit", events_fields),
	[SL_OP_NEXT] = RECORD("reply to next", events_fields),
	[SL_OP_CANCEL] = RECORD("reply to cancel", cancel_fields),
	[SL_OP_JOBS] = RECORD("reply to jobs", jobs_fields),
	[SL_OP_STAT] = RECORD("reply to stat", stat_fields),
	[SL_OP_FORGET] = {"reply to forget", NULL, 0},
};
static const struct sl_record refusal_record = RECORD("refusal", refusal_fields);
static const struct sl_record challenge_record = RECORD("challenge", challenge_fields);

#define ROW(key_, member, type_, ...)                                                          \
	{                                                                                      \
		.key = key_, .type = SL_RECORD_##type_,                                        \
		.offset = offsetof(struct sl_job_row, member), __VA_ARGS__                     \
	}
static const struct sl_record_field row_fields[] = {
	ROW("job", job, FIXED, .size = SL_JOB_ID_SIZE, .required = true),
	ROW("state", state, STATE, .required = true),
	ROW("name", name, STRING),
	ROW("workflow", workflow, STRING),
	ROW("run", run, STRING),
	ROW("controller", controller, STRING),
	ROW("accepted_us", accepted_us, INT),
	ROW("started_us", started_us, INT),
	ROW("ended_us", ended_us, INT),
	ROW("last", last, UINT),
};
static const struct sl_record row_record = RECORD("reply to jobs", row_fields);

/* What each reply has, and its lists. */
struct envelope {
	uint64_t v;
	struct sl_bytes ok, code, events, jobs;
};
static const struct sl_record_field envelope_fields[] = {
	{"v", SL_RECORD_UINT, offsetof(struct envelope, v), 0, true},
	{"ok", SL_RECORD_RAW, offsetof(struct envelope, ok), 0, true},
	{"code", SL_RECORD_STRING, offsetof(struct envelope, code), 0, false},
	{"events", SL_RECORD_RAW, offsetof(struct envelope, events), 0, false},
	{"jobs", SL_RECORD_RAW, offsetof(struct envelope, jobs), 0, false},
};
static const struct sl_record envelope_record = RECORD("reply", envelope_fields);

static const struct sl_record *refusal_of(enum sl_code code)
{
	return code == SL_EHELLO ? &challenge_record : &refusal_record;
}

static void put_head(struct sl_pack *pack, bool ok, size_t n_more)
{
	msgpack_pack_map(&pack->to, 2 + n_more);
	sl_pack_word(pack, "v");
	msgpack_pack_int(&pack->to, SL_PROTOCOL_VERSION);
	sl_pack_word(pack, "ok");
	sl_pack_boolean(pack, ok);
}

static void put_refusal(struct sl_pack *pack, const struct sl_reply *reply)
{
	const struct sl_record *record = refusal_of(reply->code);

	put_head(pack, false, 1 + sl_record_count(record, reply));
	sl_pack_word(pack, "code");
	sl_pack_word(pack, sl_code_name(reply->code));
	sl_record_write(record, reply, pack);
}

static void put_batches(struct sl_pack *pack, const struct sl_reply *reply)
{
	sl_pack_word(pack, "events");
	msgpack_pack_array(&pack->to, reply->n_batches);
	for (size_t i = 0; i < reply->n_batches; i++) {
		const struct sl_batch *batch = &reply->batches[i];

		msgpack_pack_array(&pack->to, 3);
		msgpack_pack_uint64(&pack->to, batch->first);
		msgpack_pack_uint64(&pack->to, batch->count);
		sl_pack_bin(pack, batch->bytes.data, batch->bytes.size);
	}
}

static void put_rows(struct sl_pack *pack, const struct sl_reply *reply)
{
	sl_pack_word(pack, "jobs");
	msgpack_pack_array(&pack->to, reply->n_rows);
	for (size_t i = 0; i < reply->n_rows; i++) {
		msgpack_pack_map(&pack->to, sl_record_count(&row_record, &reply->rows[i]));
		sl_record_write(&row_record, &reply->rows[i], pack);
	}
}

static void put_states(struct sl_pack *pack, const uint64_t counts[SL_N_STATES])
{
	sl_pack_word(pack, "jobs");
	msgpack_pack_map(&pack->to, SL_N_STATES);
	for (unsigned i = 0; i < SL_N_STATES; i++) {
		sl_pack_word(pack, sl_state_name((enum sl_state)i));
		msgpack_pack_uint64(&pack->to, counts[i]);
	}
}

static bool has_events(enum sl_op op)
{
	return op == SL_OP_SUBMIT || op == SL_OP_NEXT;
}

static void put_answer(struct sl_pack *pack, const struct sl_reply *reply)
{
	const struct sl_record *record = &records[reply->op];
	bool has_list =
		has_events(reply->op) || reply->op == SL_OP_JOBS || reply->op == SL_OP_STAT;

	put_head(pack, true, sl_record_count(record, reply) + has_list);
	sl_record_write(record, reply, pack);
	if (has_events(reply->op))
		put_batches(pack, reply);
	else if (reply->op == SL_OP_JOBS)
		put_rows(pack, reply);
	else if (reply->op == SL_OP_STAT)
		put_states(pack, reply->stat.jobs_by_state);
}

int sl_reply_encode(const struct sl_reply *reply, struct sl_buffer *out, struct sl_error *err)
{
	struct sl_pack pack;

	sl_pack_begin(&pack, out, SL_MAX_MESSAGE_BYTES - SL_MAX_ENVELOPE_BYTES);
	if (reply->ok)
		put_answer(&pack, reply);
	else
		put_refusal(&pack, reply);
	return sl_pack_end(&pack, "the reply", err);
}

static int malformed(const char *what, struct sl_error *err)
{
	return sl_fail(err, SL_EPROTOCOL, "a malformed reply: %s", what);
}

static bool get_batch(struct sl_bytes item, struct sl_batch *out)
{
	struct sl_items items;
	struct sl_bytes field;

	return sl_items_of_array(item, &items) && sl_items_next(&items, &field) &&
	       sl_item_uint(field, &out->first) && sl_items_next(&items, &field) &&
	       sl_item_uint(field, &out->count) && sl_items_next(&items, &field) &&
	       sl_item_string(field, &out->bytes) && out->first > 0 &&
	       out->count <= out->bytes.size && out->first <= UINT64_MAX - out->count;
}

static int get_batches(struct sl_bytes document, struct sl_parcel *parcel, struct sl_reply *out,
	struct sl_error *err)
{
	struct sl_batch *batches;
	struct sl_items items;
	struct sl_bytes item;

	if (document.size == 0)
		return 0;
	if (!sl_items_of_array(document, &items))
		return malformed("'events' is no array", err);
	batches = sl_parcel_array(parcel, items.n_left, sizeof(*batches));
	if (!batches)
		return sl_fail(err, SL_ETOO_LARGE, "a reply with too many batches");
	out->batches = batches;
	while (sl_items_next(&items, &item))
		if (!get_batch(item, &batches[out->n_batches++]))
			return malformed("a batch is no [first, count, bytes]", err);
	return 0;
}

static int get_rows(struct sl_bytes document, struct sl_parcel *parcel, struct sl_reply *out,
	struct sl_error *err)
{
	struct sl_job_row *rows;
	struct sl_items items;
	struct sl_bytes item;

	if (document.size == 0)
		return 0;
	if (!sl_items_of_array(document, &items))
		return malformed("'jobs' is no array", err);
	rows = sl_parcel_array(parcel, items.n_left, sizeof(*rows));
	if (!rows)
		return sl_fail(err, SL_ETOO_LARGE, "a reply with too many jobs");
	out->rows = rows;
	while (sl_items_next(&items, &item)) {
		int rc = sl_record_read(
			&row_record, item, SL_EPROTOCOL, &rows[out->n_rows++], err);

		if (rc)
			return rc;
	}
	return 0;
}

/* A state that is not known here is left out. */
static int get_states(
	struct sl_bytes document, uint64_t counts[SL_N_STATES], struct sl_error *err)
{
	struct sl_record_field fields[SL_N_STATES] = {0};
	const struct sl_record record = {"reply to stat: jobs", fields, SL_N_STATES};

	if (document.size == 0)
		return 0;
	for (unsigned i = 0; i < SL_N_STATES; i++)
		fields[i] = (struct sl_record_field){.key = sl_state_name((enum sl_state)i),
			.type = SL_RECORD_UINT,
			.offset = i * sizeof(counts[0])};
	return sl_record_read(&record, document, SL_EPROTOCOL, counts, err);
}

static int get_answer(const struct envelope *envelope, struct sl_bytes bytes,
	struct sl_parcel *parcel, struct sl_reply *out, struct sl_error *err)
{
	int rc = sl_record_read(&records[out->op], bytes, SL_EPROTOCOL, out, err);

	if (rc)
		return rc;
	if (has_events(out->op))
		return get_batches(envelope->events, parcel, out, err);
	if (out->op == SL_OP_JOBS)
		return get_rows(envelope->jobs, parcel, out, err);
	if (out->op == SL_OP_STAT)
		return get_states(envelope->jobs, out->stat.jobs_by_state, err);
	return 0;
}

/* A code that is not known here is a refusal all the same. */
static enum sl_code code_called(struct sl_bytes name)
{
	char text[32];

	if (name.size == 0 || name.size >= sizeof(text))
		return SL_EINVALID;
	memcpy(text, name.data, name.size);
	text[name.size] = '\0';
	return strcmp(text, sl_code_name(SL_OK)) == 0 ? SL_EINVALID : sl_code_from_name(text);
}

int sl_reply_decode(struct sl_bytes bytes, enum sl_op op, struct sl_parcel *parcel,
	struct sl_reply *out, struct sl_error *err)
{
	struct sl_reply reply = {.op = op};
	struct envelope envelope = {0};
	int rc = sl_scan_document(bytes, NULL, err);

	if (rc)
		return rc;
	rc = sl_record_read(&envelope_record, bytes, SL_EPROTOCOL, &envelope, err);
	if (rc)
		return rc;
	if (envelope.v != SL_PROTOCOL_VERSION)
		return sl_fail(err, SL_EPROTOCOL, "protocol version %llu is not spoken here",
			(unsigned long long)envelope.v);
	if (!sl_item_boolean(envelope.ok, &reply.ok))
		return malformed("'ok' is not true or false", err);
	if (reply.ok) {
		rc = get_answer(&envelope, bytes, parcel, &reply, err);
	} else {
		reply.code = code_called(envelope.code);
		rc = sl_record_read(refusal_of(reply.code), bytes, SL_EPROTOCOL, &reply, err);
	}
	if (rc)
		return rc;
	*out = reply;
	return 0;
}
