/* SPDX-License-Identifier: MIT */
#include "proto/outgoing.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct sl_outgoing_piece {
	TAILQ_ENTRY(sl_outgoing_piece) link; /* sl_outgoing.pieces */
	uint8_t head[SL_OUTGOING_MAX_HEAD];
	size_t head_size;
	struct sl_buffer body;
};

void sl_outgoing_init(struct sl_outgoing *outgoing)
{
	*outgoing = (struct sl_outgoing){0};
	TAILQ_INIT(&outgoing->pieces);
}

static void remove_first(struct sl_outgoing *outgoing)
{
	struct sl_outgoing_piece *piece = TAILQ_FIRST(&outgoing->pieces);

	TAILQ_REMOVE(&outgoing->pieces, piece, link);
	sl_buffer_deinit(&piece->body);
	free(piece);
}

void sl_outgoing_deinit(struct sl_outgoing *outgoing)
{
	while (!TAILQ_EMPTY(&outgoing->pieces))
		remove_first(outgoing);
}

bool sl_outgoing_add(struct sl_outgoing *outgoing, const void *head, size_t head_size,
	struct sl_buffer *body)
{
	struct sl_outgoing_piece *piece = calloc(1, sizeof(*piece));

	assert(head_size <= sizeof(piece->head));
	if (!piece || (body && body->failed)) {
		free(piece);
		sl_buffer_deinit(body);
		return false;
	}
	memcpy(piece->head, head, head_size);
	piece->head_size = head_size;
	if (body) {
		piece->body = *body;
		*body = SL_BUFFER_INIT;
	}
	outgoing->size += piece->head_size + piece->body.size;
	TAILQ_INSERT_TAIL(&outgoing->pieces, piece, link);
	return true;
}

/* Points @out at what is left of @data behind *skip bytes, if anything. */
static size_t point(struct iovec *out, void *data, size_t size, size_t *skip)
{
	if (*skip >= size) {
		*skip -= size;
		return 0;
	}
	*out = (struct iovec){(char *)data + *skip, size - *skip};
	*skip = 0;
	return 1;
}

size_t sl_outgoing_iov(const struct sl_outgoing *outgoing, struct iovec *out, size_t max)
{
	size_t skip = outgoing->first_sent, n = 0;
	struct sl_outgoing_piece *piece;

	TAILQ_FOREACH(piece, &outgoing->pieces, link)
	{
		if (n + 2 > max)
			break;
		n += point(&out[n], piece->head, piece->head_size, &skip);
		n += point(&out[n], piece->body.data, piece->body.size, &skip);
	}
	return n;
}

void sl_outgoing_sent(struct sl_outgoing *outgoing, size_t size)
{
	struct sl_outgoing_piece *piece;

	assert(size <= outgoing->size);
	outgoing->size -= size;
	outgoing->first_sent += size;
	while ((piece = TAILQ_FIRST(&outgoing->pieces)) != NULL) {
		size_t whole = piece->head_size + piece->body.size;

		if (outgoing->first_sent < whole)
			break;
		outgoing->first_sent -= whole;
		remove_first(outgoing);
	}
}
