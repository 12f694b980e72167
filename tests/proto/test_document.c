/* SPDX-License-Identifier: MIT */
/*
 * The worked bytes in proto/PROTOCOL.md are what the code writes, and it reads
 * them back. A block begins with ```hex NAME; each NAME below has one, and each
 * block has a NAME below.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "common/error.h"
#include "common/event.h"
#include "proto/event_msg.h"
#include "proto/identity.h"
#include "proto/message.h"
#include "proto/task_msg.h"
#include "proto/value_msg.h"
#include "tests/support/check_main.h"

static struct sl_parcel *parcel;
static struct sl_buffer made;

static const struct sl_job_id job = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static struct sl_value text(const char *bytes)
{
	return (struct sl_value){.kind = SL_VALUE_STRING, .string = sl_bytes_of(bytes)};
}

static struct sl_value integer(int64_t number)
{
	return (struct sl_value){.kind = SL_VALUE_INTEGER, .integer = number};
}

static struct sl_value table(size_t n_array, size_t n_pairs)
{
	struct sl_value value = {.kind = SL_VALUE_TABLE,
		.table = sl_parcel_alloc(parcel, sizeof(struct sl_table))};

	value.table->array = sl_parcel_array(parcel, n_array, sizeof(struct sl_value));
	value.table->n_array = n_array;
	value.table->pairs = sl_parcel_array(parcel, n_pairs, sizeof(struct sl_pair));
	value.table->n_pairs = n_pairs;
	return value;
}

static struct sl_value function(const char *source, size_t n_upvalues)
{
	struct sl_value value = {.kind = SL_VALUE_FUNCTION,
		.function = sl_parcel_alloc(parcel, sizeof(struct sl_function))};

	value.function->text = sl_bytes_of(source);
	value.function->file = sl_bytes_of("a.sloth");
	value.function->line = 3;
	value.function->upvalues =
		sl_parcel_array(parcel, n_upvalues, sizeof(struct sl_upvalue));
	value.function->n_upvalues = n_upvalues;
	for (size_t i = 0; i < n_upvalues; i++) {
		value.function->upvalues[i].name = sl_bytes_of("n");
		value.function->upvalues[i].cell =
			sl_parcel_alloc(parcel, sizeof(struct sl_cell));
	}
	return value;
}

static void put_value(struct sl_value value)
{
	struct sl_buffer again = SL_BUFFER_INIT;
	struct sl_value back;

	ck_assert_int_eq(sl_value_encode(&value, "v", &made, NULL), 0);
	ck_assert_int_eq(sl_value_decode(sl_buffer_bytes(&made), parcel, &back, NULL), 0);
	ck_assert_int_eq(sl_value_encode(&back, "v", &again, NULL), 0);
	ck_assert(sl_bytes_equal(sl_buffer_bytes(&made), sl_buffer_bytes(&again)));
	sl_buffer_deinit(&again);
}

static void value_list(void)
{
	struct sl_value list = table(8, 0);

	list.table->array[0] = (struct sl_value){.kind = SL_VALUE_BOOLEAN, .boolean = true};
	list.table->array[1] = integer(-1);
	list.table->array[2] = integer(INT64_MAX);
	list.table->array[3] = (struct sl_value){.kind = SL_VALUE_FLOAT, .number = 1.0};
	list.table->array[4] = text("ação");
	list.table->array[5] =
		(struct sl_value){.kind = SL_VALUE_STRING, .string = {"\xff\0", 2}};
	list.table->array[6] = table(0, 0);
	list.table->array[7] = (struct sl_value){
		.kind = SL_VALUE_NAMED, .string = sl_bytes_of("string.format")};
	put_value(list);
}

static void value_map(void)
{
	struct sl_value map = table(1, 1);

	map.table->array[0] = text("x");
	map.table->pairs[0] = (struct sl_pair){text("port"), integer(80)};
	put_value(map);
}

static void value_shared(void)
{
	struct sl_value outer = table(2, 0), inner = table(0, 1);

	inner.table->pairs[0] = (struct sl_pair){text("up"), outer};
	outer.table->array[0] = inner;
	outer.table->array[1] = inner;
	put_value(outer);
}

static void value_metatable(void)
{
	struct sl_value object = table(0, 1), meta = table(0, 1);

	meta.table->pairs[0] = (struct sl_pair){text("__name"), text("point")};
	object.table->pairs[0] = (struct sl_pair){text("x"), integer(7)};
	object.table->meta = meta.table;
	put_value(object);
}

static void value_functions(void)
{
	struct sl_value pair = table(2, 0);

	pair.table->array[0] = function("function() n = n + 1 end", 1);
	pair.table->array[1] = function("function() return n end", 1);
	pair.table->array[0].function->upvalues[0].cell->value = integer(5);
	pair.table->array[1].function->upvalues[0].cell =
		pair.table->array[0].function->upvalues[0].cell;
	put_value(pair);
}

static void put_request(const struct sl_request *request)
{
	struct sl_request back;

	ck_assert_int_eq(sl_request_encode(request, &made, NULL), 0);
	ck_assert_int_eq(sl_request_decode(sl_buffer_bytes(&made), &back, NULL), 0);
	ck_assert_int_eq(back.op, request->op);
}

static void request_stat(void)
{
	put_request(&(struct sl_request){.op = SL_OP_STAT});
}

static void request_next(void)
{
	put_request(&(struct sl_request){.op = SL_OP_NEXT,
		.job = job,
		.after = 7,
		.wait_ms = 10000,
		.max_bytes = 65536});
}

static void request_submit(void)
{
	struct sl_task task = {.name = sl_bytes_of("hi"), .timeout_ms = 5000};
	struct sl_buffer bytes = SL_BUFFER_INIT;
	struct sl_task back;

	task.function = function("function() return true end", 0);
	ck_assert_int_eq(sl_task_encode(&task, &bytes, NULL), 0);
	ck_assert_int_eq(sl_task_decode(sl_buffer_bytes(&bytes), parcel, &back, NULL), 0);
	put_request(&(struct sl_request){.op = SL_OP_SUBMIT,
		.job = job,
		.task = sl_buffer_bytes(&bytes),
		.wait_ms = 1000});
	sl_buffer_deinit(&bytes);
}

static void fill(uint8_t *bytes, size_t n, uint8_t from)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(from + i);
}

/* The key pair of the seed 00 01 … 1f signs boot a0…, the agent's nonce 40…, its own 60…. */
static void hello_signature(void)
{
	uint8_t seed[32], boot[SL_BOOT_ID_SIZE], theirs[SL_NONCE_SIZE], ours[SL_NONCE_SIZE];
	uint8_t sig[SL_SIGNATURE_SIZE];
	struct sl_identity identity;

	fill(seed, sizeof(seed), 0);
	fill(boot, sizeof(boot), 0xa0);
	fill(theirs, sizeof(theirs), 0x40);
	fill(ours, sizeof(ours), 0x60);
	crypto_sign_seed_keypair(identity.public_key, identity.secret_key, seed);
	sl_identity_sign_hello(&identity, sl_bytes_of("web-01"), boot, theirs, ours, sig);
	ck_assert(sl_identity_check_hello(
		identity.public_key, sl_bytes_of("web-01"), boot, theirs, ours, sig));
	sl_buffer_append(&made, sig, sizeof(sig));
}

