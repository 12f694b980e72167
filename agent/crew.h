/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Crew: main's side of the worker processes. A hand is one worker: idle, in
 * stock until it is taken; then it runs one task and is gone. The crew keeps
 * the spawner alive: when that dies, all hands die with it and a new one is
 * started, at most once a second.
 *
 * Threads: the loop's.
 */

#include <sys/types.h>

#include "agent/link.h"

struct sl_crew;
struct sl_error;
struct sl_hand;
struct sl_loop;

struct sl_hand_end {
	int status;      /* as of wait(); meaningless with spawner_died */
	bool was_killed; /* by sl_hand_kill() */
	bool broke_link; /* it wrote what is no frame, or what was not its to write */
	bool spawner_died;
};

struct sl_crew_ops {
	/* There is a hand to take. */
	void (*ready)(void *ctx);
	/* A taken hand wrote @frame, borrowed for the call. */
	void (*frame)(void *ctx, struct sl_hand *hand, const struct sl_link_frame *frame);
	/* Those were all the frames for now. */
	void (*paused)(void *ctx, struct sl_hand *hand);
	/* A taken hand and all that it started are gone; its last frames came before. It is
	 * freed afterwards. */
	void (*gone)(void *ctx, struct sl_hand *hand, const struct sl_hand_end *end);
};

/* Starts the spawner and asks for @stock idle hands: call it before other threads start. @ops
 * and @ctx are borrowed until free. */
int sl_crew_new(struct sl_loop *loop, size_t stock, const struct sl_crew_ops *ops, void *ctx,
	struct sl_crew **out, struct sl_error *err) sl_must_check;

/* Ends the spawner and with it all hands, without callbacks. Blocks until they are gone. NULL
 * is fine. */
void sl_crew_free(struct sl_crew *crew);

/* To be called for each SIGCHLD. */
void sl_crew_on_child(struct sl_crew *crew);

/* Takes the hand that has been idle longest; NULL when there is none yet. Returns a borrowed
 * pointer that is valid until gone() was called with it. */
struct sl_hand *sl_crew_take(struct sl_crew *crew, void *user);

/* Has the stock filled up again, and @n_waiting hands made for those who need one now. */
void sl_crew_fill(struct sl_crew *crew, size_t n_waiting);

size_t sl_crew_n_idle(const struct sl_crew *crew);

/* The user that take() was given. */
void *sl_hand_user(const struct sl_hand *hand);
pid_t sl_hand_pid(const struct sl_hand *hand);

/* Sends a frame; gone() will come for a hand that can't take it any more. */
void sl_hand_send(struct sl_hand *hand, const struct sl_link_frame *frame);

/* Ends it and what it started; gone() follows. More than once is fine. */
void sl_hand_kill(struct sl_hand *hand);

/* Ends it for what it wrote. */
void sl_hand_condemn(struct sl_hand *hand, const struct sl_error *why);
