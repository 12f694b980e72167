/* SPDX-License-Identifier: MIT */
#include "proto/message.h"

#include "proto/limits.h"
#include "tests/support/check_main.h"
#include "tests/support/values.h"

static struct sl_parcel *parcel;
static struct sl_buffer out;

static void setup(void)
{
	parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	ck_assert_ptr_nonnull(parcel);
}

static void teardown(void)
{
	sl_parcel_free(parcel);
	sl_buffer_deinit(&out);
}

static struct sl_request ask(struct sl_request request)
{
	struct sl_error err = {0};
	struct sl_request back;

	sl_buffer_clear(&out);
	ck_assert_msg(sl_request_encode(&request, &out, &err) == 0, "%s", err.text);
	ck_assert_msg(
		sl_request_decode(sl_buffer_bytes(&out), &back, &err) == 0, "%s", err.text);
	ck_assert_int_eq(back.op, request.op);
	return back;
}

static struct sl_reply answer(struct sl_reply reply)
{
	struct sl_error err = {0};
	struct sl_reply back;

	sl_buffer_clear(&out);
	ck_assert_msg(sl_reply_encode(&reply, &out, &err) == 0, "%s", err.text);
	ck_assert_msg(
		sl_reply_decode(sl_buffer_bytes(&out), reply.op, parcel, &back, &err) == 0,
		"%s", err.text);
	ck_assert_int_eq(back.ok, reply.ok);
	return back;
}

static const struct sl_job_id job = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

START_TEST(a_bare_hello_travels)
{
	struct sl_request back = ask((struct sl_request){.op = SL_OP_HELLO,
		.hello = {.name = sl_bytes_of("ctl"), .version = sl_bytes_of("1.0")}});

	ck_assert(!back.hello.signed_);
	sl_test_bytes_eq(back.hello.name, "ctl");
	sl_test_bytes_eq(back.hello.version, "1.0");
}
END_TEST

START_TEST(a_signed_hello_travels)
{
	struct sl_request request = {.op = SL_OP_HELLO, .hello.signed_ = true}, back;

	memset(request.hello.key, 1, sizeof(request.hello.key));
	memset(request.hello.nonce, 2, sizeof(request.hello.nonce));
	memset(request.hello.sig, 3, sizeof(request.hello.sig));
	back = ask(request);
	ck_assert(back.hello.signed_);
	ck_assert_mem_eq(back.hello.key, request.hello.key, SL_KEY_SIZE);
	ck_assert_mem_eq(back.hello.nonce, request.hello.nonce, SL_NONCE_SIZE);
	ck_assert_mem_eq(back.hello.sig, request.hello.sig, SL_SIGNATURE_SIZE);
}
END_TEST

START_TEST(submit_carries_the_task_as_it_is)
{
	static const char task[] = "\x82\xa4name\xa1x\xa5"
				   "chunk\x81\xa4text\xa1y";
	struct sl_request back = ask((struct sl_request){.op = SL_OP_SUBMIT,
		.job = job,
		.task = {task, sizeof(task) - 1},
		.after = 5,
		.wait_ms = 1000,
		.max_bytes = 65536});

	ck_assert_mem_eq(&back.job, &job, sizeof(job));
	sl_test_bytes_eq(back.task, task);
	ck_assert(back.task.data > out.data && back.task.data < out.data + out.size);
	ck_assert_uint_eq(back.after, 5);
	ck_assert_uint_eq(back.wait_ms, 1000);
	ck_assert_uint_eq(back.max_bytes, 65536);
}
END_TEST

START_TEST(the_other_requests_travel)
{
	struct sl_request back =
		ask((struct sl_request){.op = SL_OP_NEXT, .job = job, .after = UINT64_MAX});

	ck_assert_uint_eq(back.after, UINT64_MAX);
	back = ask((struct sl_request){
		.op = SL_OP_CANCEL, .job = job, .reason = sl_bytes_of("Ctrl-C")});
	sl_test_bytes_eq(back.reason, "Ctrl-C");
	back = ask((struct sl_request){
		.op = SL_OP_JOBS, .filter = sl_bytes_of("running"), .offset = 10, .limit = 20});
	sl_test_bytes_eq(back.filter, "running");
	ck_assert_uint_eq(back.offset, 10);
	ck_assert_uint_eq(back.limit, 20);
	ask((struct sl_request){.op = SL_OP_STAT});
	back = ask((struct sl_request){.op = SL_OP_FORGET, .job = job});
	ck_assert_mem_eq(&back.job, &job, sizeof(job));
}
END_TEST

