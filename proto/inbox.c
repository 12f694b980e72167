/* SPDX-License-Identifier: MIT */
#include "proto/inbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/error.h"

struct queue {
	struct sl_completion *first, **last;
};

struct sl_inbox {
	int fd; /* eventfd; written when there is news for the first time */
	pthread_mutex_t lock;
	struct queue queue; /* guarded by: lock */
	bool has_news; /* guarded by: lock; something in the queue is no quiet completion */

	struct queue turn; /* owner: loop. What this dispatch still has to call back for */
};

static void init(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void push(struct queue *queue, struct sl_completion *completion)
{
	completion->next = NULL;
	*queue->last = completion;
	queue->last = &completion->next;
}

static struct sl_completion *pop(struct queue *queue)
{
	struct sl_completion *completion = queue->first;

	if (completion) {
		queue->first = completion->next;
		if (!queue->first)
			queue->last = &queue->first;
	}
	return completion;
}

static struct sl_completion **find(struct queue *queue, const struct sl_completion *completion)
{
	struct sl_completion **at = &queue->first;

	while (*at && *at != completion)
		at = &(*at)->next;
	return at;
}

/* Whether it was there. */
static bool drop(struct queue *queue, const struct sl_completion *completion)
{
	struct sl_completion **at = find(queue, completion);

	if (!*at)
		return false;
	*at = completion->next;
	if (!*at)
		queue->last = at;
	return true;
}

int sl_inbox_new(struct sl_inbox **out, struct sl_error *err)
{
	struct sl_inbox *inbox = calloc(1, sizeof(*inbox));

	if (!inbox)
		return sl_fail(err, SL_ENOMEM, "inbox: out of memory");
	inbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (inbox->fd < 0) {
		free(inbox);
		return sl_fail_errno(err, errno, "inbox: eventfd");
	}
	pthread_mutex_init(&inbox->lock, NULL);
	init(&inbox->queue);
	init(&inbox->turn);
	*out = inbox;
	return 0;
}

void sl_inbox_free(struct sl_inbox *inbox)
{
	if (!inbox)
		return;
	pthread_mutex_destroy(&inbox->lock);
	close(inbox->fd);
	free(inbox);
}

int sl_inbox_fd(const struct sl_inbox *inbox)
{
	return inbox->fd;
}

void sl_inbox_wake(struct sl_inbox *inbox)
{
	const uint64_t one = 1;

	/* Can only fail when the counter is full, and then the fd is readable anyway. */
	if (write(inbox->fd, &one, sizeof(one)) < 0)
		return;
}

/* Whether the loop has to be told; once is enough for all that is in the queue. */
static bool note_news_locked(struct sl_inbox *inbox)
{
	bool first = !inbox->has_news;

	inbox->has_news = true;
	return first;
}

static bool is_quiet_locked(const struct sl_completion *completion)
{
	return completion->quiet_bytes > 0 && nng_aio_result(completion->aio) == 0 &&
	       nng_aio_count(completion->aio) == completion->quiet_bytes;
}

/* On one of NNG's threads. */
static void completed(void *arg)
{
	struct sl_completion *completion = arg;
	struct sl_inbox *inbox = completion->inbox;
	bool wake;

	pthread_mutex_lock(&inbox->lock);
	push(&inbox->queue, completion);
	wake = !is_quiet_locked(completion) && note_news_locked(inbox);
	pthread_mutex_unlock(&inbox->lock);
	if (wake)
		sl_inbox_wake(inbox);
}

void sl_completion_expect(struct sl_completion *completion, size_t bytes)
{
	pthread_mutex_lock(&completion->inbox->lock);
	completion->quiet_bytes = bytes;
	pthread_mutex_unlock(&completion->inbox->lock);
}

void sl_completion_hurry(struct sl_completion *completion)
{
	struct sl_inbox *inbox = completion->inbox;
	bool wake = false;

	pthread_mutex_lock(&inbox->lock);
	if (completion->quiet_bytes > 0) {
		completion->quiet_bytes = 0;
		wake = *find(&inbox->queue, completion) && note_news_locked(inbox);
	}
	pthread_mutex_unlock(&inbox->lock);
	if (wake)
		sl_inbox_wake(inbox);
}

bool sl_completion_take(struct sl_completion *completion)
{
	bool taken;

	pthread_mutex_lock(&completion->inbox->lock);
	taken = drop(&completion->inbox->queue, completion);
	pthread_mutex_unlock(&completion->inbox->lock);
	if (taken)
		completion->pending = false;
	return taken;
}

void sl_inbox_dispatch(struct sl_inbox *inbox)
{
	struct sl_completion *completion;
	uint64_t ignored;

	/* Before the queue is looked at: what comes in from here on makes it readable again. */
	if (read(inbox->fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&inbox->lock);
	while ((completion = pop(&inbox->queue)) != NULL)
		push(&inbox->turn, completion);
	inbox->has_news = false;
	pthread_mutex_unlock(&inbox->lock);

	while ((completion = pop(&inbox->turn)) != NULL) {
		completion->pending = false;
		completion->fn(completion->ctx);
	}
}

int sl_completion_init(struct sl_completion *completion, struct sl_inbox *inbox,
	void (*fn)(void *ctx), void *ctx, struct sl_error *err)
{
	*completion = (struct sl_completion){.inbox = inbox, .fn = fn, .ctx = ctx};
	if (nng_aio_alloc(&completion->aio, completed, completion)) {
		completion->aio = NULL;
		return sl_fail(err, SL_ENOMEM, "inbox: out of memory");
	}
	/* Deadlines are our own: an aio's would not end every kind of receive. */
	nng_aio_set_timeout(completion->aio, NNG_DURATION_INFINITE);
	return 0;
}

void sl_completion_stop(struct sl_completion *completion)
{
	struct sl_inbox *inbox = completion->inbox;

	if (!completion->aio)
		return;
	nng_aio_stop(completion->aio);
	pthread_mutex_lock(&inbox->lock);
	drop(&inbox->queue, completion);
	pthread_mutex_unlock(&inbox->lock);
	drop(&inbox->turn, completion);
}

void sl_completion_deinit(struct sl_completion *completion)
{
	sl_completion_stop(completion);
	if (completion->aio)
		nng_aio_free(completion->aio);
	completion->aio = NULL;
}
