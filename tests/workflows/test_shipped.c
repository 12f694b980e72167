/* SPDX-License-Identifier: MIT */

/*
 * The whole way of a task but for the sockets: each workflow of this folder is
 * loaded and packed, its tasks go over the wire as bytes, and a runtime runs
 * what arrives. What came of it is compared with the file of the same name that
 * ends in .expect.
 */

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "lua/runtime.h"
#include "lua/workflow/workflow.h"
#include "proto/limits.h"
#include "proto/task_msg.h"
#include "tests/support/check_main.h"

/* What the runtime said, as lines of text. */
struct record {
	struct sl_buffer text;
	struct sl_bytes task;
};

/* ---- values as a person writes them ---- */

static int compare_pairs(const void *a, const void *b)
{
	const struct sl_pair *x = a, *y = b;

	return strcmp(x->key.string.data, y->key.string.data);
}

static void write_value(struct sl_buffer *out, struct sl_value value);

static void write_table(struct sl_buffer *out, const struct sl_table *table)
{
	const char *separator = "";

	sl_buffer_printf(out, "{");
	for (size_t i = 0; i < table->n_array; i++) {
		sl_buffer_printf(out, "%s", separator);
		write_value(out, table->array[i]);
		separator = ", ";
	}
	if (table->n_pairs > 0)
		qsort(table->pairs, table->n_pairs, sizeof(*table->pairs), compare_pairs);
	for (size_t i = 0; i < table->n_pairs; i++) {
		ck_assert_int_eq(table->pairs[i].key.kind, SL_VALUE_STRING);
		sl_buffer_printf(out, "%s%s = ", separator, table->pairs[i].key.string.data);
		write_value(out, table->pairs[i].value);
		separator = ", ";
	}
	sl_buffer_printf(out, "}");
}

static void write_string(struct sl_buffer *out, struct sl_bytes bytes)
{
	sl_buffer_printf(out, "\"");
	for (size_t i = 0; i < bytes.size; i++)
		if (bytes.data[i] == '\0')
			sl_buffer_printf(out, "\\0");
		else
			sl_buffer_append(out, &bytes.data[i], 1);
	sl_buffer_printf(out, "\"");
}

static void write_value(struct sl_buffer *out, struct sl_value value)
{
	switch (value.kind) {
	case SL_VALUE_BOOLEAN:
		sl_buffer_printf(out, "%s", value.boolean ? "true" : "false");
		return;
	case SL_VALUE_INTEGER:
		sl_buffer_printf(out, "%" PRId64, value.integer);
		return;
	case SL_VALUE_FLOAT:
		sl_buffer_printf(out, "%.1f", value.number);
		return;
	case SL_VALUE_STRING:
		write_string(out, value.string);
		return;
	case SL_VALUE_TABLE:
		write_table(out, value.table);
		return;
	default:
		ck_abort_msg("a value of kind %d", (int)value.kind);
	}
}

/* ---- what a task came to ---- */

static void begin_line(struct record *record, const char *what)
{
	sl_buffer_printf(
		&record->text, "%.*s: %s", (int)record->task.size, record->task.data, what);
}

static void record_result(struct record *record, const struct sl_event_result *result)
{
	begin_line(record, result->ok ? "done" : "failed");
	if (result->error.kind != SL_VALUE_NIL && result->error.kind != SL_VALUE_STRING) {
		sl_buffer_printf(&record->text, ": ");
		write_value(&record->text, result->error);
	} else if (result->error.kind == SL_VALUE_STRING) {
		sl_buffer_printf(&record->text, ": %.*s", (int)result->error.string.size,
			result->error.string.data);
	} else if (result->message.size > 0) {
		sl_buffer_printf(&record->text, ": %.*s", (int)result->message.size,
			result->message.data);
	}
	sl_buffer_printf(&record->text, "\n");
	if (result->outputs.kind == SL_VALUE_NIL)
		return;
	begin_line(record, "outputs: ");
	write_value(&record->text, result->outputs);
	sl_buffer_printf(&record->text, "\n");
}

