/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "proto/event_msg.h"
#include "proto/identity.h"
#include "proto/incoming.h"
#include "proto/items.h"
#include "proto/limits.h"
#include "proto/message.h"
#include "proto/scan.h"
#include "proto/sp.h"
#include "proto/task_msg.h"
#include "proto/value_msg.h"

/* As assert(), which an NDEBUG build would leave out. */
static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "it should hold that %s\n", what);
	abort();
}

static struct sl_parcel *new_parcel(void)
{
	struct sl_parcel *parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);

	must(parcel != NULL, "there is memory");
	return parcel;
}

static struct sl_bytes bytes_of(const uint8_t *data, size_t size)
{
	return (struct sl_bytes){(const char *)data, size};
}

static void must_be_refusal(int rc, const struct sl_error *err)
{
	must(rc < 0 && err->code == (enum sl_code)rc && err->text[0] != '\0',
		"a refusal has its code and a sentence");
}

static void must_be_same(const struct sl_buffer *a, const struct sl_buffer *b)
{
	must(sl_bytes_equal(sl_buffer_bytes(a), sl_buffer_bytes(b)),
		"what was written is read and written as the same");
}

/* Walks through all items, however nested: they must take up exactly their bytes. */
static void walk(struct sl_bytes document, unsigned depth)
{
	struct sl_scan_head head;
	struct sl_items items;
	struct sl_bytes item;
	size_t size;

	must(sl_scan_head(document, &head), "what was scanned has a head");
	size = head.head_bytes + head.body_bytes;
	if (sl_items_of_array(document, &items) || sl_items_of_map(document, &items)) {
		uint64_t n = items.n_left;

		must(depth < SL_MAX_MSGPACK_DEPTH, "nesting is bounded");
		while (sl_items_next(&items, &item)) {
			walk(item, depth + 1);
			size += item.size;
			n--;
		}
		must(n == 0, "all items are there");
	}
	must(size == document.size, "items take up their document");
}

static void run_scan(const uint8_t *data, size_t size)
{
	struct sl_error err = {0};
	size_t n_values;
	int rc = sl_scan_document(bytes_of(data, size), &n_values, &err);

	if (rc) {
		must_be_refusal(rc, &err);
		return;
	}
	must(n_values >= 1 && n_values <= size, "each value takes a byte");
	walk(bytes_of(data, size), 0);
}

/* Writes @value to @out. False when it can't be written, which may be: a table that the bytes
 * name and drop begins deeper where it is next referred to. */
static bool write_value(const struct sl_value *value, struct sl_buffer *out)
{
	int rc = sl_value_encode(value, "value", out, NULL);

	must(rc == 0 || rc == SL_EINVALID, "a value that was read can be written");
	must(value->kind != SL_VALUE_TABLE || value->table->mark == 0, "no mark is left");
	must(value->kind != SL_VALUE_FUNCTION || value->function->mark == 0, "no mark is left");
	return rc == 0;
}

/* Reads and writes again what was written: twice, since the first writing may still have keys
 * 1, 2, 3 among the others, which reading puts in order. */
static void rewrite_value(struct sl_buffer *bytes, struct sl_parcel *parcel)
{
	struct sl_buffer last = SL_BUFFER_INIT;
	struct sl_value value;

	for (int round = 0; round < 2; round++) {
		sl_buffer_deinit(&last);
		last = *bytes;
		*bytes = SL_BUFFER_INIT;
		must(sl_value_decode(sl_buffer_bytes(&last), parcel, &value, NULL) == 0,
			"what was written can be read");
		must(write_value(&value, bytes), "and written again");
	}
	must_be_same(&last, bytes);
	sl_buffer_deinit(&last);
}

