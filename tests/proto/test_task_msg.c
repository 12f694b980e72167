/* SPDX-License-Identifier: MIT */
#include "proto/task_msg.h"

#include "common/error.h"
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

static struct sl_value pairs_of(const char *key, struct sl_value value)
{
	struct sl_value table = sl_test_table(parcel, 0, 1);

	table.table->pairs[0] = (struct sl_pair){sl_test_string(key), value};
	return table;
}

static struct sl_value module_of(const char *file, const char *text)
{
	struct sl_value module = sl_test_table(parcel, 0, 2);

	module.table->pairs[0] = (struct sl_pair){sl_test_string("file"), sl_test_string(file)};
	module.table->pairs[1] = (struct sl_pair){sl_test_string("text"), sl_test_string(text)};
	return module;
}

static struct sl_task full_task(void)
{
	struct sl_task task = {.name = sl_bytes_of("deploy"),
		.function = sl_test_function(parcel, "function() return n end", 1),
		.params = pairs_of("a", sl_test_integer(1)),
		.values = pairs_of("b", sl_test_integer(2)),
		.deps = pairs_of("c", sl_test_integer(3)),
		.env = pairs_of("LANG", sl_test_string("C")),
		.modules = pairs_of("util", module_of("./util.lua", "return 1")),
		.timeout_ms = 30000,
		.user = sl_bytes_of("www"),
		.workdir = sl_bytes_of("/tmp"),
		.limits = {1 << 20, 10, 20},
		.meta = {.run = sl_bytes_of("r1"),
			.workflow = sl_bytes_of("w"),
			.agent = sl_bytes_of("web-01"),
			.attempt = 2,
			.traceparent = sl_bytes_of("00-1-2-01")}};

	task.function.function->upvalues[0].cell->value = task.function;
	task.function.function->n_globals = 1;
	task.function.function->globals = sl_parcel_array(parcel, 1, sizeof(struct sl_pair));
	task.function.function->globals[0] =
		(struct sl_pair){sl_test_string("g"), sl_test_integer(9)};
	return task;
}

START_TEST(a_task_comes_back_whole)
{
	struct sl_task task = full_task(), back;
	const struct sl_table *module;

	ck_assert_int_eq(sl_task_encode(&task, &out, NULL), 0);
	ck_assert_int_eq(sl_task_decode(sl_buffer_bytes(&out), parcel, &back, NULL), 0);
	memset(out.data, 0xee, out.size); /* nothing is borrowed from the message */
	sl_test_bytes_eq(back.name, "deploy");
	sl_test_bytes_eq(back.function.function->text, "function() return n end");
	ck_assert_ptr_eq(back.function.function->upvalues[0].cell->value.function,
		back.function.function);
	sl_test_bytes_eq(back.function.function->globals[0].key.string, "g");
	ck_assert_int_eq(back.function.function->globals[0].value.integer, 9);
	ck_assert_int_eq(sl_table_get(back.params.table, "a")->integer, 1);
	ck_assert_int_eq(sl_table_get(back.values.table, "b")->integer, 2);
	ck_assert_int_eq(sl_table_get(back.deps.table, "c")->integer, 3);
	sl_test_bytes_eq(sl_table_get(back.env.table, "LANG")->string, "C");
	module = sl_table_get(back.modules.table, "util")->table;
	sl_test_bytes_eq(sl_table_get(module, "file")->string, "./util.lua");
	sl_test_bytes_eq(sl_table_get(module, "text")->string, "return 1");
	ck_assert_uint_eq(back.timeout_ms, 30000);
	sl_test_bytes_eq(back.user, "www");
	sl_test_bytes_eq(back.workdir, "/tmp");
	ck_assert_uint_eq(back.limits.memory_bytes, 1 << 20);
	ck_assert_uint_eq(back.limits.processes, 10);
	ck_assert_uint_eq(back.limits.files, 20);
	sl_test_bytes_eq(back.meta.run, "r1");
	sl_test_bytes_eq(back.meta.workflow, "w");
	sl_test_bytes_eq(back.meta.agent, "web-01");
	ck_assert_uint_eq(back.meta.attempt, 2);
	sl_test_bytes_eq(back.meta.traceparent, "00-1-2-01");
}
END_TEST

START_TEST(the_head_is_read_without_the_values)
{
	struct sl_task task = full_task();
	struct sl_task_head head;

	ck_assert_int_eq(sl_task_encode(&task, &out, NULL), 0);
	ck_assert_int_eq(sl_task_decode_head(sl_buffer_bytes(&out), &head, NULL), 0);
	sl_test_bytes_eq(head.name, "deploy");
	sl_test_bytes_eq(head.workflow, "w");
	sl_test_bytes_eq(head.run, "r1");
	sl_test_bytes_eq(head.user, "www");
	ck_assert_uint_eq(head.timeout_ms, 30000);
	ck_assert_uint_eq(head.attempt, 2);
}
END_TEST

#define NAME "\xa4name\xa1x"
#define CHUNK                                                                                  \
	"\xa5"                                                                                 \
	"chunk\x81\xa4text\xae"                                                                \
	"function() end"

static int decode(const char *bytes, size_t size, struct sl_task *task, struct sl_error *err)
{
	struct sl_bytes message = {bytes, size};
	struct sl_task_head head;
	int rc = sl_task_decode(message, parcel, task, err);

	/* What the head finds wrong, the whole does too; values are beyond it. */
	if (sl_task_decode_head(message, &head, NULL))
		ck_assert_int_ne(rc, 0);
	return rc;
}

#define DECODE(literal, task, err) decode(literal, sizeof(literal) - 1, task, err)