START_TEST(a_long_wait_is_cut)
{
	struct sl_request back =
		ask((struct sl_request){.op = SL_OP_NEXT, .job = job, .wait_ms = UINT64_MAX});

	ck_assert_uint_eq(back.wait_ms, SL_MAX_WAIT_MS);
}
END_TEST

#define V1 "\xa1v\x01"
#define JOB                                                                                    \
	"\xa3job\xc4\x10"                                                                      \
	"0123456789abcdef"

START_TEST(bad_requests_are_refused)
{
	static const struct {
		const char *bytes;
		size_t size;
		int code;
		const char *text;
	} bad[] = {
#define BAD(bytes, code, text) {bytes, sizeof(bytes) - 1, code, text}
		BAD("\x90", SL_EPROTOCOL, "request: no map"),
		BAD("\x81" V1, SL_EPROTOCOL, "request: 'op' is missing"),
		BAD("\x81\xa2op\xa4stat", SL_EPROTOCOL, "request: 'v' is missing"),
		BAD("\x82\xa1v\x02\xa2op\xa4stat", SL_EPROTOCOL,
			"protocol version 2 is not spoken here"),
		BAD("\x82" V1 "\xa2op\xa5"
		    "dance",
			SL_EUNKNOWN_OP, "op 'dance' is not known here"),
		BAD("\x83" V1 V1 "\xa2op\xa4stat", SL_EPROTOCOL, "request: 'v' is there twice"),
		BAD("\x82" V1 "\xa2op\xa4next", SL_EINVALID, "next: 'job' is missing"),
		BAD("\x83" V1 "\xa2op\xa4next\xa3job\xc4\x02xx", SL_EINVALID,
			"next: 'job' must be 16 bytes"),
		BAD("\x84" V1 "\xa2op\xa4next\xa5"
		    "after\xff" JOB,
			SL_EINVALID, "next: 'after' must be an integer, not negative"),
		BAD("\x83" V1 "\xa2op\xa6submit" JOB, SL_EINVALID, "submit: 'task' is missing"),
		BAD("\x83" V1 "\xa2op\xa5hello\xa3key\xc4\x01x", SL_EINVALID,
			"hello: 'key' must be 32 bytes"),
		BAD("\xdd\xff\xff\xff\xff", SL_EPROTOCOL,
			"bad msgpack at byte 0 of 5: cut off or malformed"),
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sl_error err = {0};
		struct sl_request request;

		ck_assert_int_eq(sl_request_decode((struct sl_bytes){bad[i].bytes, bad[i].size},
					 &request, &err),
			bad[i].code);
		ck_assert_str_eq(err.text, bad[i].text);
	}
}
END_TEST

START_TEST(unknown_keys_are_ignored)
{
	static const char bytes[] = "\x84" V1 "\xa3new\x93\x01\x02\x03\x05\x06\xa2op\xa4stat";
	struct sl_request request;

	ck_assert_int_eq(
		sl_request_decode((struct sl_bytes){bytes, sizeof(bytes) - 1}, &request, NULL),
		0);
	ck_assert_int_eq(request.op, SL_OP_STAT);
}
END_TEST

START_TEST(a_refusal_travels)
{
	struct sl_reply back = answer((struct sl_reply){.op = SL_OP_SUBMIT,
		.code = SL_EBUSY,
		.msg = sl_bytes_of("256 tasks run"),
		.retry_ms = 250});

	ck_assert_int_eq(back.code, SL_EBUSY);
	sl_test_bytes_eq(back.msg, "256 tasks run");
	ck_assert_uint_eq(back.retry_ms, 250);
}
END_TEST

START_TEST(a_code_that_is_not_known_is_a_refusal_all_the_same)
{
	static const char *const codes[] = {"\xa3new", "\xa2ok", "\xa0", "\x05", "\xc0"};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		char bytes[64] = "\x83\xa1v\x01\xa2ok\xc2\xa4"
				 "code";
		struct sl_reply reply;
		int rc;

		strcat(bytes, codes[i]);
		rc = sl_reply_decode(sl_bytes_of(bytes), SL_OP_STAT, parcel, &reply, NULL);
		if (codes[i][0] == '\x05') {
			ck_assert_int_eq(rc, SL_EPROTOCOL);
			continue;
		}
		ck_assert_int_eq(rc, 0);
		ck_assert(!reply.ok);
		ck_assert_int_eq(reply.code, SL_EINVALID);
	}
}
END_TEST

