/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Way: how one gets to a value inside others, for sentences: "params.conf.list[3]".
 * A step stands on the stack of the walker that takes it.
 */

#include "common/parcel.h"

struct sl_way {
	const struct sl_way *up;    /* NULL: the whole value */
	const struct sl_value *key; /* a table's key; or */
	const char *word;           /* "key", "metatable", "upvalue" */
	struct sl_bytes name;       /* of the upvalue; else empty */
};

/* Writes "@what" and the steps of @way to @out; what doesn't fit is left out at its end. */
void sl_way_format(const struct sl_way *way, const char *what, char *out, size_t size);
