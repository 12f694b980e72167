/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What goroutine.c and goroutine_*.c share.
 *
 * Threads: the one that runs the goroutine, or has taken it out of a queue.
 */

#include "lua/schedule/goroutine.h"

/* Why a goroutine's body yielded. */
enum sl_request {
	SL_REQUEST_NONE, /* not through us: a script's own coroutine.yield */
	SL_REQUEST_YIELD,
	SL_REQUEST_WAIT,
	SL_REQUEST_STOP,
};

/* From parking on, the first to claim a goroutine decides why it goes on. */
enum sl_phase {
	SL_PHASE_RUNNING,
	SL_PHASE_PARKING, /* on its way into a wait; its thread looks before it lets go */
	SL_PHASE_PARKED,
	SL_PHASE_CLAIMED, /* + enum sl_wake */
};

/* Lets go of a goroutine that waits. True: it is others' from now on. False: it goes on, and
 * has left its wait. */
bool sl_goroutine_park(struct sl_goroutine *goroutine);

/* Waits on this thread, whose queue goes to another one. False, and it has not waited: too many
 * do so already. Blocks. */
bool sl_goroutine_block(struct sl_goroutine *goroutine);

/* Wherever it is woken from, first of all it leaves the lines it stands in. */
void sl_goroutine_leave_wait(struct sl_goroutine *goroutine);

/* What a stopped goroutine was handed while it waited goes back. */
void sl_goroutine_abandon_wait(struct sl_goroutine *goroutine);

#define SL_TOO_MANY_BLOCKED                                                                    \
	"too many goroutines wait inside of calls that can't be left, such as a comparison "   \
	"function of table.sort"
