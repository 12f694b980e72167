/* SPDX-License-Identifier: MIT */

/*
 * The worked bytes of PROTOCOL.md: each block there is a file in tests/wire/,
 * letter for letter, and each of them is what the code writes and reads.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/event_msg.h"
#include "proto/identity.h"
#include "proto/limits.h"
#include "proto/message.h"
#include "proto/pack.h"
#include "proto/sp.h"
#include "proto/task_msg.h"
#include "proto/value_msg.h"
#include "tests/support/check_main.h"
#include "tests/support/values.h"

#define FOLDER SL_SOURCE_ROOT "/tests/wire"
#define PAPER SL_SOURCE_ROOT "/proto/PROTOCOL.md"
#define TIME 1700000000000000

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

static void ramp(uint8_t *bytes, size_t n, uint8_t first)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(first + i);
}

/* --- Reading back: what was decoded must encode to the same bytes --- */

static void reread_request(struct sl_bytes bytes)
{
	struct sl_request request;
	struct sl_error err = {0};

	ck_assert_msg(sl_request_decode(bytes, &request, &err) == 0, "%s", err.text);
	ck_assert_int_eq(sl_request_encode(&request, &out, NULL), 0);
}

static void reread_reply(struct sl_bytes bytes, enum sl_op op)
{
	struct sl_error err = {0};
	struct sl_reply reply;

	ck_assert_msg(sl_reply_decode(bytes, op, parcel, &reply, &err) == 0, "%s", err.text);
	ck_assert_int_eq(sl_reply_encode(&reply, &out, NULL), 0);
}

static void reread_hello_reply(struct sl_bytes bytes)
{
	reread_reply(bytes, SL_OP_HELLO);
}

static void reread_events_reply(struct sl_bytes bytes)
{
	reread_reply(bytes, SL_OP_NEXT);
}

static void reread_cancel_reply(struct sl_bytes bytes)
{
	reread_reply(bytes, SL_OP_CANCEL);
}

static void reread_jobs_reply(struct sl_bytes bytes)
{
	reread_reply(bytes, SL_OP_JOBS);
}

static void reread_stat_reply(struct sl_bytes bytes)
{
	reread_reply(bytes, SL_OP_STAT);
}

static void reread_forget_reply(struct sl_bytes bytes)
{
	reread_reply(bytes, SL_OP_FORGET);
}

static void reread_task(struct sl_bytes bytes)
{
	struct sl_error err = {0};
	struct sl_task task;

	ck_assert_msg(sl_task_decode(bytes, parcel, &task, &err) == 0, "%s", err.text);
	ck_assert_int_eq(sl_task_encode(&task, &out, NULL), 0);
}

static void reread_value(struct sl_bytes bytes)
{
	struct sl_error err = {0};
	struct sl_value value;

	ck_assert_msg(sl_value_decode(bytes, parcel, &value, &err) == 0, "%s", err.text);
	ck_assert_int_eq(sl_value_encode(&value, "value", &out, NULL), 0);
}

static void reread_events(struct sl_bytes bytes)
{
	size_t at = 0;

	while (at < bytes.size) {
		struct sl_error err = {0};
		struct sl_event event;

		ck_assert_msg(
			sl_event_decode(bytes, &at, parcel, &event, &err) == 0, "%s", err.text);
		ck_assert_int_eq(sl_event_encode(&event, &out, NULL), 0);
	}
}

/* A frame on tcp and on ipc, around a request. */
static void reread_frame(struct sl_bytes bytes, bool ipc)
{
	uint8_t head[SL_SP_MAX_HEAD_BYTES], id[SL_SP_ID_BYTES];
	struct sl_bytes message;
	size_t n = sl_sp_head_bytes(ipc);
	struct sl_buffer whole = SL_BUFFER_INIT;
	uint64_t size;

	ck_assert_int_eq(sl_sp_read_head(ipc, bytes, &size), 0);
	message = (struct sl_bytes){bytes.data + n, bytes.size - n};
	ck_assert_uint_eq(message.size, size);
	ck_assert_uint_eq(sl_sp_header_bytes(message), SL_SP_ID_BYTES);
	sl_sp_write_id(sl_sp_read_id((const uint8_t *)message.data), id);
	reread_request((struct sl_bytes){message.data + 4, message.size - 4});
	n = sl_sp_write_head(ipc, SL_SP_ID_BYTES + out.size, head);
	ck_assert(sl_buffer_append(&whole, head, n) && sl_buffer_append(&whole, id, 4) &&
		  sl_buffer_append(&whole, out.data, out.size));
	sl_buffer_deinit(&out);
	out = whole;
}

