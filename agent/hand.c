/* SPDX-License-Identifier: MIT */
#include "agent/hand.h"

#include <stdlib.h>
#include <unistd.h>

#include "agent/loop.h"
#include "common/error.h"
#include "common/log.h"
#include "common/tally.h"

/* How much is read from one hand before the others have their turn. */
#define MAX_READS 8

/* More than a socket holds. */
#define MAX_LAST_READS 1024

static void end_link(struct sl_hand *hand)
{
	hand->link_ended = true;
	sl_loop_watch_set(hand->watch, 0);
}

void sl_hand_kill(struct sl_hand *hand)
{
	if (hand->end.was_killed)
		return;
	hand->end.was_killed = true;
	hand->kill_wanted = true;
	hand->ops->kill(hand->ctx, hand);
}

void sl_hand_condemn(struct sl_hand *hand, const struct sl_error *why)
{
	sl_log(SL_LOG_WARNING, "worker ended for what it wrote pid=%d why=%s", (int)hand->pid,
		why->text);
	end_link(hand);
	hand->end.broke_link = true;
	sl_hand_kill(hand);
}

static int take_frame(
	struct sl_hand *hand, const struct sl_link_frame *frame, struct sl_error *err)
{
	if (!hand->taken)
		return sl_fail(err, SL_EPROTOCOL, "a frame although it has no task");
	if (frame->kind != SL_LINK_BATCH && frame->kind != SL_LINK_FINISHED)
		return sl_fail(err, SL_EPROTOCOL, "a frame that is for workers");
	hand->ops->frame(hand->ctx, hand, frame);
	/* Its last one: that its socket closes then is no news, and its exit is told by the
	 * spawner. */
	if (frame->kind == SL_LINK_FINISHED)
		end_link(hand);
	return 0;
}

static void take_frames(struct sl_hand *hand)
{
	struct sl_link_frame frame;
	struct sl_error err;
	size_t at = 0, used;
	int result = 0;

	while (!hand->link_ended && result == 0) {
		struct sl_bytes rest = {hand->in.data + at, hand->in.size - at};

		result = sl_link_next(rest, &frame, &used, &err);
		if (result != 0)
			break;
		at += used;
		result = take_frame(hand, &frame, &err);
	}
	if (result < 0)
		sl_hand_condemn(hand, &err);
	sl_buffer_consume(&hand->in, at);
}

/* Reads at most @max_reads pieces and takes the frames in them. */
static void read_link(struct sl_hand *hand, int max_reads)
{
	struct sl_error err;
	int result = 0;

	for (int i = 0; i < max_reads && result == 0 && !hand->link_ended; i++) {
		result = sl_link_receive(hand->fd, &hand->in, &err);
		if (result == 0)
			take_frames(hand);
	}
	if (result == SL_ECLOSED)
		end_link(hand);
	else if (result < 0)
		sl_hand_condemn(hand, &err);
	/* What one big frame needed isn't needed for ever. */
	if (hand->in.size == 0)
		sl_buffer_deinit(&hand->in);
	if (hand->taken)
		hand->ops->paused(hand->ctx, hand);
}

static void write_link(struct sl_hand *hand)
{
	struct sl_error err;
	int result;

	if (hand->link_ended)
		return;
	result = sl_link_flush(hand->fd, &hand->out, &err);
	/* A hand that can't be written to may have left something to read; its end is told by
	 * the spawner. */
	if (result != SL_LINK_MORE)
		sl_buffer_deinit(&hand->out);
	sl_loop_watch_set(
		hand->watch, SL_LOOP_READ | (result == SL_LINK_MORE ? SL_LOOP_WRITE : 0u));
}

static void on_ready(void *ctx, unsigned what)
{
	struct sl_hand *hand = ctx;

	if (what & SL_LOOP_WRITE)
		write_link(hand);
	if (what & SL_LOOP_READ)
		read_link(hand, MAX_READS);
}

int sl_hand_new(struct sl_loop *loop, pid_t pid, int fd, struct sl_tally *tally,
	const struct sl_hand_ops *ops, void *ctx, struct sl_hand **out, struct sl_error *err)
{
	struct sl_hand *hand = calloc(1, sizeof(*hand));
	int result;

	if (!hand) {
		close(fd);
		sl_tally_unmap(tally);
		return sl_fail(err, SL_ENOMEM, "no memory for a worker");
	}
	*hand = (struct sl_hand){.pid = pid, .tally = tally, .ops = ops, .ctx = ctx, .fd = fd};
	result = sl_loop_watch_new(loop, fd, SL_LOOP_READ, on_ready, hand, &hand->watch, err);
	if (result < 0) {
		close(fd);
		sl_tally_unmap(tally);
		free(hand);
		return result;
	}
	*out = hand;
	return 0;
}

void sl_hand_free(struct sl_hand *hand)
{
	sl_loop_watch_free(hand->watch);
	close(hand->fd);
	sl_tally_unmap(hand->tally);
	sl_buffer_deinit(&hand->in);
	sl_buffer_deinit(&hand->out);
	free(hand);
}

void sl_hand_send(struct sl_hand *hand, const struct sl_link_frame *frame)
{
	struct sl_error err;

	if (!sl_link_append(&hand->out, frame)) {
		sl_fail(&err, SL_ENOMEM, "no memory for what it is to be told");
		sl_hand_condemn(hand, &err);
		return;
	}
	write_link(hand);
}

void sl_hand_read_last_words(struct sl_hand *hand)
{
	if (!hand->link_ended)
		read_link(hand, MAX_LAST_READS);
}
