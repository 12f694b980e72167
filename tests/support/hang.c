/* SPDX-License-Identifier: MIT */

/*
 * A fault for a program as it is shipped: preloaded (LD_PRELOAD), it makes the
 * thread that gets SIGUSR2 hang for ever, while the others go on. A signal for
 * the process is the main thread's; tgkill(2) picks another one. With
 * SLOTH_HANG_MS it hangs for so long.
 *
 *   cc -shared -fPIC -o hang.so tests/support/hang.c
 */
#include <signal.h>
#include <stdlib.h>
#include <time.h>

static long hang_ms;

static void hang(int signo)
{
	struct timespec left = {hang_ms / 1000, hang_ms % 1000 * 1000000};

	(void)signo;
	if (hang_ms > 0) {
		while (nanosleep(&left, &left) < 0)
			;
		return;
	}
	for (;;) {
		struct timespec day = {86400, 0};

		nanosleep(&day, NULL);
	}
}

__attribute__((constructor)) static void set_up(void)
{
	struct sigaction action = {.sa_handler = hang, .sa_flags = SA_RESTART};
	const char *ms = getenv("SLOTH_HANG_MS");

	hang_ms = ms ? atol(ms) : 0;
	sigaction(SIGUSR2, &action, NULL);
}
