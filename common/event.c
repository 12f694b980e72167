/* SPDX-License-Identifier: MIT */
#include "common/event.h"

static const char *const names[SL_N_EVENT_KINDS] = {
	"state", "log", "out", "task", "pool", "result", "dropped"};

const char *sl_event_kind_name(enum sl_event_kind kind)
{
	return names[kind];
}

bool sl_event_kind_from_name(struct sl_bytes name, enum sl_event_kind *out)
{
	for (size_t i = 0; i < SL_N_EVENT_KINDS; i++)
		if (sl_bytes_equal(sl_bytes_of(names[i]), name)) {
			*out = (enum sl_event_kind)i;
			return true;
		}
	return false;
}