static void reply_busy(void)
{
	struct sl_reply reply = {.op = SL_OP_SUBMIT,
		.code = SL_EBUSY,
		.msg = sl_bytes_of("full"),
		.retry_ms = 250};
	struct sl_reply back;

	ck_assert_int_eq(sl_reply_encode(&reply, &made, NULL), 0);
	ck_assert_int_eq(
		sl_reply_decode(sl_buffer_bytes(&made), SL_OP_SUBMIT, parcel, &back, NULL), 0);
	ck_assert_int_eq(back.code, SL_EBUSY);
}

static void put_event(const struct sl_event *event)
{
	size_t before = made.size, at = 0;
	struct sl_event back;

	ck_assert_int_eq(sl_event_encode(event, &made, NULL), 0);
	ck_assert_int_eq(
		sl_event_decode((struct sl_bytes){made.data + before, made.size - before}, &at,
			parcel, &back, NULL),
		0);
	ck_assert_int_eq(back.kind, event->kind);
}

static void events(void)
{
	put_event(&(struct sl_event){.kind = SL_EVENT_STATE,
		.time_us = 1000000,
		.state = {.state = SL_STATE_RUNNING, .by = sl_bytes_of("agent")}});
	put_event(&(struct sl_event){.kind = SL_EVENT_LOG,
		.time_us = 1000001,
		.log = {.level = SL_LOG_INFO, .goroutine = 2, .message = sl_bytes_of("hi")}});
	put_event(&(struct sl_event){.kind = SL_EVENT_OUT,
		.time_us = 1000002,
		.out = {.stream = 1, .bytes = sl_bytes_of("x\n")}});
}