/* Logs come from several threads at once: what is expected here logs nothing. */
static bool emit(void *ctx, const struct sl_event *event)
{
	if (event->kind == SL_EVENT_RESULT)
		record_result(ctx, &event->result);
	return false;
}

static void run(const struct sl_task *task, struct record *record)
{
	struct sl_runtime_host host = {.ctx = record, .emit = emit};
	struct sl_runtime_config config = {.threads = 2};
	struct sl_runtime *runtime;
	struct sl_error err;

	record->task = task->name;
	ck_assert_msg(sl_runtime_new(&config, &host, &runtime, &err) == 0, "%s", err.text);
	sl_runtime_run(runtime, task);
	sl_runtime_free(runtime);
}

/* Packs task @i, sends it as bytes and runs what arrives. */
static void ship(struct sl_workflow *workflow, size_t i, struct record *record)
{
	struct sl_parcel *sent = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	struct sl_parcel *arrived = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	struct sl_buffer bytes = SL_BUFFER_INIT;
	struct sl_task task;
	struct sl_error err;

	ck_assert_msg(sl_workflow_pack(workflow, i, sent, &task, &err) == 0, "%s", err.text);
	task.meta.attempt = 1;
	ck_assert_msg(sl_task_encode(&task, &bytes, &err) == 0, "%s", err.text);
	sl_parcel_free(sent);
	ck_assert_msg(sl_task_decode(sl_buffer_bytes(&bytes), arrived, &task, &err) == 0, "%s",
		err.text);
	run(&task, record);
	sl_parcel_free(arrived);
	sl_buffer_deinit(&bytes);
}

static void run_file(const char *path, const char *seed, struct record *record)
{
	struct sl_pair param = {.key = {.kind = SL_VALUE_STRING, .string = sl_bytes_of("seed")},
		.value = {.kind = SL_VALUE_STRING, .string = sl_bytes_of(seed)}};
	struct sl_workflow_args args = {.params = &param, .n_params = seed ? 1 : 0};
	struct sl_workflow *workflow;
	struct sl_error err;

	ck_assert_msg(sl_workflow_load(path, &args, &workflow, &err) == 0, "%s", err.text);
	for (size_t i = 0; i < sl_workflow_n_tasks(workflow); i++)
		ship(workflow, i, record);
	sl_workflow_free(workflow);
}

static void compare(const char *sloth, const char *seed)
{
	struct record record = {.text = SL_BUFFER_INIT};
	struct sl_buffer expected = SL_BUFFER_INIT;
	char path[256];
	FILE *file;

	run_file(sloth, seed, &record);
	snprintf(path, sizeof(path), "%.*s.expect", (int)(strlen(sloth) - strlen(".sloth")),
		sloth);
	file = fopen(path, "r");
	ck_assert_msg(file != NULL, "no %s", path);
	expected.size = fread(sl_buffer_reserve(&expected, 65536), 1, 65536, file);
	fclose(file);
	ck_assert_msg(sl_bytes_equal(sl_buffer_bytes(&expected), sl_buffer_bytes(&record.text)),
		"%s %s: expected:\n%.*s\ngot:\n%.*s", sloth, seed ? seed : "",
		(int)expected.size, expected.data, (int)record.text.size, record.text.data);
	sl_buffer_deinit(&expected);
	sl_buffer_deinit(&record.text);
}

START_TEST(what_arrives_does_what_was_written)
{
	glob_t found;

	ck_assert_int_eq(chdir(SL_SOURCE_ROOT "/tests/workflows"), 0);
	ck_assert_int_eq(glob("*.sloth", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		compare(found.gl_pathv[i], NULL);
	ck_assert_uint_ge(found.gl_pathc, 7);
	globfree(&found);
}
END_TEST

START_TEST(graphs_at_random_arrive_as_they_were_sent)
{
	ck_assert_int_eq(chdir(SL_SOURCE_ROOT "/tests/workflows"), 0);
	for (int seed = 1; seed <= 100; seed++) {
		char text[16];

		snprintf(text, sizeof(text), "%d", seed);
		compare("random.sloth", text);
	}
}
END_TEST

SL_CHECK_MAIN("shipped", what_arrives_does_what_was_written,
	graphs_at_random_arrive_as_they_were_sent)
