/* SPDX-License-Identifier: MIT */
#include "proto/value_msg.h"

#include "proto/limits.h"
#include "proto/pack.h"
#include "proto/value_reader.h"
#include "proto/value_writer.h"

int sl_value_encode(const struct sl_value *value, const char *what, struct sl_buffer *out,
	struct sl_error *err)
{
	struct sl_value_writer writer = {.what = what};
	struct sl_pack pack;
	int rc;

	sl_pack_begin(&pack, out, SL_MAX_MESSAGE_BYTES);
	writer.pack = &pack;
	rc = sl_value_writer_write(&writer, value, err);
	if (rc) {
		sl_pack_undo(&pack);
		return rc;
	}
	return sl_pack_end(&pack, what, err);
}

int sl_value_decode(struct sl_bytes bytes, struct sl_parcel *parcel, struct sl_value *out,
	struct sl_error *err)
{
	return sl_value_reader_read(bytes, parcel, out, err);
}
