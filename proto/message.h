/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Message: requests and their replies as plain data, and as the msgpack maps
 * that go over the wire. Strings and bytes are borrowed from the message that
 * was decoded.
 */

#include "common/buffer.h"
#include "common/error.h"
#include "common/parcel.h"
#include "common/state.h"
#include "common/task.h"

#define SL_KEY_SIZE 32
#define SL_NONCE_SIZE 32
#define SL_SIGNATURE_SIZE 64
#define SL_BOOT_ID_SIZE 16

enum sl_op {
	SL_OP_HELLO,
	SL_OP_SUBMIT,
	SL_OP_NEXT,
	SL_OP_CANCEL,
	SL_OP_JOBS,
	SL_OP_STAT,
	SL_OP_FORGET,
};

#define SL_N_OPS (SL_OP_FORGET + 1)

/* "hello", "submit", …; static memory. */
const char *sl_op_name(enum sl_op op);

/* False, and *out left alone, for a name that is no op's. */
bool sl_op_from_name(struct sl_bytes name, enum sl_op *out);

struct sl_request {
	enum sl_op op;
	struct sl_job_id job;   /* submit, next, cancel, forget */
	struct sl_bytes task;   /* submit: an encoded task */
	uint64_t after;         /* submit, next */
	uint64_t wait_ms;       /* submit, next; at most SL_MAX_WAIT_MS when decoded */
	uint64_t max_bytes;     /* submit, next; 0: as much as the agent likes */
	struct sl_bytes reason; /* cancel */
	struct sl_bytes filter; /* jobs: a state's name, or empty for all */
	uint64_t offset, limit; /* jobs: the page */
	struct {
		bool signed_; /* key, nonce and sig are there: not on a connection's first hello
		               */
		uint8_t key[SL_KEY_SIZE];
		uint8_t nonce[SL_NONCE_SIZE];
		uint8_t sig[SL_SIGNATURE_SIZE];
		struct sl_bytes name, version;
	} hello;
};

/* One batch of a reply to submit or next. */
struct sl_batch {
	uint64_t first, count; /* numbers of its events: first … first+count-1 */
	struct sl_bytes bytes;
};

struct sl_job_row { /* a job as `jobs` lists it */
	struct sl_job_id job;
	enum sl_state state;
	struct sl_bytes name, workflow, run, controller;
	int64_t accepted_us, started_us, ended_us; /* wall clock; 0: not yet */
	uint64_t last;                             /* number of its last event */
};

struct sl_stat { /* what `stat` says of an agent */
	struct sl_bytes name, version, host, lua;
	uint8_t boot[SL_BOOT_ID_SIZE];
	uint64_t uptime_ms, pid, rss_bytes, cpus;
	double load1;
	uint64_t jobs_by_state[SL_N_STATES]; /* of those the agent still has */
	uint64_t running, queued, max_tasks, max_queued, idle_workers;
	uint64_t connections, hello_failures, tasks_total, event_bytes;
	bool draining;
};

struct sl_reply {
	enum sl_op op; /* which request it answers: the wire doesn't say, the asker knows */
	bool ok;
	/* not ok */
	enum sl_code code;
	struct sl_bytes msg;
	uint64_t retry_ms; /* with SL_EBUSY */
	/* hello, and a refusal with SL_EHELLO: what there is to sign */
	struct {
		struct sl_bytes name, version, lua, role;
		uint8_t boot[SL_BOOT_ID_SIZE];
		uint8_t nonce[SL_NONCE_SIZE]; /* with SL_EHELLO */
		uint64_t max_message_bytes;
	} hello;
	/* submit, next, cancel */
	enum sl_state state;
	const struct sl_batch *batches; /* submit, next */
	size_t n_batches;
	uint64_t last;
	bool more;
	/* jobs */
	const struct sl_job_row *rows;
	size_t n_rows;
	uint64_t total;
	/* stat */
	struct sl_stat stat;
};

/* Appends to @out, which on failure has what it had. Returns 0, SL_ENOMEM or SL_ETOO_LARGE. */
int sl_request_encode(const struct sl_request *request, struct sl_buffer *out,
	struct sl_error *err) sl_must_check;

/* Any bytes are safe: scanned before they are parsed. SL_EUNKNOWN_OP for an op that is not in
 * the list, SL_EPROTOCOL for what is no request, SL_EINVALID for a field that can't be right,
 * SL_ETOO_LARGE over a limit. */
int sl_request_decode(
	struct sl_bytes bytes, struct sl_request *out, struct sl_error *err) sl_must_check;

/* As sl_request_encode(). */
int sl_reply_encode(const struct sl_reply *reply, struct sl_buffer *out,
	struct sl_error *err) sl_must_check;

/* Reads the reply to a request of @op. Its arrays live in @parcel. */
int sl_reply_decode(struct sl_bytes bytes, enum sl_op op, struct sl_parcel *parcel,
	struct sl_reply *out, struct sl_error *err) sl_must_check;
