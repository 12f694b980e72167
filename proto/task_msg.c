/* SPDX-License-Identifier: MIT */
#include "proto/task_msg.h"

#include <string.h>

#include "common/error.h"
#include "proto/limits.h"
#include "proto/record.h"
#include "proto/scan.h"
#include "proto/value_reader.h"
#include "proto/value_writer.h"

#define N_VALUES 5 /* params, values, deps, env, modules */

/* A task in transit: its values are still msgpack. */
struct parts {
	struct sl_bytes name, user, workdir;
	uint64_t timeout_ms;
	struct sl_bytes chunk, params, values, deps, env, modules, limits, meta;
};

#define FIELD(s, member, t, ...)                                                               \
	{                                                                                      \
		.key = #member, .type = SL_RECORD_##t, .offset = offsetof(struct s, member),   \
		__VA_ARGS__                                                                    \
	}
#define RECORD(text, table)                                                                    \
	{                                                                                      \
		text, table, sizeof(table) / sizeof((table)[0])                                \
	}

static const struct sl_record_field part_fields[] = {
	FIELD(parts, name, STRING, .size = SL_MAX_NAME_BYTES, .required = true),
	FIELD(parts, user, STRING, .size = SL_MAX_NAME_BYTES),
	FIELD(parts, workdir, STRING, .size = SL_MAX_PATH_BYTES),
	FIELD(parts, timeout_ms, UINT),
	FIELD(parts, chunk, RAW, .required = true),
	FIELD(parts, params, RAW),
	FIELD(parts, values, RAW),
	FIELD(parts, deps, RAW),
	FIELD(parts, env, RAW),
	FIELD(parts, modules, RAW),
	FIELD(parts, limits, RAW),
	FIELD(parts, meta, RAW),
};
static const struct sl_record parts_record = RECORD("task", part_fields);

static const struct sl_record_field limit_fields[] = {
	{"memory", SL_RECORD_UINT, offsetof(struct sl_task, limits.memory_bytes), 0, false},
	{"processes", SL_RECORD_UINT, offsetof(struct sl_task, limits.processes), 0, false},
	{"files", SL_RECORD_UINT, offsetof(struct sl_task, limits.files), 0, false},
};
static const struct sl_record limits_record = RECORD("task: limits", limit_fields);

#define META(member, t, ...)                                                                   \
	{                                                                                      \
#member, SL_RECORD_##t, offsetof(struct sl_task, meta.member), __VA_ARGS__     \
	}
static const struct sl_record_field meta_fields[] = {
	META(run, STRING, SL_MAX_NAME_BYTES, false),
	META(workflow, STRING, SL_MAX_NAME_BYTES, false),
	META(agent, STRING, SL_MAX_NAME_BYTES, false),
	META(attempt, UINT, 0, false),
	META(traceparent, STRING, SL_MAX_NAME_BYTES, false),
};
static const struct sl_record meta_record = RECORD("task: meta", meta_fields);

/* What stands in a chunk besides its values. */
struct chunk_head {
	struct sl_bytes text;
};
static const struct sl_record_field chunk_fields[] = {
	FIELD(chunk_head, text, STRING, .required = true),
};
static const struct sl_record chunk_record = RECORD("task: chunk", chunk_fields);

static void write_map(
	const struct sl_record *record, const char *key, const void *from, struct sl_pack *pack)
{
	size_t n = sl_record_count(record, from);

	if (n == 0)
		return;
	sl_pack_word(pack, key);
	msgpack_pack_map(&pack->to, n);
	sl_record_write(record, from, pack);
}

static int write_value(const char *key, const struct sl_value *value, struct sl_pack *pack,
	struct sl_error *err)
{
	struct sl_value_writer writer = {.pack = pack, .what = key};

	if (value->kind == SL_VALUE_NIL)
		return 0;
	sl_pack_word(pack, key);
	return sl_value_writer_write(&writer, value, err);
}

