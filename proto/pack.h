/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pack: a msgpack document being written at the end of a buffer, through
 * libmsgpack's packer. Nothing is checked on the way; sl_pack_end() says whether
 * all of it went in, and takes it back if not.
 *
 * Threads: the buffer's owner.
 */

#include <msgpack.h>

#include "common/buffer.h"

struct sl_error;

struct sl_pack {
	msgpack_packer to; /* for msgpack_pack_…(&pack->to, …) */
	struct sl_buffer *out;
	size_t start;    /* what the buffer had before */
	size_t max_size; /* of the document */
	bool too_large;
};

/* @pack must stay where it is until sl_pack_end(). */
void sl_pack_begin(struct sl_pack *pack, struct sl_buffer *out, size_t max_size);

/* Returns 0; SL_ENOMEM or SL_ETOO_LARGE, when the buffer has again what it had. @what names the
 * document in the sentence. */
int sl_pack_end(struct sl_pack *pack, const char *what, struct sl_error *err) sl_must_check;

/* Ends a document that turned out not to be writable: the buffer has again what it had. */
void sl_pack_undo(struct sl_pack *pack);

/* A Lua string: msgpack str if it is UTF-8, bin if not. */
void sl_pack_string(struct sl_pack *pack, struct sl_bytes string);

/* Bytes that are no text: msgpack bin. */
void sl_pack_bin(struct sl_pack *pack, const void *data, size_t size);

/* A literal: a map's key, a name. */
void sl_pack_word(struct sl_pack *pack, const char *word);

/* A msgpack document that is there already, as it is. */
void sl_pack_raw(struct sl_pack *pack, struct sl_bytes document);

void sl_pack_boolean(struct sl_pack *pack, bool boolean);

/* An extension whose length is not known beforehand: what is packed between begin and end is
 * its payload. sl_pack_extension_begin() returns what end wants. */
size_t sl_pack_extension_begin(struct sl_pack *pack);
void sl_pack_extension_end(struct sl_pack *pack, size_t begun, int8_t type);