static void run_value(const uint8_t *data, size_t size)
{
	struct sl_buffer bytes = SL_BUFFER_INIT;
	struct sl_parcel *parcel = new_parcel();
	struct sl_error err = {0};
	struct sl_value value;
	int rc = sl_value_decode(bytes_of(data, size), parcel, &value, &err);

	if (rc) {
		must_be_refusal(rc, &err);
		must(!strstr(err.text, "can't be unpacked"),
			"libmsgpack reads what was scanned");
	} else if (write_value(&value, &bytes)) {
		rewrite_value(&bytes, parcel);
	}
	sl_buffer_deinit(&bytes);
	sl_parcel_free(parcel);
}

/* As rewrite_value(). */
static void rewrite_task(const struct sl_task *task, struct sl_parcel *parcel)
{
	struct sl_buffer bytes = SL_BUFFER_INIT, last = SL_BUFFER_INIT;
	int rc = sl_task_encode(task, &bytes, NULL);

	must(rc == 0 || rc == SL_EINVALID, "a task that was read can be written");
	for (int round = 0; rc == 0 && round < 2; round++) {
		struct sl_task again;

		sl_buffer_deinit(&last);
		last = bytes;
		bytes = SL_BUFFER_INIT;
		must(sl_task_decode(sl_buffer_bytes(&last), parcel, &again, NULL) == 0,
			"what was written can be read");
		must(sl_task_encode(&again, &bytes, NULL) == 0, "and written again");
	}
	must_be_same(&last, &bytes);
	sl_buffer_deinit(&bytes);
	sl_buffer_deinit(&last);
}

static void run_task(const uint8_t *data, size_t size)
{
	struct sl_parcel *parcel = new_parcel();
	struct sl_error err = {0};
	struct sl_task_head head;
	struct sl_task task;
	int head_rc = sl_task_decode_head(bytes_of(data, size), &head, NULL);
	int rc = sl_task_decode(bytes_of(data, size), parcel, &task, &err);

	must(rc || head_rc == 0, "a good task has a good head");
	if (rc)
		must_be_refusal(rc, &err);
	else
		rewrite_task(&task, parcel);
	sl_parcel_free(parcel);
}

/* As rewrite_value(). */
static void rewrite_event(const struct sl_event *event, struct sl_parcel *parcel)
{
	struct sl_buffer bytes = SL_BUFFER_INIT, last = SL_BUFFER_INIT;

	must(sl_event_encode(event, &bytes, NULL) == 0,
		"an event that was read can be written");
	for (int round = 0; round < 2; round++) {
		struct sl_event again;
		size_t at = 0;

		sl_buffer_deinit(&last);
		last = bytes;
		bytes = SL_BUFFER_INIT;
		must(sl_event_decode(sl_buffer_bytes(&last), &at, parcel, &again, NULL) == 0,
			"what was written can be read");
		must(at == last.size, "and nothing is left of it");
		must(sl_event_encode(&again, &bytes, NULL) == 0, "and written again");
	}
	must_be_same(&last, &bytes);
	sl_buffer_deinit(&bytes);
	sl_buffer_deinit(&last);
}

static void run_event(const uint8_t *data, size_t size)
{
	struct sl_bytes batch = bytes_of(data, size);
	struct sl_parcel *parcel = new_parcel();
	struct sl_error err = {0};
	size_t at = 0, before;
	int rc = 0;

	while (at < batch.size && rc >= 0) {
		struct sl_event event;

		before = at;
		rc = sl_event_decode(batch, &at, parcel, &event, &err);
		must(rc < 0 ? at == before : at > before, "only good events are passed");
		if (rc == 0)
			rewrite_event(&event, parcel);
	}
	if (rc < 0)
		must_be_refusal(rc, &err);
	sl_parcel_free(parcel);
}

static void run_request(const uint8_t *data, size_t size)
{
	struct sl_buffer first = SL_BUFFER_INIT, second = SL_BUFFER_INIT;
	struct sl_error err = {0};
	struct sl_request request;
	int rc = sl_request_decode(bytes_of(data, size), &request, &err);

	if (rc) {
		must_be_refusal(rc, &err);
	} else {
		must(sl_request_encode(&request, &first, NULL) == 0,
			"a request that was read can be written");
		must(sl_request_decode(sl_buffer_bytes(&first), &request, NULL) == 0,
			"what was written can be read");
		must(sl_request_encode(&request, &second, NULL) == 0, "and written again");
		must_be_same(&first, &second);
	}
	sl_buffer_deinit(&first);
	sl_buffer_deinit(&second);
}