static int write_task(const struct sl_task *task, struct sl_pack *pack, struct sl_error *err)
{
	const struct parts plain = {.name = task->name,
		.user = task->user,
		.workdir = task->workdir,
		.timeout_ms = task->timeout_ms};
	const struct {
		const char *key;
		const struct sl_value *value;
	} values[N_VALUES] = {{"params", &task->params}, {"values", &task->values},
		{"deps", &task->deps}, {"env", &task->env}, {"modules", &task->modules}};
	struct sl_value_writer writer = {.pack = pack, .what = "the task's function"};
	size_t n = sl_record_count(&parts_record, &plain) + 1;
	int rc;

	for (size_t i = 0; i < N_VALUES; i++)
		n += values[i].value->kind != SL_VALUE_NIL;
	n += sl_record_count(&limits_record, task) > 0;
	n += sl_record_count(&meta_record, task) > 0;

	msgpack_pack_map(&pack->to, n);
	sl_record_write(&parts_record, &plain, pack);
	sl_pack_word(pack, "chunk");
	rc = sl_value_writer_write_chunk(&writer, task->function.function, err);
	for (size_t i = 0; i < N_VALUES && rc == 0; i++)
		rc = write_value(values[i].key, values[i].value, pack, err);
	write_map(&limits_record, "limits", task, pack);
	write_map(&meta_record, "meta", task, pack);
	return rc;
}

int sl_task_encode(const struct sl_task *task, struct sl_buffer *out, struct sl_error *err)
{
	struct sl_pack pack;
	int rc;

	if (task->function.kind != SL_VALUE_FUNCTION || task->function.function->binary)
		return sl_fail(err, SL_EINVALID,
			"cannot send the task's function: it is not there as source text");
	sl_pack_begin(&pack, out, SL_MAX_TASK_BYTES);
	rc = write_task(task, &pack, err);
	if (rc) {
		sl_pack_undo(&pack);
		return rc;
	}
	return sl_pack_end(&pack, "the task", err);
}

/* Everything that can be checked without decoding values. @scratch takes limits and meta. */
static int read_parts(
	struct sl_bytes bytes, struct parts *out, struct sl_task *scratch, struct sl_error *err)
{
	struct chunk_head chunk = {0};
	int rc = sl_scan_document(bytes, NULL, err);

	if (rc)
		return rc;
	rc = sl_record_read(&parts_record, bytes, SL_EBAD_TASK, out, err);
	if (rc)
		return rc;
	rc = sl_record_read(&chunk_record, out->chunk, SL_EBAD_TASK, &chunk, err);
	if (rc)
		return rc;
	if (out->name.size == 0)
		return sl_fail(err, SL_EBAD_TASK, "task: 'name' is empty");
	if (chunk.text.size == 0 || chunk.text.data[0] == '\x1b')
		return sl_fail(err, SL_EBAD_TASK,
			"task: chunk: 'text' must be Lua source, not bytecode or nothing");
	if (out->timeout_ms > SL_MAX_TIMEOUT_MS)
		return sl_fail(
			err, SL_EBAD_TASK, "task: 'timeout_ms' is longer than 10000 days");
	if (out->limits.size > 0) {
		rc = sl_record_read(&limits_record, out->limits, SL_EBAD_TASK, scratch, err);
		if (rc)
			return rc;
	}
	return out->meta.size > 0
	               ? sl_record_read(&meta_record, out->meta, SL_EBAD_TASK, scratch, err)
	               : 0;
}

int sl_task_decode_head(struct sl_bytes bytes, struct sl_task_head *out, struct sl_error *err)
{
	struct sl_task task = {0};
	struct parts parts = {0};
	int rc = read_parts(bytes, &parts, &task, err);

	if (rc)
		return rc;
	*out = (struct sl_task_head){.name = parts.name,
		.workflow = task.meta.workflow,
		.run = task.meta.run,
		.user = parts.user,
		.timeout_ms = parts.timeout_ms,
		.attempt = task.meta.attempt,
		.processes = task.limits.processes};
	return 0;
}

/* A sentence about a value that is bad, told as one about the task. */
static int bad_value(const char *key, int rc, struct sl_error *err)
{
	if (rc != SL_EPROTOCOL)
		return rc;
	return sl_fail(err, SL_EBAD_TASK, "task: '%s': %s", key, err ? err->text : "");
}

static int read_table(const char *key, struct sl_bytes bytes, struct sl_parcel *parcel,
	struct sl_value *out, struct sl_error *err)
{
	int rc;

	if (bytes.size == 0)
		return 0;
	rc = sl_value_reader_read(bytes, parcel, out, err);
	if (rc)
		return bad_value(key, rc, err);
	if (out->kind != SL_VALUE_TABLE)
		return sl_fail(err, SL_EBAD_TASK, "task: '%s' must be a table", key);
	return 0;
}