static void reread_tcp(struct sl_bytes bytes)
{
	reread_frame(bytes, false);
}

static void reread_ipc(struct sl_bytes bytes)
{
	reread_frame(bytes, true);
}

/* Bytes that are only written. */
static void no_reading(struct sl_bytes bytes)
{
	ck_assert(sl_buffer_append(&out, bytes.data, bytes.size));
}

/* --- Writing --- */

static void greeting(void)
{
	uint8_t bytes[SL_SP_GREETING_BYTES];

	for (int answers = 0; answers < 2; answers++) {
		sl_sp_greeting(answers, bytes);
		ck_assert(sl_buffer_append(&out, bytes, sizeof(bytes)));
	}
}

static struct sl_job_id job_id(void)
{
	struct sl_job_id id;

	ramp(id.bytes, sizeof(id.bytes), 0x10);
	return id;
}

static void put_request(struct sl_request request)
{
	ck_assert_int_eq(sl_request_encode(&request, &out, NULL), 0);
}

static void put_reply(struct sl_reply reply)
{
	ck_assert_int_eq(sl_reply_encode(&reply, &out, NULL), 0);
}

static void put_frame(bool ipc)
{
	uint8_t head[SL_SP_MAX_HEAD_BYTES], id[SL_SP_ID_BYTES];
	struct sl_buffer request = SL_BUFFER_INIT;

	ck_assert_int_eq(
		sl_request_encode(&(struct sl_request){.op = SL_OP_STAT}, &request, NULL), 0);
	sl_sp_write_id(1, id);
	ck_assert(sl_buffer_append(
		&out, head, sl_sp_write_head(ipc, SL_SP_ID_BYTES + request.size, head)));
	ck_assert(sl_buffer_append(&out, id, sizeof(id)));
	ck_assert(sl_buffer_append(&out, request.data, request.size));
	sl_buffer_deinit(&request);
}

static void frame_tcp(void)
{
	put_frame(false);
}

static void frame_ipc(void)
{
	put_frame(true);
}

static void hello(void)
{
	put_request((struct sl_request){.op = SL_OP_HELLO,
		.hello = {.name = sl_bytes_of("ctl"), .version = sl_bytes_of("0.1.0")}});
}

static void hello_challenge(void)
{
	struct sl_reply reply = {.op = SL_OP_HELLO,
		.code = SL_EHELLO,
		.msg = sl_bytes_of("say hello first"),
		.hello = {.name = sl_bytes_of("web-01")}};

	ramp(reply.hello.boot, sizeof(reply.hello.boot), 0xb0);
	ramp(reply.hello.nonce, sizeof(reply.hello.nonce), 0x40);
	put_reply(reply);
}

/* The key whose seed is 00 01 … 1f. */
static struct sl_identity example_identity(void)
{
	char path[] = "/tmp/sl-wire-XXXXXX";
	struct sl_identity identity;
	FILE *file;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	file = fdopen(fd, "w");
	fputs("sloth-secret-ed25519 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", file);
	fclose(file);
	ck_assert_int_eq(sl_identity_load(path, &identity, NULL), 0);
	ck_assert_int_eq(remove(path), 0);
	return identity;
}

static void hello_signed(void)
{
	struct sl_identity identity = example_identity();
	struct sl_request request = {.op = SL_OP_HELLO,
		.hello = {.signed_ = true,
			.name = sl_bytes_of("ctl"),
			.version = sl_bytes_of("0.1.0")}};
	uint8_t boot[SL_BOOT_ID_SIZE], nonce[SL_NONCE_SIZE];

	ramp(boot, sizeof(boot), 0xb0);
	ramp(nonce, sizeof(nonce), 0x40);
	ramp(request.hello.nonce, sizeof(request.hello.nonce), 0x60);
	memcpy(request.hello.key, identity.public_key, SL_KEY_SIZE);
	sl_identity_sign_hello(&identity, sl_bytes_of("web-01"), boot, nonce,
		request.hello.nonce, request.hello.sig);
	put_request(request);
}

