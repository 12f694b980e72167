/* SPDX-License-Identifier: MIT */
#include "agent/crew.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/loop.h"
#include "agent/spawner.h"
#include "agent/sweep.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"

/* The least time between two attempts at what may fail again at once. */
#define RETRY_MS 1000

TAILQ_HEAD(hand_list, sl_hand);

struct sl_crew {
	struct sl_loop *loop;
	const struct sl_crew_ops *ops;
	void *ctx;
	size_t stock;   /* immutable after new */
	bool only_once; /* no other spawner comes after this one */

	pid_t spawner; /* 0: there is none now */
	int control;
	struct sl_loop_watch *control_watch;
	struct sl_loop_timer *retry;
	int64_t spawner_start_ms;
	bool spawner_died;    /* and what it left is not all gone */
	int64_t fill_from_ms; /* not before; workers or forks failed */

	struct hand_list idle, taken; /* sl_hand.link */
	size_t n_idle, n_taken;
	uint64_t n_started;      /* workers so far */
	uint64_t n_spawners;     /* so far */
	size_t n_waiting;        /* as last told */
	size_t n_asked;          /* hands that the spawner has been asked for */
	size_t n_unasked;        /* hands that it has still to be asked for */
	bool kill_wanted;        /* some hand's kill_wanted */
	int32_t ping;            /* the last one's number */
	bool ping_wanted;        /* the spawner has still to be asked */
	void (*pong)(void *ctx); /* NULL: nobody waits for it */
	void *pong_ctx;
	struct sl_tally_sum past; /* what tasks did whose hands are gone */
};

static void talk_to_spawner(struct sl_crew *crew);

static void on_frame(void *ctx, struct sl_hand *hand, const struct sl_link_frame *frame)
{
	struct sl_crew *crew = ctx;

	crew->ops->frame(crew->ctx, hand, frame);
}

static void on_paused(void *ctx, struct sl_hand *hand)
{
	struct sl_crew *crew = ctx;

	crew->ops->paused(crew->ctx, hand);
}

static void on_kill(void *ctx, struct sl_hand *hand)
{
	struct sl_crew *crew = ctx;

	(void)hand;
	crew->kill_wanted = true;
	talk_to_spawner(crew);
}

static const struct sl_hand_ops hand_ops = {
	.frame = on_frame, .paused = on_paused, .kill = on_kill};

static void add_hand(struct sl_crew *crew, pid_t pid, int fd, struct sl_tally *tally)
{
	struct sl_hand *hand;
	struct sl_error err;

	if (sl_hand_new(crew->loop, pid, fd, tally, &hand_ops, crew, &hand, &err) < 0) {
		/* The worker ends, as its socket is closed. */
		sl_log(SL_LOG_ERROR, "%s pid=%d", err.text, (int)pid);
		return;
	}
	TAILQ_INSERT_TAIL(&crew->idle, hand, link);
	crew->n_idle++;
	crew->n_started++;
	crew->ops->ready(crew->ctx);
}

static struct sl_hand *find(struct sl_crew *crew, pid_t pid)
{
	struct sl_hand *hand;

	TAILQ_FOREACH(hand, &crew->taken, link)
	if (hand->pid == pid)
		return hand;
	TAILQ_FOREACH(hand, &crew->idle, link)
	if (hand->pid == pid)
		return hand;
	return NULL;
}

/* Something failed that would fail again if it were tried at once. */
static void hold_back(struct sl_crew *crew)
{
	crew->fill_from_ms = sl_clock_monotonic_ms() + RETRY_MS;
	sl_loop_timer_set(crew->retry, RETRY_MS);
}

static void lose_idle_hand(struct sl_crew *crew, struct sl_hand *hand)
{
	if (!crew->spawner_died)
		sl_log(SL_LOG_WARNING, "an idle worker died pid=%d status=%d", (int)hand->pid,
			hand->end.status);
	TAILQ_REMOVE(&crew->idle, hand, link);
	crew->n_idle--;
	sl_hand_free(hand);
	hold_back(crew);
}