static bool is_plain_word(const struct sl_value *value, char forbidden)
{
	return value->kind == SL_VALUE_STRING &&
	       !memchr(value->string.data, '\0', value->string.size) &&
	       (forbidden == '\0' ||
		       (value->string.size > 0 &&
			       !memchr(value->string.data, forbidden, value->string.size)));
}

static int check_env(const struct sl_value *env, struct sl_error *err)
{
	if (env->kind == SL_VALUE_NIL)
		return 0;
	for (size_t i = 0; i < env->table->n_pairs; i++)
		if (!is_plain_word(&env->table->pairs[i].key, '=') ||
			!is_plain_word(&env->table->pairs[i].value, '\0'))
			return sl_fail(err, SL_EBAD_TASK,
				"task: 'env' must be a table from names to strings");
	if (env->table->n_array > 0)
		return sl_fail(
			err, SL_EBAD_TASK, "task: 'env' must be a table from names to strings");
	return 0;
}

/* A module is text with the name of its file: not bytecode. */
static bool is_module(const struct sl_pair *pair)
{
	const struct sl_value *file, *text;

	if (!is_plain_word(&pair->key, '\0') || pair->value.kind != SL_VALUE_TABLE)
		return false;
	file = sl_table_get(pair->value.table, "file");
	text = sl_table_get(pair->value.table, "text");
	return file && is_plain_word(file, '\0') && text && text->kind == SL_VALUE_STRING &&
	       (text->string.size == 0 || text->string.data[0] != '\x1b');
}

static int check_modules(const struct sl_value *modules, struct sl_error *err)
{
	if (modules->kind == SL_VALUE_NIL)
		return 0;
	for (size_t i = 0; i < modules->table->n_pairs; i++)
		if (!is_module(&modules->table->pairs[i]))
			return sl_fail(err, SL_EBAD_TASK,
				"task: 'modules' must be a table from names to { file =, text "
				"= "
				"}, the text being Lua source");
	if (modules->table->n_array > 0)
		return sl_fail(
			err, SL_EBAD_TASK, "task: 'modules' has a module without a name");
	return 0;
}

static int read_values(const struct parts *parts, struct sl_parcel *parcel,
	struct sl_task *task, struct sl_error *err)
{
	const struct {
		const char *key;
		struct sl_bytes bytes;
		struct sl_value *out;
	} values[N_VALUES] = {{"params", parts->params, &task->params},
		{"values", parts->values, &task->values}, {"deps", parts->deps, &task->deps},
		{"env", parts->env, &task->env}, {"modules", parts->modules, &task->modules}};
	int rc = sl_value_reader_read_chunk(parts->chunk, parcel, &task->function, err);

	if (rc)
		return bad_value("chunk", rc, err);
	for (size_t i = 0; i < N_VALUES; i++) {
		rc = read_table(values[i].key, values[i].bytes, parcel, values[i].out, err);
		if (rc)
			return rc;
	}
	rc = check_env(&task->env, err);
	return rc ? rc : check_modules(&task->modules, err);
}

/* Moves what is borrowed from the message into the parcel. */
static int keep_strings(struct sl_task *task, struct sl_parcel *parcel, struct sl_error *err)
{
	struct sl_bytes *strings[] = {&task->name, &task->user, &task->workdir, &task->meta.run,
		&task->meta.workflow, &task->meta.agent, &task->meta.traceparent};

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if (strings[i]->size > 0 && !sl_parcel_copy(parcel, *strings[i], strings[i]))
			return sl_fail(err, SL_ETOO_LARGE, "task: too large");
	return 0;
}

int sl_task_decode(struct sl_bytes bytes, struct sl_parcel *parcel, struct sl_task *out,
	struct sl_error *err)
{
	struct sl_task task = {0};
	struct parts parts = {0};
	int rc = read_parts(bytes, &parts, &task, err);

	if (rc)
		return rc;
	task.name = parts.name;
	task.user = parts.user;
	task.workdir = parts.workdir;
	task.timeout_ms = parts.timeout_ms;
	rc = read_values(&parts, parcel, &task, err);
	if (rc)
		return rc;
	rc = keep_strings(&task, parcel, err);
	if (rc)
		return rc;
	*out = task;
	return 0;
}
