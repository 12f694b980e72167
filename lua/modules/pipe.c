/* SPDX-License-Identifier: MIT */
#include "lua/modules/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "lua/modules/environment.h"
#include "lua/modules/kin.h"
#include "lua/modules/launch.h"
#include "lua/modules/mourning.h"
#include "lua/schedule/reactor.h"
#include "lua/schedule/scheduler.h"

#define PIECE ((size_t)64 * 1024)

struct sl_pipe {
	bool writes;
	FILE *file;
	int fd;     /* our end, which does not block; -1: closed */
	int pidfd;  /* -1: reaped, or no command */
	bool named; /* no command */
	bool fresh; /* named, and nobody has been at its other end so far */
	bool ended;
	struct sl_kin kin;
	struct sl_buffer ahead; /* what was read */
	size_t taken;           /* of it by the FILE */
	struct sl_watch *watch; /* of fd */
	struct sl_watch *end_watch;

	pthread_mutex_t lock;
	struct sl_waiters waiters; /* guarded by: lock */
};

/* ---- the FILE: for whoever didn't look ahead, on this thread ---- */

/* Whether the goroutine that uses a FILE has to stop: then the FILE fails. */
static bool has_to_stop(void)
{
	struct sl_worker *worker = sl_worker_self();
	struct sl_goroutine *goroutine = worker ? atomic_load(&worker->running) : NULL;

	if (!goroutine || !atomic_load(&goroutine->stopping))
		return false;
	errno = ECANCELED;
	return true;
}

/* The signal of a stop ends the poll. One that comes a moment too early is followed by others.
 */
static void block(struct sl_pipe *pipe)
{
	struct pollfd fd = {.fd = pipe->fd, .events = pipe->writes ? POLLOUT : POLLIN};
	struct sl_worker *worker = sl_worker_self();
	bool handed_over = worker && sl_worker_block(worker);

	poll(&fd, 1, -1);
	if (handed_over)
		sl_worker_unblock(worker);
}

static ssize_t read_file(void *cookie, char *data, size_t size)
{
	struct sl_pipe *pipe = cookie;
	enum sl_pipe_answer answer = SL_PIPE_OK;

	if (has_to_stop())
		return -1;
	while (pipe->ahead.size == pipe->taken && answer != SL_PIPE_END) {
		answer = sl_pipe_fetch(pipe);
		if (answer == SL_PIPE_WAIT && has_to_stop())
			return -1;
		if (answer == SL_PIPE_WAIT)
			block(pipe);
	}
	if (size > pipe->ahead.size - pipe->taken)
		size = pipe->ahead.size - pipe->taken;
	if (size == 0)
		return 0;
	memcpy(data, pipe->ahead.data + pipe->taken, size);
	pipe->taken += size;
	return (ssize_t)size;
}

static ssize_t write_file(void *cookie, const char *data, size_t size)
{
	struct sl_pipe *pipe = cookie;
	enum sl_pipe_answer answer;
	size_t n;

	while ((answer = sl_pipe_put(pipe, (struct sl_bytes){data, size}, &n)) ==
		SL_PIPE_WAIT) {
		if (has_to_stop())
			return 0;
		block(pipe);
	}
	return answer == SL_PIPE_OK ? (ssize_t)n : 0;
}

FILE *sl_pipe_file(struct sl_pipe *pipe)
{
	return pipe->file;
}

bool sl_pipe_writes(const struct sl_pipe *pipe)
{
	return pipe->writes;
}

/* ---- life ---- */

static void close_end(struct sl_pipe *pipe)
{
	sl_watch_free(sl_steal(pipe->watch));
	if (pipe->fd >= 0)
		close(pipe->fd);
	pipe->fd = -1;
}

void sl_pipe_free(struct sl_pipe *pipe, bool kill)
{
	if (!pipe)
		return;
	if (pipe->file)
		fclose(pipe->file);
	close_end(pipe);
	sl_watch_free(pipe->end_watch);
	if (pipe->pidfd >= 0)
		close(pipe->pidfd);
	if (pipe->kin.root && kill)
		sl_mourn_kin(&pipe->kin);
	else if (pipe->kin.root)
		sl_kin_abandon(&pipe->kin);
	sl_buffer_deinit(&pipe->ahead);
	pthread_mutex_destroy(&pipe->lock);
	free(pipe);
}

