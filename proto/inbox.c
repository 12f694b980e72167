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
	int fd; /* eventfd; written when the queue stops being empty */
	pthread_mutex_t lock;
	struct queue queue; /* guarded by: lock */

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

static void drop(struct queue *queue, const struct sl_completion *completion)
{
	for (struct sl_completion **at = &queue->first; *at; at = &(*at)->next)
		if (*at == completion) {
			*at = completion->next;
			if (!*at)
				queue->last = at;
			break;
		}
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

/* On one of NNG's threads. */
static void completed(void *arg)
{
	struct sl_completion *completion = arg;
	struct sl_inbox *inbox = completion->inbox;
	bool first;

	pthread_mutex_lock(&inbox->lock);
	first = inbox->queue.first == NULL;
	push(&inbox->queue, completion);
	pthread_mutex_unlock(&inbox->lock);
	if (first)
		sl_inbox_wake(inbox);
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
