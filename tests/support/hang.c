/* SPDX-License-Identifier: MIT */

/*
 * Faults for a program as it is shipped, preloaded (LD_PRELOAD):
 *
 * - The thread that gets SIGUSR2 hangs for ever, while the others go on. A
 *   signal for the process is the main thread's; tgkill(2) picks another one.
 * - With SLOTH_HANG_MS getloadavg(3) takes so long: the agent asks for the load
 *   on its loop, for `sloth stats`.
 *
 *   cc -shared -fPIC -o hang.so tests/support/hang.c
 */
#include <signal.h>
#include <stdlib.h>
#include <time.h>

static void nap(long ms)
{
	struct timespec left = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&left, &left) < 0)
		;
}

static void hang(int signo)
{
	(void)signo;
	for (;;)
		nap(86400000);
}

int getloadavg(double loads[], int n)
{
	const char *ms = getenv("SLOTH_HANG_MS");

	if (ms)
		nap(atol(ms));
	for (int i = 0; i < n; i++)
		loads[i] = 0;
	return n;
}

__attribute__((constructor)) static void set_up(void)
{
	struct sigaction action = {.sa_handler = hang, .sa_flags = SA_RESTART};

	sigaction(SIGUSR2, &action, NULL);
}