static void reply_next(void)
{
	struct sl_batch batch = {.first = 8, .count = 1};
	struct sl_buffer bytes = SL_BUFFER_INIT;
	struct sl_event event = {.kind = SL_EVENT_LOG,
		.time_us = 1000001,
		.log = {.level = SL_LOG_INFO, .goroutine = 2, .message = sl_bytes_of("hi")}};
	struct sl_reply reply = {.op = SL_OP_NEXT,
		.ok = true,
		.state = SL_STATE_RUNNING,
		.batches = &batch,
		.n_batches = 1,
		.last = 8};
	struct sl_reply back;

	ck_assert_int_eq(sl_event_encode(&event, &bytes, NULL), 0);
	batch.bytes = sl_buffer_bytes(&bytes);
	ck_assert_int_eq(sl_reply_encode(&reply, &made, NULL), 0);
	ck_assert_int_eq(
		sl_reply_decode(sl_buffer_bytes(&made), SL_OP_NEXT, parcel, &back, NULL), 0);
	ck_assert_uint_eq(back.n_batches, 1);
	sl_buffer_deinit(&bytes);
}

static const struct {
	const char *name;
	void (*make)(void);
} blocks[] = {
	{"request-stat", request_stat},
	{"request-next", request_next},
	{"request-submit", request_submit},
	{"reply-busy", reply_busy},
	{"reply-next", reply_next},
	{"hello-signature", hello_signature},
	{"value-list", value_list},
	{"value-map", value_map},
	{"value-shared", value_shared},
	{"value-metatable", value_metatable},
	{"value-functions", value_functions},
	{"events", events},
};

#define N_BLOCKS (sizeof(blocks) / sizeof(blocks[0]))

static FILE *open_document(void)
{
	FILE *file = fopen(SL_SOURCE_ROOT "/proto/PROTOCOL.md", "r");

	ck_assert_msg(file != NULL, "proto/PROTOCOL.md is not there");
	return file;
}

/* Reads the block called @name: hex bytes, white space anywhere, comments behind a ';'. False
 * if there is none. */
static bool read_block(const char *name, struct sl_buffer *out)
{
	char line[512], head[64];
	FILE *file = open_document();
	bool inside = false, found = false;

	snprintf(head, sizeof(head), "```hex %s\n", name);
	while (fgets(line, sizeof(line), file)) {
		unsigned byte;
		int n;

		if (inside && strncmp(line, "```", 3) == 0)
			break;
		if (!inside) {
			inside = found = strcmp(line, head) == 0;
			continue;
		}
		line[strcspn(line, ";")] = '\0';
		for (const char *at = line; sscanf(at, "%2x%n", &byte, &n) == 1; at += n)
			sl_buffer_append(out, &(char){(char)byte}, 1);
	}
	fclose(file);
	return found;
}

START_TEST(each_worked_example_is_what_the_code_writes_and_reads)
{
	for (size_t i = 0; i < N_BLOCKS; i++) {
		struct sl_buffer written = SL_BUFFER_INIT;

		parcel = sl_parcel_new(1 << 20);
		blocks[i].make();
		if (getenv("SLOTH_PRINT_BLOCKS")) {
			printf("```hex %s", blocks[i].name);
			for (size_t k = 0; k < made.size; k++)
				printf("%s%02x", k % 24 ? " " : "\n", (uint8_t)made.data[k]);
			printf("\n```\n");
		}
		ck_assert_msg(
			read_block(blocks[i].name, &written) || getenv("SLOTH_PRINT_BLOCKS"),
			"PROTOCOL.md has no block '%s'", blocks[i].name);
		ck_assert_msg(
			sl_bytes_equal(sl_buffer_bytes(&written), sl_buffer_bytes(&made)) ||
				getenv("SLOTH_PRINT_BLOCKS"),
			"the bytes of '%s' are others: SLOTH_PRINT_BLOCKS=1 prints them",
			blocks[i].name);
		sl_buffer_deinit(&made);
		sl_buffer_deinit(&written);
		sl_parcel_free(parcel);
	}
}
END_TEST

START_TEST(each_block_is_checked)
{
	char line[512], name[64];
	FILE *file = open_document();
	size_t n = 0;

	while (fgets(line, sizeof(line), file))
		n += sscanf(line, "```hex %63s", name) == 1;
	fclose(file);
	ck_assert_uint_eq(n, N_BLOCKS);
}
END_TEST

SL_CHECK_MAIN("document", each_worked_example_is_what_the_code_writes_and_reads,
	each_block_is_checked)