START_TEST(a_challenge_carries_what_is_to_be_signed)
{
	struct sl_reply reply = {.op = SL_OP_STAT,
		.code = SL_EHELLO,
		.hello = {.name = sl_bytes_of("web-01"), .boot = {7}, .nonce = {8}}};
	struct sl_reply back = answer(reply);

	ck_assert_int_eq(back.code, SL_EHELLO);
	sl_test_bytes_eq(back.hello.name, "web-01");
	ck_assert_mem_eq(back.hello.boot, reply.hello.boot, SL_BOOT_ID_SIZE);
	ck_assert_mem_eq(back.hello.nonce, reply.hello.nonce, SL_NONCE_SIZE);
}
END_TEST

START_TEST(a_welcome_travels)
{
	struct sl_reply back = answer((struct sl_reply){.op = SL_OP_HELLO,
		.ok = true,
		.hello = {.name = sl_bytes_of("web-01"),
			.version = sl_bytes_of("0.1"),
			.lua = sl_bytes_of("Lua 5.4"),
			.role = sl_bytes_of("run"),
			.boot = {9},
			.max_message_bytes = 1 << 24}});

	sl_test_bytes_eq(back.hello.name, "web-01");
	sl_test_bytes_eq(back.hello.version, "0.1");
	sl_test_bytes_eq(back.hello.lua, "Lua 5.4");
	sl_test_bytes_eq(back.hello.role, "run");
	ck_assert_int_eq(back.hello.boot[0], 9);
	ck_assert_uint_eq(back.hello.max_message_bytes, 1 << 24);
}
END_TEST

START_TEST(events_travel_in_batches)
{
	const struct sl_batch batches[] = {{3, 2, sl_bytes_of("ab")}, {5, 1, sl_bytes_of("c")}};
	struct sl_reply back = answer((struct sl_reply){.op = SL_OP_NEXT,
		.ok = true,
		.state = SL_STATE_RUNNING,
		.batches = batches,
		.n_batches = 2,
		.last = 5,
		.more = true});

	ck_assert_int_eq(back.state, SL_STATE_RUNNING);
	ck_assert_uint_eq(back.n_batches, 2);
	ck_assert_uint_eq(back.batches[0].first, 3);
	ck_assert_uint_eq(back.batches[0].count, 2);
	sl_test_bytes_eq(back.batches[0].bytes, "ab");
	sl_test_bytes_eq(back.batches[1].bytes, "c");
	ck_assert_uint_eq(back.last, 5);
	ck_assert(back.more);
}
END_TEST

START_TEST(a_list_of_jobs_travels)
{
	const struct sl_job_row rows[] = {{.job = job,
		.state = SL_STATE_LOST,
		.name = sl_bytes_of("t"),
		.workflow = sl_bytes_of("w"),
		.run = sl_bytes_of("r"),
		.controller = sl_bytes_of("ctl"),
		.accepted_us = 1,
		.started_us = 2,
		.ended_us = 3,
		.last = 4}};
	struct sl_reply back = answer((struct sl_reply){
		.op = SL_OP_JOBS, .ok = true, .rows = rows, .n_rows = 1, .total = 77});

	ck_assert_uint_eq(back.total, 77);
	ck_assert_uint_eq(back.n_rows, 1);
	ck_assert_mem_eq(&back.rows[0].job, &job, sizeof(job));
	ck_assert_int_eq(back.rows[0].state, SL_STATE_LOST);
	sl_test_bytes_eq(back.rows[0].name, "t");
	sl_test_bytes_eq(back.rows[0].workflow, "w");
	sl_test_bytes_eq(back.rows[0].run, "r");
	sl_test_bytes_eq(back.rows[0].controller, "ctl");
	ck_assert_int_eq(back.rows[0].accepted_us, 1);
	ck_assert_int_eq(back.rows[0].started_us, 2);
	ck_assert_int_eq(back.rows[0].ended_us, 3);
	ck_assert_uint_eq(back.rows[0].last, 4);
}
END_TEST