static void lose_hand(struct sl_crew *crew, struct sl_hand *hand)
{
	if (!hand->taken) {
		lose_idle_hand(crew, hand);
		return;
	}
	sl_hand_read_last_words(hand);
	sl_tally_sum(&crew->past, hand->tally, 0, SL_TALLY_FIRST_GAUGE);
	TAILQ_REMOVE(&crew->taken, hand, link);
	crew->n_taken--;
	crew->ops->gone(crew->ctx, hand, &hand->end);
	sl_hand_free(hand);
}

static void take_pong(struct sl_crew *crew, int32_t number)
{
	void (*pong)(void *ctx) = crew->pong;

	if (!pong || number != crew->ping)
		return;
	crew->pong = NULL;
	pong(crew->pong_ctx);
}

static void on_report(struct sl_crew *crew, const struct sl_spawner_report *report, int fd,
	struct sl_tally *tally)
{
	struct sl_hand *hand;

	switch (report->news) {
	case SL_SPAWNER_WORKER:
		crew->n_asked--;
		add_hand(crew, report->pid, fd, tally);
		break;
	case SL_SPAWNER_NO_WORKER:
		crew->n_asked--;
		sl_log(SL_LOG_ERROR, "cannot fork a worker: %s", strerror(report->status));
		hold_back(crew);
		break;
	case SL_SPAWNER_PONG:
		take_pong(crew, report->status);
		break;
	default:
		if (report->news == SL_SPAWNER_REMAINS)
			sl_log(SL_LOG_ERROR,
				"a process that a worker started cannot be killed worker=%d",
				(int)report->pid);
		hand = find(crew, report->pid);
		if (!hand)
			break;
		hand->end.status = report->status;
		lose_hand(crew, hand);
	}
}

/* Takes the descriptors that came with @msg: its socket, or -1, and its tally, or NULL. */
static int take_fds(struct msghdr *msg, struct sl_tally **out_tally)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(msg);
	int fds[SL_SPAWNER_N_FDS] = {-1, -1};

	if (head && head->cmsg_type == SCM_RIGHTS && head->cmsg_len <= CMSG_LEN(sizeof(fds)))
		memcpy(fds, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
	if (fds[SL_SPAWNER_TALLY] < 0)
		*out_tally = NULL;
	else
		*out_tally = sl_tally_map(fds[SL_SPAWNER_TALLY], false);
	if (fds[SL_SPAWNER_TALLY] >= 0)
		close(fds[SL_SPAWNER_TALLY]);
	if (!*out_tally && fds[SL_SPAWNER_SOCKET] >= 0) {
		close(fds[SL_SPAWNER_SOCKET]);
		return -1;
	}
	return fds[SL_SPAWNER_SOCKET];
}

/* Reads one report. False when there is none now, or no spawner any more. */
static bool read_report(struct sl_crew *crew, bool *out_closed)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(SL_SPAWNER_N_FDS * sizeof(int))];
	} control;
	struct sl_spawner_report report;
	struct iovec iov = {&report, sizeof(report)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space)};
	ssize_t n = recvmsg(crew->control, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct sl_tally *tally;
	int fd;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n != sizeof(report)) {
		*out_closed = true;
		return false;
	}
	fd = take_fds(&msg, &tally);
	if (report.news == SL_SPAWNER_WORKER && fd < 0) {
		/* Our descriptors ran out: the worker sees its socket closed, and ends. */
		report.news = SL_SPAWNER_NO_WORKER;
		report.status = EMFILE;
	}
	on_report(crew, &report, fd, tally);
	return true;
}

static bool ask_spawner(struct sl_crew *crew, enum sl_spawner_verb verb, int number)
{
	struct sl_spawner_request request = {verb, number};
	ssize_t n = send(crew->control, &request, sizeof(request), MSG_DONTWAIT | MSG_NOSIGNAL);

	return n == sizeof(request);
}

static bool ask_to_kill(struct sl_crew *crew, struct hand_list *list)
{
	struct sl_hand *hand;

	TAILQ_FOREACH(hand, list, link)
	{
		if (hand->kill_wanted && !ask_spawner(crew, SL_SPAWNER_KILL, hand->pid))
			return false;
		hand->kill_wanted = false;
	}
	return true;
}

