/* SPDX-License-Identifier: MIT */
#include "common/state.h"

#include <string.h>

static const char *const names[SL_N_STATES] = {"accepted", "running", "done", "failed",
	"timeout", "cancelled", "crashed", "lost", "refused"};

bool sl_state_is_terminal(enum sl_state state)
{
	return state >= SL_STATE_DONE;
}

const char *sl_state_name(enum sl_state state)
{
	return names[state];
}

bool sl_state_from_name(const char *name, enum sl_state *out)
{
	for (size_t i = 0; i < SL_N_STATES; i++)
		if (strcmp(names[i], name) == 0) {
			*out = (enum sl_state)i;
			return true;
		}
	return false;
}