static void read_reply(struct sl_bytes bytes, enum sl_op op)
{
	struct sl_buffer first = SL_BUFFER_INIT, second = SL_BUFFER_INIT;
	struct sl_parcel *parcel = new_parcel();
	struct sl_error err = {0};
	struct sl_reply reply;
	int rc = sl_reply_decode(bytes, op, parcel, &reply, &err);

	if (rc) {
		must_be_refusal(rc, &err);
	} else {
		must(sl_reply_encode(&reply, &first, NULL) == 0,
			"a reply that was read can be written");
		must(sl_reply_decode(sl_buffer_bytes(&first), op, parcel, &reply, NULL) == 0,
			"what was written can be read");
		must(sl_reply_encode(&reply, &second, NULL) == 0, "and written again");
		must_be_same(&first, &second);
	}
	sl_buffer_deinit(&first);
	sl_buffer_deinit(&second);
	sl_parcel_free(parcel);
}

static void run_reply(const uint8_t *data, size_t size)
{
	for (unsigned op = 0; op < SL_N_OPS; op++)
		read_reply(bytes_of(data, size), (enum sl_op)op);
}

/* Lets @data arrive @step bytes at a time and adds up what is in its messages; what can't go on
 * is part of the sum. */
static uint64_t arrive(const uint8_t *data, size_t size, size_t step, bool ipc)
{
	struct sl_incoming incoming = {.ipc = ipc};
	uint64_t sum = 0;
	int rc = SL_SP_MORE;

	while (size > 0 && rc >= 0) {
		struct sl_bytes message;
		size_t room;
		char *at = sl_incoming_room(&incoming, &room);

		must(at != NULL && room > 0, "there is room");
		room = room < step ? room : step;
		room = room < size ? room : size;
		memcpy(at, data, room);
		sl_incoming_came(&incoming, room);
		data += room;
		size -= room;
		while ((rc = sl_incoming_take_message(&incoming, 4096, &message)) == 0) {
			sum = sum * 31 + message.size + sl_sp_header_bytes(message);
			for (size_t i = 0; i < message.size; i++)
				sum = sum * 31 + (uint8_t)message.data[i];
		}
		must(incoming.bytes.capacity <= 64 * 1024, "memory follows what came");
	}
	sl_incoming_deinit(&incoming);
	return rc < 0 ? sum * 31 + (uint64_t)-rc : sum;
}

static void run_stream(const uint8_t *data, size_t size)
{
	for (int ipc = 0; ipc < 2; ipc++) {
		uint64_t whole = arrive(data, size, size, ipc);

		must(whole == arrive(data, size, 1, ipc), "pieces don't matter");
		must(whole == arrive(data, size, 7, ipc), "pieces don't matter");
	}
}

static void run_key(const uint8_t *data, size_t size)
{
	uint8_t key[SL_KEY_SIZE], again[SL_KEY_SIZE];
	char *line = malloc(size + 1), text[64];

	must(line != NULL, "there is memory");
	if (size > 0)
		memcpy(line, data, size);
	line[size] = '\0';
	if (sl_public_key_parse(line, key, NULL) == 0) {
		sl_public_key_format(key, text, sizeof(text));
		must(sl_public_key_parse(text, again, NULL) == 0, "a key can be read back");
		must(memcmp(key, again, sizeof(key)) == 0, "and is the same");
	}
	free(line);
}

const struct sl_fuzz_target sl_fuzz_targets[] = {
	{"scan", run_scan},
	{"value", run_value},
	{"task", run_task},
	{"event", run_event},
	{"request", run_request},
	{"reply", run_reply},
	{"stream", run_stream},
	{"key", run_key},
};

const size_t sl_fuzz_n_targets = sizeof(sl_fuzz_targets) / sizeof(sl_fuzz_targets[0]);