static void hello_welcome(void)
{
	struct sl_reply reply = {.op = SL_OP_HELLO,
		.ok = true,
		.hello = {.name = sl_bytes_of("web-01"),
			.version = sl_bytes_of("0.1.0"),
			.lua = sl_bytes_of("Lua 5.4"),
			.role = sl_bytes_of("run"),
			.max_message_bytes = SL_MAX_MESSAGE_BYTES}};

	ramp(reply.hello.boot, sizeof(reply.hello.boot), 0xb0);
	put_reply(reply);
}

/* A task as somebody writes it who has no library of ours. */
static void submit(void)
{
	struct sl_buffer task = SL_BUFFER_INIT;
	struct sl_pack pack;

	sl_pack_begin(&pack, &task, 1000);
	msgpack_pack_map(&pack.to, 2);
	sl_pack_word(&pack, "name");
	sl_pack_word(&pack, "x");
	sl_pack_word(&pack, "chunk");
	msgpack_pack_map(&pack.to, 3);
	sl_pack_word(&pack, "text");
	sl_pack_word(&pack, "function() return true end");
	sl_pack_word(&pack, "file");
	sl_pack_word(&pack, "x.lua");
	sl_pack_word(&pack, "line");
	msgpack_pack_int(&pack.to, 1);
	ck_assert_int_eq(sl_pack_end(&pack, "task", NULL), 0);
	put_request((struct sl_request){.op = SL_OP_SUBMIT,
		.job = job_id(),
		.task = sl_buffer_bytes(&task),
		.wait_ms = 1000});
	sl_buffer_deinit(&task);
}

static void next(void)
{
	put_request((struct sl_request){
		.op = SL_OP_NEXT, .job = job_id(), .after = 2, .wait_ms = 30000});
}

static void put_event(struct sl_event event)
{
	event.time_us = TIME;
	ck_assert_int_eq(sl_event_encode(&event, &out, NULL), 0);
}

static void event_state(void)
{
	put_event((struct sl_event){
		.kind = SL_EVENT_STATE, .state = {SL_STATE_DONE, {0}, sl_bytes_of("worker")}});
}

static void event_log(void)
{
	put_event((struct sl_event){.kind = SL_EVENT_LOG,
		.log = {.level = SL_LOG_INFO, .goroutine = 1, .message = sl_bytes_of("hi")}});
}

static void event_fields(void)
{
	struct sl_pair pair = {{.kind = SL_VALUE_STRING, .string = sl_bytes_of("port")},
		{.kind = SL_VALUE_INTEGER, .integer = 80}};
	struct sl_table fields = {.pairs = &pair, .n_pairs = 1};

	put_event((struct sl_event){.kind = SL_EVENT_LOG,
		.log = {.level = SL_LOG_WARNING,
			.goroutine = 1,
			.message = sl_bytes_of("up"),
			.fields = {.kind = SL_VALUE_TABLE, .table = &fields}}});
}

static void events_reply(void)
{
	struct sl_batch batch = {.first = 3, .count = 2};
	struct sl_buffer events;

	event_log();
	event_state();
	events = out;
	out = SL_BUFFER_INIT;
	batch.bytes = sl_buffer_bytes(&events);
	put_reply((struct sl_reply){.op = SL_OP_NEXT,
		.ok = true,
		.state = SL_STATE_DONE,
		.batches = &batch,
		.n_batches = 1,
		.last = 4});
	sl_buffer_deinit(&events);
}

static void busy(void)
{
	put_reply((struct sl_reply){.op = SL_OP_SUBMIT,
		.code = SL_EBUSY,
		.msg = sl_bytes_of("come back"),
		.retry_ms = 250});
}

static void cancel(void)
{
	put_request((struct sl_request){
		.op = SL_OP_CANCEL, .job = job_id(), .reason = sl_bytes_of("Ctrl-C")});
}

static void cancel_reply(void)
{
	put_reply((struct sl_reply){.op = SL_OP_CANCEL, .ok = true, .state = SL_STATE_RUNNING});
}

