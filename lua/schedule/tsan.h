/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What ThreadSanitizer has to be helped with in a process that runs Lua. Only
 * its build has any of it.
 *
 * It holds a signal back until the thread calls a function that it intercepts,
 * which a loop of Lua never does: the handler that preempts is installed behind
 * its back, and isn't instrumented. And it doesn't know __longjmp_chk(), by which
 * a fortified liblua raises and yields: the functions that were left so would
 * stay on its own stack until that overflows.
 *
 * Threads: any.
 */

#include <signal.h>

#ifdef __SANITIZE_THREAD__
#define SL_TSAN_UNSEEN __attribute__((no_sanitize("thread")))
int sl_tsan_sigaction(int signum, const struct sigaction *action);
#else
#define SL_TSAN_UNSEEN
#define sl_tsan_sigaction(signum, action) sigaction(signum, action, NULL)
#endif