START_TEST(a_module_is_text_with_a_name)
{
	struct sl_task task, back;
	const struct sl_value bad[] = {
		sl_test_integer(5),
		pairs_of("text", sl_test_string("return 1")),
		module_of("./m.lua", "\x1bLua"),
		pairs_of("file", sl_test_string("./m.lua")),
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sl_error err;

		task = full_task();
		task.modules = pairs_of("m", bad[i]);
		sl_buffer_clear(&out);
		ck_assert_int_eq(sl_task_encode(&task, &out, NULL), 0);
		ck_assert_int_eq(sl_task_decode(sl_buffer_bytes(&out), parcel, &back, &err),
			SL_EBAD_TASK);
		ck_assert_ptr_nonnull(strstr(err.text, "task: 'modules' must be a table"));
	}
}
END_TEST

START_TEST(a_task_written_by_hand_is_enough)
{
	struct sl_task task;

	ck_assert_int_eq(DECODE("\x82" NAME CHUNK, &task, NULL), 0);
	sl_test_bytes_eq(task.name, "x");
	sl_test_bytes_eq(task.function.function->text, "function() end");
	ck_assert_int_eq(task.function.function->line, 1);
	ck_assert_int_eq(task.params.kind, SL_VALUE_NIL);
	ck_assert_int_eq(DECODE("\x84" NAME "\xa6params\xc0\xa3new\x05" CHUNK, &task, NULL), 0);
}
END_TEST

START_TEST(a_bad_task_is_refused_by_the_name_of_the_field)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *text;
	} bad[] = {
#define BAD(bytes, text) {bytes, sizeof(bytes) - 1, text}
		BAD("\x81" CHUNK, "task: 'name' is missing"),
		BAD("\x81" NAME, "task: 'chunk' is missing"),
		BAD("\x82\xa4name\xa0" CHUNK, "task: 'name' is empty"),
		BAD("\x82\xa4name\x05" CHUNK,
			"task: 'name' must be a string of at most 256 bytes"),
		BAD("\x83" NAME NAME CHUNK, "task: 'name' is there twice"),
		BAD("\x82" NAME "\xa5"
		    "chunk\x05",
			"task: chunk: no map"),
		BAD("\x82" NAME "\xa5"
		    "chunk\x80",
			"task: chunk: 'text' is missing"),
		BAD("\x82" NAME "\xa5"
		    "chunk\x81\xa4text\xa4\x1bLua",
			"task: chunk: 'text' must be Lua source, not bytecode or nothing"),
		BAD("\x83" NAME CHUNK "\xaatimeout_ms\xff",
			"task: 'timeout_ms' must be an integer, not negative"),
		BAD("\x83" NAME CHUNK "\xaatimeout_ms\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
			"task: 'timeout_ms' is longer than 10000 days"),
		BAD("\x83" NAME CHUNK "\xa6params\x05", "task: 'params' must be a table"),
		BAD("\x83" NAME CHUNK "\xa6params\xd4\x09\x00",
			"task: 'params': a malformed value: an extension of a type that is not "
			"known"),
		BAD("\x83" NAME CHUNK "\xa3"
		    "env\x81\xa1"
		    "a\x05",
			"task: 'env' must be a table from names to strings"),
		BAD("\x83" NAME CHUNK "\xa3"
		    "env\x91\xa1"
		    "a",
			"task: 'env' must be a table from names to strings"),
		BAD("\x83" NAME CHUNK "\xa3"
		    "env\x81\xa3"
		    "a=b\xa1"
		    "c",
			"task: 'env' must be a table from names to strings"),
		BAD("\x83" NAME CHUNK "\xa6limits\x81\xa5"
		    "files\xa1x",
			"task: limits: 'files' must be an integer, not negative"),
		BAD("\x83" NAME CHUNK "\xa4meta\x05", "task: meta: no map"),
		BAD("\x90", "task: no map"),
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sl_error err = {0};
		struct sl_task task;

		ck_assert_int_eq(decode(bad[i].bytes, bad[i].size, &task, &err), SL_EBAD_TASK);
		ck_assert_str_eq(err.text, bad[i].text);
		ck_assert_int_eq(err.code, SL_EBAD_TASK);
	}
}
END_TEST

START_TEST(garbage_is_no_task)
{
	struct sl_task task;

	ck_assert_int_eq(DECODE("\xdd\xff\xff\xff\xff", &task, NULL), SL_EPROTOCOL);
	ck_assert_int_eq(DECODE("", &task, NULL), SL_EPROTOCOL);
}
END_TEST

START_TEST(a_task_that_cannot_be_sent_names_the_way)
{
	struct sl_handle handle = {.refs = 1, .kind = "channel"};
	struct sl_task task = full_task();
	struct sl_error err;

	task.params =
		pairs_of("ch", (struct sl_value){.kind = SL_VALUE_HANDLE, .handle = &handle});
	ck_assert_int_eq(sl_task_encode(&task, &out, &err), SL_EINVALID);
	ck_assert_str_eq(err.text, "cannot send params.ch: channel");
	ck_assert_uint_eq(out.size, 0);
	ck_assert_uint_eq(task.function.function->mark, 0);
	task.function.function->binary = true;
	ck_assert_int_eq(sl_task_encode(&task, &out, &err), SL_EINVALID);
}
END_TEST

SL_CHECK_MAIN_WITH("task_msg", setup, teardown, a_task_comes_back_whole,
	the_head_is_read_without_the_values, a_module_is_text_with_a_name,
	a_task_written_by_hand_is_enough, a_bad_task_is_refused_by_the_name_of_the_field,
	garbage_is_no_task, a_task_that_cannot_be_sent_names_the_way)
