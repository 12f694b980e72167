/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Hand: one worker process, as main sees it: its socket, what was read from it
 * and what it has still to be told. Hands are the crew's: idle, in stock, until
 * one is taken; then it runs one task and is gone.
 *
 * Threads: the loop's.
 */

#include <sys/queue.h>
#include <sys/types.h>

#include "agent/link.h"

struct sl_error;
struct sl_hand;
struct sl_loop;
struct sl_tally;

struct sl_hand_end {
	int status;      /* as of wait(); meaningless with spawner_died */
	bool was_killed; /* by sl_hand_kill() */
	bool broke_link; /* it wrote what is no frame, or what was not its to write */
	bool spawner_died;
};

/* What the crew has done for its hands. */
struct sl_hand_ops {
	/* A taken hand wrote @frame, borrowed for the call. */
	void (*frame)(void *ctx, struct sl_hand *hand, const struct sl_link_frame *frame);
	/* Those were all the frames for now. */
	void (*paused)(void *ctx, struct sl_hand *hand);
	/* Its kill_wanted was set: the spawner has to be told. */
	void (*kill)(void *ctx, struct sl_hand *hand);
};

struct sl_hand {
	TAILQ_ENTRY(sl_hand) link; /* sl_crew.idle or .taken */
	pid_t pid;
	bool taken;
	bool kill_wanted; /* the crew's: not told the spawner yet */
	struct sl_hand_end end;
	struct sl_tally *tally; /* what its task has done: to be read */
	void *user;             /* of the one that took it */

	/* The hand's own. */
	const struct sl_hand_ops *ops;
	void *ctx;
	int fd;
	struct sl_loop_watch *watch;
	struct sl_buffer in, out;
	bool link_ended; /* nothing more is read from it or written to it */
};

/* Takes @fd and @tally, on failure too. @ops and @ctx are borrowed. */
int sl_hand_new(struct sl_loop *loop, pid_t pid, int fd, struct sl_tally *tally,
	const struct sl_hand_ops *ops, void *ctx, struct sl_hand **out,
	struct sl_error *err) sl_must_check;

/* Closes its socket. It must be in no list. */
void sl_hand_free(struct sl_hand *hand);

/* Sends a frame. One that can't take it any more is about to be gone. */
void sl_hand_send(struct sl_hand *hand, const struct sl_link_frame *frame);

/* Has it ended, and what it started. More than once is fine. */
void sl_hand_kill(struct sl_hand *hand);

/* The same for what it wrote; it isn't listened to any more. */
void sl_hand_condemn(struct sl_hand *hand, const struct sl_error *why);

/* Reads what a dead one had still written. */
void sl_hand_read_last_words(struct sl_hand *hand);
