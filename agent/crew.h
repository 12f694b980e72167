/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Crew: all worker processes, as main sees them: a stock of idle hands, and
 * those that were taken. The crew keeps the spawner alive: when that dies, all
 * hands die with it and a new one is started, at most once a second.
 *
 * Threads: the loop's.
 */

#include "agent/hand.h"
#include "common/tally.h"

struct sl_crew;
struct sl_error;
struct sl_loop;

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
	/* The spawner died, and there will be no other: see sl_crew_keep_spawner(). All hands
	 * are gone. */
	void (*lost)(void *ctx);
};

/* Starts the spawner and asks for @stock idle hands: call it before other threads start. @ops
 * and @ctx are borrowed until free. */
int sl_crew_new(struct sl_loop *loop, size_t stock, const struct sl_crew_ops *ops, void *ctx,
	struct sl_crew **out, struct sl_error *err) sl_must_check;

/* From here on a new spawner would not be as good as the one there is, which has rights that we
 * gave up: when it dies, lost() is called. What its workers left behind is not ours to end
 * then, but the service manager's. */
void sl_crew_keep_spawner(struct sl_crew *crew);

/* Ends the spawner and with it all hands, without callbacks. Blocks until they are gone. NULL
 * is fine. */
void sl_crew_free(struct sl_crew *crew);

/* To be called for each SIGCHLD. */
void sl_crew_on_child(struct sl_crew *crew);

/* Takes the hand that has been idle longest; NULL when there is none yet. @user is
 * its user from now on. Returns a borrowed pointer, valid until gone() was called with it. */
struct sl_hand *sl_crew_take(struct sl_crew *crew, void *user);

/* Has the stock filled up again, and @n_waiting hands made for those who need one now. */
void sl_crew_fill(struct sl_crew *crew, size_t n_waiting);

size_t sl_crew_n_idle(const struct sl_crew *crew);

/* Has the spawner asked whether it is there; fn(ctx) is called when it says so, which one that
 * is started meanwhile does too. The last one who asks is told; NULL: nobody. */
void sl_crew_ping(struct sl_crew *crew, void (*fn)(void *ctx), void *ctx);

struct sl_crew_numbers {
	size_t n_idle, n_busy;
	uint64_t n_started;  /* workers so far */
	uint64_t n_spawners; /* that were started so far */
	pid_t spawner;       /* 0: there is none now */
};

void sl_crew_count(const struct sl_crew *crew, struct sl_crew_numbers *out);

/* Writes the processes of at most @max workers, idle ones too; returns how many. */
size_t sl_crew_pids(const struct sl_crew *crew, pid_t *out, size_t max);

/* What all tasks have done, those that are over included, and what they have now. */
void sl_crew_tally(const struct sl_crew *crew, struct sl_tally_sum *out);
