/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "proto/limits.h"
#include "proto/message.h"
#include "proto/pack.h"
#include "proto/record.h"
#include "proto/scan.h"

#define FIELD(key_, member, type_, ...)                                                        \
	{                                                                                      \
		.key = key_, .type = SL_RECORD_##type_,                                        \
		.offset = offsetof(struct sl_request, member), __VA_ARGS__                     \
	}
#define RECORD(text, table)                                                                    \
	{                                                                                      \
		text, table, sizeof(table) / sizeof((table)[0])                                \
	}
#define JOB FIELD("job", job, FIXED, .size = SL_JOB_ID_SIZE, .required = true)
#define NEXT                                                                                   \
	FIELD("after", after, UINT), FIELD("wait_ms", wait_ms, UINT),                          \
		FIELD("max_bytes", max_bytes, UINT)

static const struct sl_record_field hello_fields[] = {
	FIELD("name", hello.name, STRING, .size = SL_MAX_NAME_BYTES),
	FIELD("version", hello.version, STRING, .size = SL_MAX_NAME_BYTES),
};
static const struct sl_record_field signed_fields[] = {
	FIELD("key", hello.key, FIXED, .size = SL_KEY_SIZE, .required = true),
	FIELD("nonce", hello.nonce, FIXED, .size = SL_NONCE_SIZE, .required = true),
	FIELD("sig", hello.sig, FIXED, .size = SL_SIGNATURE_SIZE, .required = true),
	FIELD("name", hello.name, STRING, .size = SL_MAX_NAME_BYTES),
	FIELD("version", hello.version, STRING, .size = SL_MAX_NAME_BYTES),
};
static const struct sl_record_field submit_fields[] = {
	JOB,
	FIELD("task", task, RAW, .required = true),
	NEXT,
};
static const struct sl_record_field next_fields[] = {JOB, NEXT};
static const struct sl_record_field cancel_fields[] = {
	JOB,
	FIELD("reason", reason, STRING, .size = SL_MAX_PATH_BYTES),
};
static const struct sl_record_field jobs_fields[] = {
	FIELD("filter", filter, STRING, .size = SL_MAX_NAME_BYTES),
	FIELD("offset", offset, UINT),
	FIELD("limit", limit, UINT),
};
static const struct sl_record_field forget_fields[] = {JOB};

static const struct sl_record records[SL_N_OPS] = {
	[SL_OP_HELLO] = RECORD("hello", hello_fields),
	[SL_OP_SUBMIT] = RECORD("submit", submit_fields),
	[SL_OP_NEXT] = RECORD("next", next_fields),
	[SL_OP_CANCEL] = RECORD("cancel", cancel_fields),
	[SL_OP_JOBS] = RECORD("jobs", jobs_fields),
	[SL_OP_STAT] = {"stat", NULL, 0},
	[SL_OP_FORGET] = RECORD("forget", forget_fields),
};
static const struct sl_record signed_record = RECORD("hello", signed_fields);

/* What each request has. */
struct envelope {
	uint64_t v;
	struct sl_bytes op, key;
};
static const struct sl_record_field envelope_fields[] = {
	{"v", SL_RECORD_UINT, offsetof(struct envelope, v), 0, true},
	{"op", SL_RECORD_STRING, offsetof(struct envelope, op), 0, true},
	{"key", SL_RECORD_RAW, offsetof(struct envelope, key), 0, false},
};
static const struct sl_record envelope_record = RECORD("request", envelope_fields);

int sl_request_encode(
	const struct sl_request *request, struct sl_buffer *out, struct sl_error *err)
{
	bool is_signed = request->op == SL_OP_HELLO && request->hello.signed_;
	const struct sl_record *record = is_signed ? &signed_record : &records[request->op];
	struct sl_pack pack;

	sl_pack_begin(&pack, out, SL_MAX_MESSAGE_BYTES - SL_MAX_ENVELOPE_BYTES);
	msgpack_pack_map(&pack.to, 2 + sl_record_count(record, request));
	sl_pack_word(&pack, "v");
	msgpack_pack_int(&pack.to, SL_PROTOCOL_VERSION);
	sl_pack_word(&pack, "op");
	sl_pack_word(&pack, sl_op_name(request->op));
	sl_record_write(record, request, &pack);
	return sl_pack_end(&pack, "the request", err);
}

static int read_envelope(
	struct sl_bytes bytes, struct envelope *out, enum sl_op *op, struct sl_error *err)
{
	int rc = sl_scan_document(bytes, NULL, err);

	if (rc)
		return rc;
	rc = sl_record_read(&envelope_record, bytes, SL_EPROTOCOL, out, err);
	if (rc)
		return rc;
	if (out->v != SL_PROTOCOL_VERSION)
		return sl_fail(err, SL_EPROTOCOL, "protocol version %llu is not spoken here",
			(unsigned long long)out->v);
	if (!sl_op_from_name(out->op, op))
		return sl_fail(err, SL_EUNKNOWN_OP, "op '%.*s' is not known here",
			out->op.size < 40 ? (int)out->op.size : 40, out->op.data);
	return 0;
}

int sl_request_decode(struct sl_bytes bytes, struct sl_request *out, struct sl_error *err)
{
	struct sl_request request = {0};
	struct envelope envelope = {0};
	const struct sl_record *record;
	int rc = read_envelope(bytes, &envelope, &request.op, err);

	if (rc)
		return rc;
	record = &records[request.op];
	if (request.op == SL_OP_HELLO && envelope.key.size > 0) {
		request.hello.signed_ = true;
		record = &signed_record;
	}
	rc = sl_record_read(record, bytes, SL_EINVALID, &request, err);
	if (rc)
		return rc;
	if (request.wait_ms > SL_MAX_WAIT_MS)
		request.wait_ms = SL_MAX_WAIT_MS;
	*out = request;
	return 0;
}
