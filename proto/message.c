/* SPDX-License-Identifier: MIT */
#include "proto/message.h"

#include <assert.h>

static const char *const names[SL_N_OPS] = {
	"hello", "submit", "next", "cancel", "jobs", "stat", "forget"};

const char *sl_op_name(enum sl_op op)
{
	assert((unsigned)op < SL_N_OPS);
	return names[op];
}

bool sl_op_from_name(struct sl_bytes name, enum sl_op *out)
{
	for (size_t i = 0; i < SL_N_OPS; i++)
		if (sl_bytes_equal(sl_bytes_of(names[i]), name)) {
			*out = (enum sl_op)i;
			return true;
		}
	return false;
}