START_TEST(stat_travels)
{
	struct sl_reply reply = {.op = SL_OP_STAT,
		.ok = true,
		.stat = {.name = sl_bytes_of("a"),
			.version = sl_bytes_of("1"),
			.host = sl_bytes_of("h"),
			.lua = sl_bytes_of("Lua 5.4"),
			.boot = {5},
			.uptime_ms = 1,
			.pid = 2,
			.rss_bytes = 3,
			.cpus = 4,
			.load1 = 0.5,
			.running = 6,
			.queued = 7,
			.max_tasks = 8,
			.max_queued = 9,
			.idle_workers = 10,
			.connections = 11,
			.hello_failures = 12,
			.tasks_total = 13,
			.event_bytes = 14,
			.draining = true}};
	struct sl_reply back;

	for (unsigned i = 0; i < SL_N_STATES; i++)
		reply.stat.jobs_by_state[i] = 100 + i;
	back = answer(reply);
	sl_test_bytes_eq(back.stat.host, "h");
	back.stat.name = reply.stat.name;
	back.stat.version = reply.stat.version;
	back.stat.host = reply.stat.host;
	back.stat.lua = reply.stat.lua;
	/* What is behind the last member is padding. */
	ck_assert_mem_eq(&back.stat, &reply.stat, offsetof(struct sl_stat, draining));
	ck_assert(back.stat.draining);
}
END_TEST

START_TEST(the_short_replies_travel)
{
	struct sl_reply back = answer(
		(struct sl_reply){.op = SL_OP_CANCEL, .ok = true, .state = SL_STATE_CANCELLED});

	ck_assert_int_eq(back.state, SL_STATE_CANCELLED);
	answer((struct sl_reply){.op = SL_OP_FORGET, .ok = true});
}
END_TEST

START_TEST(bad_replies_are_refused)
{
	static const struct {
		const char *bytes;
		size_t size;
		enum sl_op op;
	} bad[] = {
#undef BAD
#define BAD(op, bytes) {bytes, sizeof(bytes) - 1, op}
#define OK V1 "\xa2ok\xc3"
#define RUNNING "\xa5state\xa7running"
		BAD(SL_OP_STAT, "\x81" V1),
		BAD(SL_OP_STAT, "\x82" V1 "\xa2ok\x05"),
		BAD(SL_OP_STAT, "\x82\xa1v\x09\xa2ok\xc3"),
		BAD(SL_OP_NEXT, "\x82" OK),
		BAD(SL_OP_NEXT, "\x83" OK "\xa5state\xa3odd"),
		BAD(SL_OP_NEXT, "\x84" OK RUNNING "\xa6"
				"events\x05"),
		BAD(SL_OP_NEXT, "\x84" OK RUNNING "\xa6"
				"events\x91\x92\x01\x01"),
		BAD(SL_OP_NEXT, "\x84" OK RUNNING "\xa6"
				"events\x91\x93\x00\x01\xc4\x01x"),
		BAD(SL_OP_NEXT, "\x84" OK RUNNING "\xa6"
				"events\x91\x93\x01\x05\xc4\x01x"),
		BAD(SL_OP_JOBS, "\x83" OK "\xa4jobs\x91\x05"),
		BAD(SL_OP_JOBS, "\x83" OK "\xa4jobs\xa1x"),
		BAD(SL_OP_HELLO, "\x82" OK),
		BAD(SL_OP_STAT, "\x83" V1 "\xa2ok\xc2\xa4"
				"code\xa5hello"),
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sl_reply reply;

		ck_assert_msg(sl_reply_decode((struct sl_bytes){bad[i].bytes, bad[i].size},
				      bad[i].op, parcel, &reply, NULL) == SL_EPROTOCOL,
			"case %zu", i);
	}
}
END_TEST

SL_CHECK_MAIN_WITH("message", setup, teardown, a_bare_hello_travels, a_signed_hello_travels,
	submit_carries_the_task_as_it_is, the_other_requests_travel, a_long_wait_is_cut,
	bad_requests_are_refused, unknown_keys_are_ignored, a_refusal_travels,
	a_code_that_is_not_known_is_a_refusal_all_the_same,
	a_challenge_carries_what_is_to_be_signed, a_welcome_travels, events_travel_in_batches,
	a_list_of_jobs_travels, stat_travels, the_short_replies_travel, bad_replies_are_refused)