static void jobs(void)
{
	put_request((struct sl_request){
		.op = SL_OP_JOBS, .filter = sl_bytes_of("running"), .limit = 10});
}

static void jobs_reply(void)
{
	const struct sl_job_row row = {.job = job_id(),
		.state = SL_STATE_RUNNING,
		.name = sl_bytes_of("x"),
		.controller = sl_bytes_of("ctl"),
		.accepted_us = TIME,
		.started_us = TIME + 1000,
		.last = 2};

	put_reply((struct sl_reply){
		.op = SL_OP_JOBS, .ok = true, .rows = &row, .n_rows = 1, .total = 1});
}

static void stat_reply(void)
{
	struct sl_reply reply = {.op = SL_OP_STAT,
		.ok = true,
		.stat = {.name = sl_bytes_of("web-01"),
			.version = sl_bytes_of("0.1.0"),
			.host = sl_bytes_of("web-01.example"),
			.lua = sl_bytes_of("Lua 5.4"),
			.uptime_ms = 60000,
			.pid = 4711,
			.rss_bytes = 6 << 20,
			.cpus = 2,
			.load1 = 0.5,
			.running = 1,
			.max_tasks = 256,
			.max_queued = 1024,
			.idle_workers = 4,
			.connections = 1,
			.tasks_total = 9,
			.event_bytes = 12345}};

	ramp(reply.stat.boot, sizeof(reply.stat.boot), 0xb0);
	reply.stat.jobs_by_state[SL_STATE_RUNNING] = 1;
	reply.stat.jobs_by_state[SL_STATE_DONE] = 8;
	put_reply(reply);
}

static void forget(void)
{
	put_request((struct sl_request){.op = SL_OP_FORGET, .job = job_id()});
}

static void forget_reply(void)
{
	put_reply((struct sl_reply){.op = SL_OP_FORGET, .ok = true});
}

static struct sl_value pair_of(const char *key, struct sl_value value)
{
	struct sl_value table = sl_test_table(parcel, 0, 1);

	table.table->pairs[0] = (struct sl_pair){sl_test_string(key), value};
	return table;
}

static void task(void)
{
	struct sl_task whole = {.name = sl_bytes_of("deploy"),
		.function = sl_test_function(parcel, "function() return n end", 1),
		.params = pair_of("dry", sl_test_boolean(true)),
		.timeout_ms = 30000,
		.meta = {.run = sl_bytes_of("r1"), .attempt = 1}};

	whole.function.function->upvalues[0].name = sl_bytes_of("n");
	whole.function.function->upvalues[0].cell->value = sl_test_integer(3);
	ck_assert_int_eq(sl_task_encode(&whole, &out, NULL), 0);
}

static void put_value(struct sl_value value)
{
	ck_assert_int_eq(sl_value_encode(&value, "value", &out, NULL), 0);
}

static void value_plain(void)
{
	struct sl_value list = sl_test_table(parcel, 8, 0);

	list.table->array[0] = sl_test_boolean(true);
	list.table->array[1] = sl_test_integer(-1);
	list.table->array[2] = sl_test_integer(INT64_MAX);
	list.table->array[3] = sl_test_float(1.0);
	list.table->array[4] = sl_test_string("h\xc3\xa9");
	list.table->array[5] = sl_test_string("\xff\x01");
	list.table->array[6] = sl_test_table(parcel, 0, 0);
	list.table->array[7] = sl_test_table(parcel, 1, 1);
	list.table->array[7].table->array[0] = sl_test_string("a");
	list.table->array[7].table->pairs[0] =
		(struct sl_pair){sl_test_float(0.5), sl_test_boolean(false)};
	put_value(list);
}

static void value_sharing(void)
{
	struct sl_value list = sl_test_table(parcel, 3, 0);

	list.table->array[0] = sl_test_table(parcel, 0, 0);
	list.table->array[1] = list.table->array[0];
	list.table->array[2] = list;
	put_value(list);
}

static void value_named(void)
{
	put_value(sl_test_named("string.format"));
}

