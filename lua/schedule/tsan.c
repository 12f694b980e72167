/* SPDX-License-Identifier: MIT */
#include "lua/schedule/tsan.h"

#include <setjmp.h>

/* The C library's own, under the name that is not intercepted. */
int __sigaction(int signum, const struct sigaction *action, struct sigaction *old);

int sl_tsan_sigaction(int signum, const struct sigaction *action)
{
	return __sigaction(signum, action, NULL);
}

_Noreturn void __longjmp_chk(jmp_buf env, int value);

/* The program's comes before the C library's. longjmp() is intercepted. */
SL_TSAN_UNSEEN void __longjmp_chk(jmp_buf env, int value)
{
	longjmp(env, value);
}
