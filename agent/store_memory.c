/* SPDX-License-Identifier: MIT */

/*
 * The store that forgets with its process: a hash of records, each with the
 * ring of its events.
 */
#include "agent/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "proto/identity.h"

#define FIRST_BUCKETS 64
#define DROP_LOG_MS 1000

TAILQ_HEAD(record_list, sl_record);

struct sl_store {
	struct sl_store_limits limits; /* immutable after new */
	uint64_t seed[2];              /* immutable after new: peers choose ids */

	struct sl_record **buckets; /* sl_record.next_in_bucket */
	size_t n_buckets;           /* a power of two */
	size_t n_records;
	struct record_list all; /* sl_record.all */

	struct record_list finished;     /* sl_record.finished: with events to fetch */
	struct record_list acknowledged; /* sl_record.finished: without */
	size_t n_finished;               /* in both */
	size_t finished_bytes;
	size_t bytes; /* of all rings */

	uint64_t counts[SL_N_STATES];

	uint64_t n_dropped;  /* that nobody had fetched */
	int64_t drop_log_ms; /* of the last line about them */
};

int sl_store_new(
	const struct sl_store_limits *limits, struct sl_store **out, struct sl_error *err)
{
	struct sl_store *store = calloc(1, sizeof(*store));

	if (store)
		store->buckets = calloc(FIRST_BUCKETS, sizeof(*store->buckets));
	if (!store || !store->buckets) {
		free(store);
		return sl_fail(err, SL_ENOMEM, "no memory for the store");
	}
	store->limits = *limits;
	store->n_buckets = FIRST_BUCKETS;
	sl_random(store->seed, sizeof(store->seed));
	TAILQ_INIT(&store->all);
	TAILQ_INIT(&store->finished);
	TAILQ_INIT(&store->acknowledged);
	*out = store;
	return 0;
}

static void free_record(struct sl_record *record)
{
	sl_ring_deinit(&record->ring);
	free(record);
}

void sl_store_free(struct sl_store *store)
{
	struct sl_record *record;

	if (!store)
		return;
	while ((record = TAILQ_FIRST(&store->all))) {
		TAILQ_REMOVE(&store->all, record, all);
		free_record(record);
	}
	free(store->buckets);
	free(store);
}

static struct sl_record **bucket_of(struct sl_store *store, const struct sl_job_id *id)
{
	uint64_t a, b;

	memcpy(&a, id->bytes, sizeof(a));
	memcpy(&b, id->bytes + sizeof(a), sizeof(b));
	a = (a ^ store->seed[0]) * 0x9e3779b97f4a7c15u;
	b = (b ^ store->seed[1] ^ (a >> 29)) * 0xbf58476d1ce4e5b9u;
	return &store->buckets[(b >> 32) & (store->n_buckets - 1)];
}

struct sl_record *sl_store_find(struct sl_store *store, const struct sl_job_id *id)
{
	struct sl_record *record = *bucket_of(store, id);

	while (record && memcmp(&record->id, id, sizeof(*id)) != 0)
		record = record->next_in_bucket;
	return record;
}

static void put_into_bucket(struct sl_store *store, struct sl_record *record)
{
	struct sl_record **bucket = bucket_of(store, &record->id);

	record->next_in_bucket = *bucket;
	*bucket = record;
}

/* Without the memory to grow the hash is slower, and still right. */
static void grow(struct sl_store *store)
{
	struct sl_record **buckets = calloc(store->n_buckets * 2, sizeof(*buckets));
	struct sl_record *record;

	if (!buckets)
		return;
	free(store->buckets);
	store->buckets = buckets;
	store->n_buckets *= 2;
	TAILQ_FOREACH(record, &store->all, all)
	put_into_bucket(store, record);
}

static char *place(char *at, struct sl_bytes from, struct sl_bytes *to)
{
	*to = (struct sl_bytes){at, from.size};
	if (from.size > 0)
		memcpy(at, from.data, from.size);
	return at + from.size;
}

/* One piece of memory: the record with its strings behind it. */
static struct sl_record *make_record(const struct sl_store_head *head)
{
	struct sl_record *record =
		malloc(sizeof(*record) + head->name.size + head->workflow.size +
			head->run.size + head->controller.size);
	char *at;

	if (!record)
		return NULL;
	*record = (struct sl_record){
		.id = head->id,
		.state = SL_STATE_ACCEPTED,
		.accepted_us = head->accepted_us,
	};
	at = place((char *)(record + 1), head->name, &record->name);
	at = place(at, head->workflow, &record->workflow);
	at = place(at, head->run, &record->run);
	place(at, head->controller, &record->controller);
	sl_ring_init(&record->ring);
	return record;
}

int sl_store_add(struct sl_store *store, const struct sl_store_head *head,
	struct sl_record **out, struct sl_error *err)
{
	struct sl_record *record;

	assert(!sl_store_find(store, &head->id));
	record = make_record(head);
	if (!record)
		return sl_fail(err, SL_ENOMEM, "no memory for a job's record");
	if (store->n_records >= store->n_buckets)
		grow(store);
	put_into_bucket(store, record);
	TAILQ_INSERT_TAIL(&store->all, record, all);
	store->n_records++;
	store->counts[record->state]++;
	*out = record;
	return 0;
}

