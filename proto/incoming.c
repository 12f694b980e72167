/* SPDX-License-Identifier: MIT */
#include "proto/incoming.h"

#include "common/error.h"
#include "proto/sp.h"

#define LEAST_ROOM 4096u
#define KEPT_CAPACITY (256u << 10)

void sl_incoming_deinit(struct sl_incoming *incoming)
{
	sl_buffer_deinit(&incoming->bytes);
	incoming->taken = 0;
}

static struct sl_bytes rest(const struct sl_incoming *incoming)
{
	if (incoming->bytes.size == 0) /* and data is NULL, maybe */
		return (struct sl_bytes){0};
	return (struct sl_bytes){
		incoming->bytes.data + incoming->taken, incoming->bytes.size - incoming->taken};
}

static void drop_taken(struct sl_incoming *incoming)
{
	if (incoming->taken > 0)
		sl_buffer_consume(&incoming->bytes, incoming->taken);
	incoming->taken = 0;
	if (incoming->bytes.size == 0 && incoming->bytes.capacity > KEPT_CAPACITY)
		sl_buffer_deinit(&incoming->bytes);
}

/* What is missing of the message that has begun, but no more than has come of it: a head that
 * announces 16 MiB gets four KiB. */
static size_t room_wanted(const struct sl_incoming *incoming)
{
	struct sl_bytes begun = rest(incoming);
	size_t most = begun.size + LEAST_ROOM, missing;
	uint64_t size;

	if (sl_sp_read_head(incoming->ipc, begun, &size) || size < begun.size)
		return LEAST_ROOM;
	if (size > begun.size + most)
		return most;
	missing = sl_sp_head_bytes(incoming->ipc) + (size_t)size - begun.size;
	return missing < LEAST_ROOM ? LEAST_ROOM : missing < most ? missing : most;
}

char *sl_incoming_room(struct sl_incoming *incoming, size_t *out_size)
{
	drop_taken(incoming);
	*out_size = room_wanted(incoming);
	/* What there is in memory already is free to be used: one read instead of many. */
	if (*out_size < incoming->bytes.capacity - incoming->bytes.size)
		*out_size = incoming->bytes.capacity - incoming->bytes.size;
	return sl_buffer_reserve(&incoming->bytes, *out_size);
}

void sl_incoming_came(struct sl_incoming *incoming, size_t size)
{
	incoming->bytes.size += size;
}

bool sl_incoming_take(struct sl_incoming *incoming, size_t size, struct sl_bytes *out)
{
	struct sl_bytes bytes = rest(incoming);

	if (bytes.size < size)
		return false;
	*out = (struct sl_bytes){bytes.data, size};
	incoming->taken += size;
	return true;
}

int sl_incoming_take_message(struct sl_incoming *incoming, size_t max, struct sl_bytes *out)
{
	size_t head = sl_sp_head_bytes(incoming->ipc);
	struct sl_bytes bytes = rest(incoming);
	uint64_t size;
	int rc = sl_sp_read_head(incoming->ipc, bytes, &size);

	if (rc)
		return rc;
	if (size > max)
		return SL_ETOO_LARGE;
	if (bytes.size - head < size)
		return SL_SP_MORE;
	*out = (struct sl_bytes){bytes.data + head, (size_t)size};
	incoming->taken += head + (size_t)size;
	return 0;
}
