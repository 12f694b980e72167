/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Preempt: how a goroutine that computes is made to let others run, or to stop.
 *
 * A signal to the thread that runs it arms a hook, which Lua calls at the next
 * instruction; the hook yields. Where a yield is not possible, a goroutine that
 * has to stop gets an error at each instruction instead, so that no pcall holds
 * it. As long as no signal comes no hook is there, and it costs nothing. A hook
 * is never set from another thread.
 *
 * Threads: each function says.
 */

#include <lua.h>

struct sl_worker;

/* Prepares this process. Any thread, more than once is fine. */
void sl_preempt_setup(void);

/* Lets this thread, which is @worker's, be preempted; NULL: no more. The thread itself. */
void sl_preempt_admit(struct sl_worker *worker);

/* Interrupts @L, which this thread is about to run, after @n_instructions of it. The thread
 * itself. */
void sl_preempt_after(lua_State *L, int n_instructions);

/* Asks @worker's goroutine to let others run, or to stop if it has to. Any thread, as long as
 * the worker's runs. */
void sl_preempt(struct sl_worker *worker);

/* Raises in the goroutine of @L, which has to stop and can't yield; and will again if it is
 * caught. Its thread. */
int sl_preempt_raise(lua_State *L);