static void value_function(void)
{
	struct sl_value function = sl_test_function(parcel, "function() return n + g end", 1);

	function.function->line = 7;
	function.function->upvalues[0].name = sl_bytes_of("n");
	function.function->upvalues[0].cell->value = sl_test_integer(3);
	function.function->n_globals = 1;
	function.function->globals = sl_parcel_array(parcel, 1, sizeof(struct sl_pair));
	function.function->globals[0] =
		(struct sl_pair){sl_test_string("g"), sl_test_integer(4)};
	put_value(function);
}

/* local n = 0; { function() n = n + 1 end, function() return n end } */
static void value_variable(void)
{
	struct sl_value list = sl_test_table(parcel, 2, 0);
	struct sl_value up = sl_test_function(parcel, "function() n = n + 1 end", 1);
	struct sl_value get = sl_test_function(parcel, "function() return n end", 1);

	up.function->upvalues[0].name = get.function->upvalues[0].name = sl_bytes_of("n");
	up.function->upvalues[0].cell->value = sl_test_integer(0);
	get.function->upvalues[0].cell = up.function->upvalues[0].cell;
	list.table->array[0] = up;
	list.table->array[1] = get;
	put_value(list);
}

/* setmetatable({ [t] = 1 }, { __index = t }), t being an empty table */
static void value_table(void)
{
	struct sl_value table = sl_test_table(parcel, 0, 1), key = sl_test_table(parcel, 0, 0);

	table.table->pairs[0] = (struct sl_pair){key, sl_test_integer(1)};
	table.table->meta = pair_of("__index", key).table;
	put_value(table);
}

static void value_deep(void)
{
	struct sl_value inner = sl_test_integer(42);

	for (int i = 0; i < 17; i++) {
		struct sl_value outer = sl_test_table(parcel, 1, 0);

		outer.table->array[0] = inner;
		inner = outer;
	}
	put_value(inner);
}

static void event_out(void)
{
	put_event((struct sl_event){.kind = SL_EVENT_OUT,
		.out = {.stream = 2, .bytes = sl_bytes_of("oops"), .continued = true}});
}

static void event_task(void)
{
	const struct sl_value values[] = {sl_test_integer(9), {0}};

	put_event((struct sl_event){.kind = SL_EVENT_TASK,
		.task = {.id = sl_bytes_of("p-1"),
			.pool = sl_bytes_of("p"),
			.goroutine = 5,
			.success = true,
			.values = values,
			.n_values = 2,
			.wait_ms = 0.5,
			.run_ms = 2}});
}

static void event_pool(void)
{
	put_event((struct sl_event){.kind = SL_EVENT_POOL,
		.pool = {.name = sl_bytes_of("p"),
			.workers = 4,
			.completed = 9,
			.submitted = 9,
			.capacity = 8,
			.peak_active = 4,
			.wait_ms_avg = 0.5,
			.run_ms_avg = 2,
			.closed = true}});
}

static void event_result(void)
{
	put_event((struct sl_event){.kind = SL_EVENT_RESULT,
		.result = {.ok = true,
			.message = sl_bytes_of("deployed"),
			.outputs = pair_of("n", sl_test_integer(3)),
			.duration_ms = 12.5,
			.cpu_ms = 2,
			.peak_memory_bytes = 65536,
			.goroutines = 1}});
}

static void event_dropped(void)
{
	put_event((struct sl_event){.kind = SL_EVENT_DROPPED, .dropped = {1 << 20, 300}});
}

static const struct wire {
	const char *name;
	void (*write)(void);
	void (*reread)(struct sl_bytes bytes);
} wires[] = {
	{"greeting", greeting, no_reading},
	{"frame-tcp", frame_tcp, reread_tcp},
	{"frame-ipc", frame_ipc, reread_ipc},
	{"hello", hello, reread_request},
	{"hello-challenge", hello_challenge, reread_hello_reply},
	{"hello-signed", hello_signed, reread_request},
	{"hello-welcome", hello_welcome, reread_hello_reply},
	{"submit", submit, reread_request},
	{"events-reply", events_reply, reread_events_reply},
	{"busy", busy, reread_events_reply},
	{"next", next, reread_request},
	{"cancel", cancel, reread_request},
	{"cancel-reply", cancel_reply, reread_cancel_reply},
	{"jobs", jobs, reread_request},
	{"jobs-reply", jobs_reply, reread_jobs_reply},
	{"stat-reply", stat_reply, reread_stat_reply},
	{"forget", forget, reread_request},
	{"forget-reply", forget_reply, reread_forget_reply},
	{"task", task, reread_task},
	{"value-plain", value_plain, reread_value},
	{"value-sharing", value_sharing, reread_value},
	{"value-named", value_named, reread_value},
	{"value-function", value_function, reread_value},
	{"value-variable", value_variable, reread_value},
	{"value-table", value_table, reread_value},
	{"value-deep", value_deep, reread_value},
	{"event-state", event_state, reread_events},
	{"event-log", event_log, reread_events},
	{"event-fields", event_fields, reread_events},
	{"event-out", event_out, reread_events},
	{"event-task", event_task, reread_events},
	{"event-pool", event_pool, reread_events},
	{"event-result", event_result, reread_events},
	{"event-dropped", event_dropped, reread_events},
};

