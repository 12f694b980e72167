/* SPDX-License-Identifier: MIT */
#include "proto/inbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/error.h"

struct sl_inbox {
	int fd; /* eventfd; written when the queue stops being empty */
	pthread_mutex_t lock;
	struct sl_completion *first, **last; /* guarded by: lock */
};

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
	inbox->last = &inbox->first;
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

/* On one of NNG's threads. */
static void completed(void *arg)
{
	struct sl_completion *completion = arg;
	struct sl_inbox *inbox = completion->inbox;
	const uint64_t one = 1;
	bool first;

	pthread_mutex_lock(&inbox->lock);
	first = inbox->first == NULL;
	completion->next = NULL;
	*inbox->last = completion;
	inbox->last = &completion->next;
	pthread_mutex_unlock(&inbox->lock);
	/* Can only fail when the counter is full, and then the fd is readable anyway. */
	if (first && write(inbox->fd, &one, sizeof(one)) < 0)
		return;
}

static struct sl_completion *take(struct sl_inbox *inbox)
{
	struct sl_completion *completion;

	pthread_mutex_lock(&inbox->lock);
	completion = inbox->first;
	if (completion) {
		inbox->first = completion->next;
		if (!inbox->first)
			inbox->last = &inbox->first;
	}
	pthread_mutex_unlock(&inbox->lock);
	return completion;
}

void sl_inbox_dispatch(struct sl_inbox *inbox)
{
	struct sl_completion *completion;
	uint64_t ignored;

	/* Before the queue is looked at: what comes in from here on makes it readable again. */
	if (read(inbox->fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		return;
	while ((completion = take(inbox)) != NULL) {
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

static void forget(struct sl_completion *completion)
{
	struct sl_inbox *inbox = completion->inbox;

	pthread_mutex_lock(&inbox->lock);
	for (struct sl_completion **at = &inbox->first; *at; at = &(*at)->next)
		if (*at == completion) {
			*at = completion->next;
			if (!*at)
				inbox->last = at;
			break;
		}
	pthread_mutex_unlock(&inbox->lock);
}

void sl_completion_deinit(struct sl_completion *completion)
{
	if (!completion->aio)
		return;
	nng_aio_stop(completion->aio);
	forget(completion);
	nng_aio_free(completion->aio);
	completion->aio = NULL;
}