static void on_event(struct sl_pipe *pipe, struct sl_watch *watch)
{
	sl_watch_set(watch, 0);
	pthread_mutex_lock(&pipe->lock);
	sl_waiters_wake_all(&pipe->waiters);
	pthread_mutex_unlock(&pipe->lock);
}

static void on_fd(void *ctx, unsigned what)
{
	struct sl_pipe *pipe = ctx;

	(void)what;
	on_event(pipe, pipe->watch);
}

static void on_end(void *ctx, unsigned what)
{
	struct sl_pipe *pipe = ctx;

	(void)what;
	on_event(pipe, pipe->end_watch);
}

static int launch(
	struct sl_pipe *pipe, const struct sl_pipe_ask *start, int theirs, struct sl_error *err)
{
	const char *argv[] = {"sh", "-c", "--", start->command, NULL};
	struct sl_launch ask = {.argv = argv, .fds = {0, 1, 2}};
	char **env;
	pid_t pid;
	int code;

	sl_kin_mark(&pipe->kin);
	env = sl_environment_list(start->environment, pipe->kin.mark, NULL);
	if (!env)
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	ask.env = env;
	ask.fds[pipe->writes ? 0 : 1] = theirs;
	code = sl_launch(&ask, &pid, err);
	free(env);
	if (code != 0)
		return code;
	sl_kin_join(&pipe->kin, pid);
	pipe->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return pipe->pidfd >= 0 ? 0 : sl_fail_errno(err, errno, "cannot watch a process");
}

/* Our end is there: has it watched, and makes the FILE. */
static int attach(struct sl_pipe *pipe, struct sl_reactor *reactor, struct sl_error *err)
{
	static const cookie_io_functions_t reads = {.read = read_file};
	static const cookie_io_functions_t writes = {.write = write_file};
	int code = sl_reactor_watch(reactor, pipe->fd, 0, on_fd, pipe, &pipe->watch, err);

	if (code != 0)
		return code;
	pipe->file = fopencookie(pipe, pipe->writes ? "w" : "r", pipe->writes ? writes : reads);
	if (!pipe->file)
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	setvbuf(pipe->file, NULL, _IONBF, 0); /* what is read is seen here */
	return 0;
}

static int open_ends(struct sl_pipe *pipe, struct sl_reactor *reactor,
	const struct sl_pipe_ask *ask, struct sl_error *err)
{
	int ends[2], theirs, code;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return sl_fail_errno(err, errno, "cannot make a pipe for a process");
	pipe->fd = ends[pipe->writes ? 1 : 0];
	theirs = ends[pipe->writes ? 0 : 1];
	fcntl(pipe->fd, F_SETFL, O_NONBLOCK);
	code = attach(pipe, reactor, err);
	if (code == 0)
		code = launch(pipe, ask, theirs, err);
	close(theirs);
	if (code == 0)
		code = sl_reactor_watch(
			reactor, pipe->pidfd, 0, on_end, pipe, &pipe->end_watch, err);
	return code;
}

static struct sl_pipe *new_pipe(bool writes)
{
	struct sl_pipe *pipe = calloc(1, sizeof(*pipe));

	if (!pipe)
		return NULL;
	pipe->writes = writes;
	pipe->fd = pipe->pidfd = -1;
	pthread_mutex_init(&pipe->lock, NULL);
	return pipe;
}

/* Hands @pipe over if it is whole. */
static int finish(struct sl_pipe *pipe, int code, struct sl_pipe **out)
{
	if (code == 0)
		*out = pipe;
	else
		sl_pipe_free(pipe, true);
	return code;
}

int sl_pipe_open(struct sl_reactor *reactor, const struct sl_pipe_ask *ask,
	struct sl_pipe **out, struct sl_error *err)
{
	struct sl_pipe *pipe = new_pipe(ask->writes);

	if (!pipe)
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	return finish(pipe, open_ends(pipe, reactor, ask, err), out);
}

/* ---- named ones ---- */

bool sl_pipe_is_at(const char *path)
{
	struct stat there;

	return stat(path, &there) == 0 && S_ISFIFO(there.st_mode);
}

bool sl_pipe_is_named(const struct sl_pipe *pipe)
{
	return pipe->named;
}