/* Tells the spawner what it has still to be told, as far as the socket takes it. */
static void talk_to_spawner(struct sl_crew *crew)
{
	bool stuck = false;

	if (!crew->spawner)
		return;
	if (crew->kill_wanted) {
		stuck = !ask_to_kill(crew, &crew->taken) || !ask_to_kill(crew, &crew->idle);
		crew->kill_wanted = stuck;
	}
	if (crew->n_unasked > 0 && !stuck) {
		stuck = !ask_spawner(crew, SL_SPAWNER_FORK, (int)crew->n_unasked);
		if (!stuck) {
			crew->n_asked += crew->n_unasked;
			crew->n_unasked = 0;
		}
	}
	if (crew->ping_wanted && !stuck) {
		stuck = !ask_spawner(crew, SL_SPAWNER_PING, crew->ping);
		crew->ping_wanted = stuck;
	}
	sl_loop_watch_set(crew->control_watch, SL_LOOP_READ | (stuck ? SL_LOOP_WRITE : 0u));
}

static bool keep_none(void *ctx, pid_t pid)
{
	(void)ctx;
	(void)pid;
	return false;
}

static int start_spawner(struct sl_crew *crew, struct sl_error *err);

static void on_retry(void *ctx)
{
	struct sl_crew *crew = ctx;
	struct sl_error err;

	if (crew->spawner_died || (crew->only_once && !crew->spawner))
		return;
	if (!crew->spawner && start_spawner(crew, &err) < 0) {
		sl_log(SL_LOG_ERROR, "%s", err.text);
		sl_loop_timer_set(crew->retry, RETRY_MS);
		return;
	}
	sl_crew_fill(crew, crew->n_waiting);
	talk_to_spawner(crew);
}

/* The spawner took its workers along, and all that they had started fell to us. */
static void finish_burial(struct sl_crew *crew)
{
	struct sl_hand *hand;
	int64_t since_ms = sl_clock_monotonic_ms() - crew->spawner_start_ms;

	while ((hand = TAILQ_FIRST(&crew->idle)))
		lose_hand(crew, hand);
	while ((hand = TAILQ_FIRST(&crew->taken))) {
		hand->end.spawner_died = true;
		lose_hand(crew, hand);
	}
	crew->spawner_died = false;
	crew->fill_from_ms = 0;
	if (crew->only_once) {
		crew->ops->lost(crew->ctx);
		return;
	}
	sl_loop_timer_set(crew->retry, since_ms < RETRY_MS ? RETRY_MS - since_ms : 0);
}

void sl_crew_on_child(struct sl_crew *crew)
{
	struct sl_error err;
	int n;

	if (!crew->spawner_died)
		return;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	n = sl_sweep(keep_none, NULL, &err);
	if (n < 0)
		sl_log(SL_LOG_ERROR, "cannot look for what workers left behind: %s", err.text);
	if (n <= 0)
		finish_burial(crew);
}

static void on_spawner_gone(struct sl_crew *crew)
{
	sl_log(SL_LOG_ERROR, "the spawner died; running tasks die with it pid=%d",
		(int)crew->spawner);
	sl_loop_watch_free(crew->control_watch);
	crew->control_watch = NULL;
	close(crew->control);
	kill(crew->spawner, SIGKILL);
	/* We may not have the right to kill it: it ends by itself then. */
	waitpid(crew->spawner, NULL, crew->only_once ? WNOHANG : 0);
	crew->spawner = 0;
	crew->n_asked = crew->n_unasked = 0;
	crew->ping_wanted = crew->pong != NULL;
	crew->spawner_died = true;
	if (crew->only_once)
		finish_burial(crew);
	else
		sl_crew_on_child(crew);
}

static void on_control(void *ctx, unsigned what)
{
	struct sl_crew *crew = ctx;
	bool closed = false;

	if (what & SL_LOOP_WRITE)
		talk_to_spawner(crew);
	while (read_report(crew, &closed))
		;
	if (closed)
		on_spawner_gone(crew);
}

static int start_spawner(struct sl_crew *crew, struct sl_error *err)
{
	int result;

	crew->spawner_start_ms = sl_clock_monotonic_ms();
	result = sl_spawner_start(&crew->spawner, &crew->control, err);
	if (result < 0)
		return result;
	crew->n_spawners++;
	result = sl_loop_watch_new(crew->loop, crew->control, SL_LOOP_READ, on_control, crew,
		&crew->control_watch, err);
	if (result < 0) {
		close(crew->control);
		waitpid(crew->spawner, NULL, 0);
		crew->spawner = 0;
	}
	return result;
}