#define N_WIRES (sizeof(wires) / sizeof(wires[0]))

/* --- Comparing --- */

static char *read_text(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	ck_assert_msg(file != NULL, "%s is missing", path);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_lt(fread(text, 1, (1 << 20) - 1, file), (1 << 20) - 1);
	fclose(file);
	return text;
}

static char *read_wire(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.hex", FOLDER, name);
	return read_text(path);
}

/* Blanks out what stands behind a # on each line. */
static void drop_comments(char *text)
{
	for (char *at = text; (at = strchr(at, '#')) != NULL;)
		while (*at && *at != '\n')
			*at++ = ' ';
}

static size_t bytes_of(const struct wire *wire, char *bytes, size_t size)
{
	char *text = read_wire(wire->name);
	size_t n;

	drop_comments(text);
	n = sl_test_unhex(text, bytes, size);
	free(text);
	return n;
}

static void same(const char *name, struct sl_bytes expected)
{
	ck_assert_msg(sl_bytes_equal(sl_buffer_bytes(&out), expected),
		"%s: %zu bytes, the file has %zu, or others", name, out.size, expected.size);
}

START_TEST(each_file_is_what_the_code_writes)
{
	for (size_t i = 0; i < N_WIRES; i++) {
		char bytes[4096];
		size_t n = bytes_of(&wires[i], bytes, sizeof(bytes));

		sl_buffer_clear(&out);
		wires[i].write();
		same(wires[i].name, (struct sl_bytes){bytes, n});
	}
}
END_TEST

START_TEST(each_file_is_read_and_written_back)
{
	for (size_t i = 0; i < N_WIRES; i++) {
		char bytes[4096];
		size_t n = bytes_of(&wires[i], bytes, sizeof(bytes));

		sl_buffer_clear(&out);
		wires[i].reread((struct sl_bytes){bytes, n});
		same(wires[i].name, (struct sl_bytes){bytes, n});
	}
}
END_TEST

START_TEST(each_file_is_known_here)
{
	DIR *dir = opendir(FOLDER);
	struct dirent *entry;
	size_t n = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL)
		n += strstr(entry->d_name, ".hex") != NULL;
	closedir(dir);
	ck_assert_uint_eq(n, N_WIRES);
}
END_TEST

START_TEST(each_file_stands_in_the_paper_and_nothing_else_does)
{
	char *paper = read_text(PAPER), mark[128];
	size_t n = 0;

	for (size_t i = 0; i < N_WIRES; i++) {
		char *text = read_wire(wires[i].name), *block;

		snprintf(mark, sizeof(mark), "\n```hex %s\n", wires[i].name);
		block = strstr(paper, mark);
		ck_assert_msg(block != NULL, "%s is not in the paper", wires[i].name);
		block += strlen(mark);
		ck_assert_msg(strncmp(block, text, strlen(text)) == 0 &&
				      strncmp(block + strlen(text), "```\n", 4) == 0,
			"%s is another one in the paper", wires[i].name);
		free(text);
	}
	for (char *at = paper; (at = strstr(at, "\n```hex ")) != NULL; at++)
		n++;
	ck_assert_uint_eq(n, N_WIRES);
	free(paper);
}
END_TEST

SL_CHECK_MAIN_WITH("wire", setup, teardown, each_file_is_what_the_code_writes,
	each_file_is_read_and_written_back, each_file_is_known_here,
	each_file_stands_in_the_paper_and_nothing_else_does)