static int open_named(struct sl_pipe *pipe, const char *path, struct sl_error *err)
{
	int access = pipe->writes ? O_WRONLY : O_RDONLY;

	pipe->fd = open(path, access | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (pipe->fd < 0 && errno == ENXIO)
		return sl_fail(err, SL_ESYSTEM, "%s: nobody reads from this pipe", path);
	return pipe->fd >= 0 ? 0 : sl_fail_errno(err, errno, "%s", path);
}

int sl_pipe_open_named(struct sl_reactor *reactor, const char *path, bool writes,
	struct sl_pipe **out, struct sl_error *err)
{
	struct sl_pipe *pipe = new_pipe(writes);
	int code;

	if (!pipe)
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	pipe->named = true;
	pipe->fresh = !writes;
	code = open_named(pipe, path, err);
	if (code == 0)
		code = attach(pipe, reactor, err);
	return finish(pipe, code, out);
}

/* As long as nobody has opened the other end, a read finds an end that none is. Then there is
 * nothing to see for poll(), either. */
static bool is_alone(struct sl_pipe *pipe)
{
	struct pollfd fd = {.fd = pipe->fd, .events = POLLIN};

	pipe->fresh = pipe->fresh && poll(&fd, 1, 0) == 0;
	return pipe->fresh;
}

/* ---- without blocking ---- */

struct sl_bytes sl_pipe_ahead(const struct sl_pipe *pipe)
{
	return (struct sl_bytes){
		pipe->ahead.data + pipe->taken, pipe->ahead.size - pipe->taken};
}

void sl_pipe_take(struct sl_pipe *pipe, size_t n)
{
	pipe->taken += n;
}

enum sl_pipe_answer sl_pipe_fetch(struct sl_pipe *pipe)
{
	char *at;
	ssize_t n;

	if (pipe->ended || pipe->fd < 0)
		return SL_PIPE_END;
	if (is_alone(pipe))
		return SL_PIPE_WAIT;
	if (pipe->taken > 0)
		sl_buffer_consume(&pipe->ahead, pipe->taken);
	pipe->taken = 0;
	at = sl_buffer_reserve(&pipe->ahead, PIECE);
	if (!at)
		return SL_PIPE_END;
	n = read(pipe->fd, at, PIECE);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return SL_PIPE_WAIT;
	pipe->ended = n <= 0;
	if (pipe->ended)
		return SL_PIPE_END;
	pipe->ahead.size += (size_t)n;
	return SL_PIPE_OK;
}

enum sl_pipe_answer sl_pipe_put(struct sl_pipe *pipe, struct sl_bytes text, size_t *out_n)
{
	ssize_t n = write(pipe->fd, text.data, text.size);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return SL_PIPE_WAIT;
	if (n < 0)
		return SL_PIPE_END;
	*out_n = (size_t)n;
	return SL_PIPE_OK;
}

enum sl_pipe_answer sl_pipe_close(struct sl_pipe *pipe, struct sl_process_end *out)
{
	siginfo_t info = {.si_pid = 0};

	close_end(pipe);
	if (pipe->named)
		return SL_PIPE_OK;
	if (waitid(P_PIDFD, (id_t)pipe->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		info.si_pid == 0)
		return SL_PIPE_WAIT;
	sl_kin_leave(&pipe->kin); /* while its number is still its own */
	waitid(P_PIDFD, (id_t)pipe->pidfd, &info, WEXITED | WNOHANG);
	if (info.si_code == CLD_EXITED)
		*out = (struct sl_process_end){.exit_code = info.si_status};
	else
		*out = (struct sl_process_end){-1, info.si_status};
	return SL_PIPE_OK;
}

/* ---- waiting ---- */

static bool enter(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_pipe *pipe = wait->object;

	(void)goroutine;
	pthread_mutex_lock(&pipe->lock);
	sl_waiters_add(&pipe->waiters, &wait->waiter);
	pthread_mutex_unlock(&pipe->lock);
	if (pipe->fd < 0)
		sl_watch_set(pipe->end_watch, SL_REACTOR_READ);
	else
		sl_watch_set(pipe->watch, pipe->writes ? SL_REACTOR_WRITE : SL_REACTOR_READ);
	return true;
}

static void leave(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_pipe *pipe = wait->object;

	(void)goroutine;
	pthread_mutex_lock(&pipe->lock);
	sl_waiters_remove(&pipe->waiters, &wait->waiter);
	pthread_mutex_unlock(&pipe->lock);
}

const struct sl_wait_kind sl_pipe_wait_kind = {
	.name = "process",
	.external = true,
	.enter = enter,
	.leave = leave,
};