int sl_crew_new(struct sl_loop *loop, size_t stock, const struct sl_crew_ops *ops, void *ctx,
	struct sl_crew **out, struct sl_error *err)
{
	struct sl_crew *crew = calloc(1, sizeof(*crew));
	int result;

	if (!crew)
		return sl_fail(err, SL_ENOMEM, "no memory for the crew");
	crew->loop = loop;
	crew->ops = ops;
	crew->ctx = ctx;
	crew->stock = stock;
	TAILQ_INIT(&crew->idle);
	TAILQ_INIT(&crew->taken);
	result = sl_sweep_become_reaper(err);
	if (result == 0)
		result = sl_loop_timer_new(loop, on_retry, crew, &crew->retry, err);
	if (result == 0)
		result = start_spawner(crew, err);
	if (result < 0) {
		sl_crew_free(crew);
		return result;
	}
	sl_crew_fill(crew, 0);
	*out = crew;
	return 0;
}

void sl_crew_keep_spawner(struct sl_crew *crew)
{
	crew->only_once = true;
}

static void free_hands(struct hand_list *list)
{
	struct sl_hand *hand;

	while ((hand = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, hand, link);
		sl_hand_free(hand);
	}
}

void sl_crew_free(struct sl_crew *crew)
{
	if (!crew)
		return;
	free_hands(&crew->idle);
	free_hands(&crew->taken);
	sl_loop_timer_free(crew->retry);
	if (crew->spawner) {
		sl_loop_watch_free(crew->control_watch);
		close(crew->control);
		waitpid(crew->spawner, NULL, 0);
	}
	free(crew);
}

struct sl_hand *sl_crew_take(struct sl_crew *crew, void *user)
{
	struct sl_hand *hand = TAILQ_FIRST(&crew->idle);

	if (!hand)
		return NULL;
	TAILQ_REMOVE(&crew->idle, hand, link);
	crew->n_idle--;
	TAILQ_INSERT_HEAD(&crew->taken, hand, link);
	crew->n_taken++;
	hand->taken = true;
	hand->user = user;
	return hand;
}

void sl_crew_fill(struct sl_crew *crew, size_t n_waiting)
{
	size_t wanted = crew->stock + n_waiting;
	size_t coming = crew->n_idle + crew->n_asked + crew->n_unasked;

	crew->n_waiting = n_waiting;
	if (wanted <= coming || !crew->spawner || sl_clock_monotonic_ms() < crew->fill_from_ms)
		return;
	crew->n_unasked += wanted - coming;
	talk_to_spawner(crew);
}

size_t sl_crew_n_idle(const struct sl_crew *crew)
{
	return crew->n_idle;
}

void sl_crew_tally(const struct sl_crew *crew, struct sl_tally_sum *out)
{
	const struct sl_hand *hand;

	*out = crew->past;
	TAILQ_FOREACH(hand, &crew->taken, link)
	sl_tally_sum(out, hand->tally, 0, SL_N_TALLY_ITEMS);
}

void sl_crew_count(const struct sl_crew *crew, struct sl_crew_numbers *out)
{
	*out = (struct sl_crew_numbers){
		crew->n_idle, crew->n_taken, crew->n_started, crew->n_spawners, crew->spawner};
}

static size_t list_pids(const struct hand_list *list, pid_t *out, size_t n, size_t max)
{
	const struct sl_hand *hand;

	TAILQ_FOREACH(hand, list, link)
	if (n < max)
		out[n++] = hand->pid;
	return n;
}

size_t sl_crew_pids(const struct sl_crew *crew, pid_t *out, size_t max)
{
	return list_pids(&crew->taken, out, list_pids(&crew->idle, out, 0, max), max);
}

void sl_crew_ping(struct sl_crew *crew, void (*fn)(void *ctx), void *ctx)
{
	crew->pong = fn;
	crew->pong_ctx = ctx;
	crew->ping_wanted = fn != NULL;
	if (!fn)
		return;
	crew->ping++;
	talk_to_spawner(crew);
}
