/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * State: where a job is in its life. accepted → running → exactly one terminal
 * state. A job that never ran goes straight from accepted (or nothing) to one.
 */

#include "common/base.h"

enum sl_state {
	SL_STATE_ACCEPTED,  /* the agent has it, maybe in its queue */
	SL_STATE_RUNNING,   /* a worker has it */
	SL_STATE_DONE,      /* terminal from here on: its function said success */
	SL_STATE_FAILED,    /* its function said failure, or raised */
	SL_STATE_TIMEOUT,   /* stopped at its deadline */
	SL_STATE_CANCELLED, /* stopped because somebody asked */
	SL_STATE_CRASHED,   /* its worker process died under it */
	SL_STATE_LOST,      /* its agent died while it ran */
	SL_STATE_REFUSED,   /* never ran */
};

#define SL_N_STATES (SL_STATE_REFUSED + 1)

bool sl_state_is_terminal(enum sl_state state);

/* "accepted", "running", …: the name on the wire and in JSON. Static memory. */
const char *sl_state_name(enum sl_state state);

/* False, and *out left alone, for a name that is no state's. */
bool sl_state_from_name(const char *name, enum sl_state *out);
