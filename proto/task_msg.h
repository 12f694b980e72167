/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Task message: a task as msgpack, as it stands in submit and as main hands it
 * on to a worker without looking inside.
 */

#include "common/buffer.h"
#include "common/task.h"

struct sl_error;

/* Appends @task, a msgpack map, to @out. Errors as sl_value_encode(). */
int sl_task_encode(
	const struct sl_task *task, struct sl_buffer *out, struct sl_error *err) sl_must_check;

/* Reads a task; all it points to is in @parcel. Bytecode, a missing name or chunk, a field of
 * the wrong type are SL_EBAD_TASK with the field's name. */
int sl_task_decode(struct sl_bytes bytes, struct sl_parcel *parcel, struct sl_task *out,
	struct sl_error *err) sl_must_check;

/* What main needs to admit and to show a task, without decoding its values: borrowed from
 * @bytes. Checks what can be checked so cheaply; same errors. */
struct sl_task_head {
	struct sl_bytes name, workflow, run, user;
	uint64_t timeout_ms, attempt, processes;
};
int sl_task_decode_head(
	struct sl_bytes bytes, struct sl_task_head *out, struct sl_error *err) sl_must_check;
