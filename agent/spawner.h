/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Spawner: the process that forks workers. Main executes itself anew for it, so
 * that it is small, has one thread and none of main's descriptors; forking from
 * it is fast and safe. It is the parent of all workers: it reaps them, ends
 * what they left behind, and says so when nothing of one is there any more.
 *
 * Its control socket carries one request or report a packet. When it closes,
 * main is gone: the spawner ends all workers and exits.
 */

#include <sys/types.h>

#include "common/base.h"

struct sl_error;
struct sl_tally;

enum sl_spawner_verb {
	SL_SPAWNER_FORK = 1, /* number: how many workers */
	SL_SPAWNER_KILL,     /* number: the pid of a worker; one that is gone is fine */
	SL_SPAWNER_PING,     /* number: comes back with SL_SPAWNER_PONG as status */
};

struct sl_spawner_request {
	uint32_t verb;
	int32_t number;
};

enum sl_spawner_news {
	SL_SPAWNER_WORKER = 1, /* pid waits at the other end of the socket that comes along,
	                          with its tally's memory */
	SL_SPAWNER_NO_WORKER,  /* status: the errno for which there is none */
	SL_SPAWNER_EXIT,       /* pid and all that it started are gone; status as of wait() */
	SL_SPAWNER_PONG,       /* it is there */
	SL_SPAWNER_REMAINS,    /* as EXIT, but some of what it started could not be ended */
};

struct sl_spawner_report {
	uint32_t news;
	int32_t pid;
	int32_t status;
};

/* What comes along with SL_SPAWNER_WORKER, in this order. */
enum {
	SL_SPAWNER_SOCKET,
	SL_SPAWNER_TALLY,
	SL_SPAWNER_N_FDS,
};

/* Starts the spawner as a child of this process. *out_control is non-blocking here. */
int sl_spawner_start(pid_t *out_pid, int *out_control, struct sl_error *err) sl_must_check;

/* Whether this process was started to be a spawner: to be asked before anything else. */
bool sl_spawner_is_wanted(int argc, char *const argv[]);

/* Is the spawner until main goes; returns its exit status. In each worker it calls work(fd)
 * with main's socket, a blocking one, and nothing else open but 0, 1 and 2; and with its tally,
 * which main reads. work() ends the process. */
int sl_spawner_run(void (*work)(int fd, struct sl_tally *tally));