static void set_state(struct sl_store *store, struct sl_record *record, enum sl_state state)
{
	store->counts[record->state]--;
	store->counts[state]++;
	record->state = state;
}

void sl_store_start(struct sl_store *store, struct sl_record *record, int64_t now_us)
{
	set_state(store, record, SL_STATE_RUNNING);
	record->started_us = now_us;
}

static bool is_acknowledged(const struct sl_record *record)
{
	return record->ring.acked == record->ring.last;
}

static struct record_list *finished_list(struct sl_store *store, const struct sl_record *record)
{
	return is_acknowledged(record) ? &store->acknowledged : &store->finished;
}

/* A peer can make many of these. */
static void note_drop(struct sl_store *store)
{
	int64_t now_ms = sl_clock_monotonic_ms();

	store->n_dropped++;
	if (store->drop_log_ms && now_ms - store->drop_log_ms < DROP_LOG_MS)
		return;
	store->drop_log_ms = now_ms;
	sl_log(SL_LOG_WARNING, "results dropped that nobody fetched n=%llu",
		(unsigned long long)store->n_dropped);
}

static void drop_crowd(struct sl_store *store)
{
	while (store->n_finished > store->limits.max_finished ||
		store->finished_bytes > store->limits.max_finished_bytes) {
		struct sl_record *record = TAILQ_FIRST(&store->acknowledged);

		if (!record) {
			record = TAILQ_FIRST(&store->finished);
			note_drop(store);
		}
		sl_store_forget(store, record);
	}
}

void sl_store_finish(struct sl_store *store, struct sl_record *record, enum sl_state state,
	int64_t now_us, int64_t now_ms)
{
	assert(sl_state_is_terminal(state) && !sl_state_is_terminal(record->state));
	/* First make room, so that the newest one is what stays whatever its size. */
	drop_crowd(store);
	set_state(store, record, state);
	record->ended_us = now_us;
	record->forget_ms = now_ms + store->limits.keep_finished_ms;
	TAILQ_INSERT_TAIL(finished_list(store, record), record, finished);
	store->n_finished++;
	store->finished_bytes += record->ring.bytes;
}

int sl_store_append(struct sl_store *store, struct sl_record *record, uint64_t count,
	struct sl_bytes bytes, struct sl_error *err)
{
	size_t before = record->ring.bytes;
	int result = sl_ring_append(&record->ring, count, bytes, err);

	store->bytes += record->ring.bytes - before;
	return result;
}

uint64_t sl_store_acknowledge(struct sl_store *store, struct sl_record *record, uint64_t upto)
{
	struct record_list *before = finished_list(store, record);
	size_t bytes = record->ring.bytes;
	uint64_t freed = sl_ring_acknowledge(&record->ring, upto);

	store->bytes -= bytes - record->ring.bytes;
	if (!sl_state_is_terminal(record->state))
		return freed;
	store->finished_bytes -= bytes - record->ring.bytes;
	if (finished_list(store, record) != before) {
		TAILQ_REMOVE(before, record, finished);
		TAILQ_INSERT_TAIL(&store->acknowledged, record, finished);
	}
	return freed;
}

size_t sl_store_read(struct sl_store *store, const struct sl_record *record, uint64_t after,
	uint64_t max_bytes, struct sl_batch *out, size_t max_batches, bool *out_more)
{
	(void)store;
	return sl_ring_read(&record->ring, after, max_bytes, out, max_batches, out_more);
}

void sl_store_forget(struct sl_store *store, struct sl_record *record)
{
	struct sl_record **at = bucket_of(store, &record->id);

	assert(!record->live);
	while (*at != record)
		at = &(*at)->next_in_bucket;
	*at = record->next_in_bucket;
	TAILQ_REMOVE(&store->all, record, all);
	store->n_records--;
	store->bytes -= record->ring.bytes;
	if (sl_state_is_terminal(record->state)) {
		TAILQ_REMOVE(finished_list(store, record), record, finished);
		store->n_finished--;
		store->finished_bytes -= record->ring.bytes;
	}
	store->counts[record->state]--;
	free_record(record);
}

/* Both lists are in order of finishing or acknowledging, so that one that was acknowledged late
 * may stay a little longer than it had to behind one that finished after it. */
static int64_t expire_list(struct sl_store *store, struct record_list *list, int64_t now_ms)
{
	struct sl_record *record;

	while ((record = TAILQ_FIRST(list))) {
		if (record->forget_ms > now_ms)
			return record->forget_ms - now_ms;
		sl_store_forget(store, record);
	}
	return -1;
}

int64_t sl_store_expire(struct sl_store *store, int64_t now_ms)
{
	int64_t a = expire_list(store, &store->finished, now_ms);
	int64_t b = expire_list(store, &store->acknowledged, now_ms);

	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

struct sl_record *sl_store_next(struct sl_store *store, struct sl_record *record)
{
	return record ? TAILQ_PREV(record, record_list, all)
	              : TAILQ_LAST(&store->all, record_list);
}

size_t sl_store_bytes(const struct sl_store *store)
{
	return store->bytes;
}

uint64_t sl_store_count(const struct sl_store *store, enum sl_state state)
{
	return store->counts[state];
}
