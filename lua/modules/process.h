/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Process: a command that runs, for the goroutine that waits for it.
 *
 * The reactor only says that something has happened; the goroutine itself takes
 * what is there with sl_process_step() and waits again. So nothing is read that
 * nobody has room for. A process whose last reference goes is ended, with all
 * that came of it.
 *
 * Threads: the goroutine that has it.
 */

#include "common/buffer.h"
#include "lua/modules/launch.h"
#include "lua/schedule/goroutine.h"
#include "lua/state/arena.h"
#include "lua/state/handle.h"

#define SL_PROCESS_KIND "process"

/* Most that is kept of each of stdout and stderr; the rest is passed on only. */
#define SL_PROCESS_KEPT_BYTES ((size_t)16 << 20)

struct sl_environment;
struct sl_process;
struct sl_reactor;

struct sl_process_ask {
	const char *const *argv;
	struct sl_environment *environment;
	const char *const *env;            /* changes to it; NULL: none */
	const char *workdir;               /* NULL: ours */
	const struct sl_launch_user *user; /* NULL: ours */
	struct sl_bytes input;             /* copied; empty: /dev/null */
	bool inherits;                     /* it has our stdin, stdout and stderr; no input */
};

/* What a process wrote, some lines at once; the last one may be without its end. True: there is
 * too much already, and no more is to be read for now. */
struct sl_process_sink {
	bool (*put)(void *ctx, int stream, struct sl_bytes text);
	void *ctx;
};

/* Starts it. One reference is the caller's. Fails as sl_launch(). */
int sl_process_new(struct sl_reactor *reactor, struct sl_account *account,
	const struct sl_process_ask *ask, struct sl_process **out,
	struct sl_error *err) sl_must_check;
struct sl_handle *sl_process_handle(struct sl_process *process);

enum sl_process_step {
	SL_PROCESS_WAIT, /* until it has more to say: sl_process_wait_kind */
	SL_PROCESS_FULL, /* until the sink has room */
	SL_PROCESS_OVER, /* it has exited, and all that it wrote has been read */
};

/* Reads and writes what can be at once. NULL for @sink: what it writes is kept only. */
enum sl_process_step sl_process_step(
	struct sl_process *process, const struct sl_process_sink *sink);

extern const struct sl_wait_kind sl_process_wait_kind;

/* Kills it and all that came of it. It is over when they are gone. */
void sl_process_kill(struct sl_process *process);

/* It has been killed, and whoever waits does so no longer: it is over, whoever is still there.
 */
void sl_process_give_up(struct sl_process *process);

/* Once it is over: whether some of those who were killed still run. Then *text says who, and
 * why; it says so once. */
bool sl_process_remains(struct sl_process *process, char *text, size_t size);

/* Once it is over: */
struct sl_process_end {
	int exit_code; /* -1: a signal ended it */
	int signum;    /* 0: it exited */
};
struct sl_process_end sl_process_end(const struct sl_process *process);

/* What was kept of stream 1 or 2. */
struct sl_bytes sl_process_kept(const struct sl_process *process, int stream, bool *truncated);
