/* SPDX-License-Identifier: MIT */
#include "lua/modules/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "lua/modules/deaths.h"
#include "lua/modules/environment.h"
#include "lua/modules/kin.h"
#include "lua/modules/mourning.h"
#include "lua/schedule/reactor.h"

#define READ_BYTES ((size_t)64 * 1024)

enum {
	ENDED = 0, /* what epoll says of the process itself; else the stream's number + 1 */
	INPUT = 1,
	DEATH = 4, /* one of those that were killed with it */
};

struct output {
	int fd;   /* -1: closed */
	int left; /* what is still to be read once the process is over; -1: not known */
	struct sl_buffer kept;
	struct sl_buffer line; /* the begin of one whose end is still to come */
	bool truncated;
};

struct sl_process {
	struct sl_handle handle; /* first */
	struct sl_account *account;
	size_t charged;
	struct sl_kin kin;
	int pidfd;               /* -1: reaped */
	int events;              /* epoll: anything of this process */
	struct sl_deaths deaths; /* once it was killed */
	size_t n_seen;           /* of deaths; the next one is in events */
	bool dying;              /* not all of them have happened */
	int input_fd;
	struct sl_buffer input;
	struct output outputs[2];
	struct sl_process_end end;
	struct sl_watch *watch; /* of events */

	pthread_mutex_t lock;
	struct sl_waiters waiters; /* guarded by: lock */
};

/* ---- life ---- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void free_process(struct sl_handle *handle)
{
	struct sl_process *process = (struct sl_process *)handle;

	sl_watch_free(process->watch);
	close_fd(&process->pidfd);
	close_fd(&process->events);
	close_fd(&process->input_fd);
	sl_buffer_deinit(&process->input);
	for (int i = 0; i < 2; i++) {
		close_fd(&process->outputs[i].fd);
		sl_buffer_deinit(&process->outputs[i].kept);
		sl_buffer_deinit(&process->outputs[i].line);
	}
	/* Now that there are descriptors to be had. */
	if (process->kin.root)
		sl_mourn_kin(&process->kin);
	sl_mourn(&process->deaths);
	sl_account_release(process->account, process->charged);
	pthread_mutex_destroy(&process->lock);
	free(process);
}

struct sl_handle *sl_process_handle(struct sl_process *process)
{
	return &process->handle;
}

static struct sl_process *new_process(struct sl_account *account)
{
	struct sl_process *process = calloc(1, sizeof(*process));

	if (!process)
		return NULL;
	process->handle =
		(struct sl_handle){.refs = 1, .kind = SL_PROCESS_KIND, .free = free_process};
	process->account = account;
	process->deaths = (struct sl_deaths)SL_DEATHS_INIT;
	process->pidfd = process->events = process->input_fd = -1;
	process->outputs[0] = process->outputs[1] = (struct output){.fd = -1, .left = -1};
	pthread_mutex_init(&process->lock, NULL);
	return process;
}

/* ---- starting ---- */

static int open_null(int *out, struct sl_error *err)
{
	*out = open("/dev/null", O_RDWR | O_CLOEXEC);
	return *out >= 0 ? 0 : sl_fail_errno(err, errno, "cannot open /dev/null");
}

/* Makes a pipe; the end of ours does not block. */
static int open_pipe(int *ours, int *theirs, bool we_write, struct sl_error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return sl_fail_errno(err, errno, "cannot make a pipe for a process");
	*ours = ends[we_write ? 1 : 0];
	*theirs = ends[we_write ? 0 : 1];
	fcntl(*ours, F_SETFL, O_NONBLOCK);
	return 0;
}

static int open_files(struct sl_process *process, const struct sl_process_ask *ask,
	int theirs[3], struct sl_error *err)
{
	int code;

	if (ask->input.size > 0) {
		if (!sl_buffer_append(&process->input, ask->input.data, ask->input.size))
			return sl_fail(err, SL_ENOMEM, "not enough memory");
		code = open_pipe(&process->input_fd, &theirs[0], true, err);
	} else {
		code = open_null(&theirs[0], err);
	}
	for (int i = 0; i < 2 && code == 0; i++)
		code = open_pipe(&process->outputs[i].fd, &theirs[i + 1], false, err);
	return code;
}

static int add_event(struct sl_process *process, int fd, uint32_t number, struct sl_error *err)
{
	struct epoll_event event = {
		.events = number == INPUT ? EPOLLOUT : EPOLLIN, .data.u32 = number};

	if (fd < 0 || epoll_ctl(process->events, EPOLL_CTL_ADD, fd, &event) == 0)
		return 0;
	return sl_fail_errno(err, errno, "cannot watch a process");
}

static void on_event(void *ctx, unsigned what)
{
	struct sl_process *process = ctx;

	(void)what;
	sl_watch_set(process->watch, 0);
	pthread_mutex_lock(&process->lock);
	sl_waiters_wake_all(&process->waiters);
	pthread_mutex_unlock(&process->lock);
}

static int watch(struct sl_process *process, struct sl_reactor *reactor, struct sl_error *err)
{
	int code;

	process->events = epoll_create1(EPOLL_CLOEXEC);
	if (process->events < 0)
		return sl_fail_errno(err, errno, "cannot watch a process");
	code = add_event(process, process->input_fd, INPUT, err);
	for (uint32_t i = 0; i < 2 && code == 0; i++)
		code = add_event(process, process->outputs[i].fd, i + 2, err);
	if (code == 0)
		code = sl_reactor_watch(
			reactor, process->events, 0, on_event, process, &process->watch, err);
	return code;
}

static int start(struct sl_process *process, const struct sl_process_ask *ask, const int fds[3],
	struct sl_error *err)
{
	struct sl_launch launch = {
		.argv = ask->argv,
		.workdir = ask->workdir,
		.user = ask->user,
		.fds = {fds[0], fds[1], fds[2]},
	};
	char **env;
	pid_t pid;
	int code;

	sl_kin_mark(&process->kin);
	env = sl_environment_list(ask->environment, process->kin.mark, ask->env);
	if (!env)
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	launch.env = env;
	code = sl_launch(&launch, &pid, err);
	free(env);
	if (code != 0)
		return code;
	sl_kin_join(&process->kin, pid);
	process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (process->pidfd >= 0)
		return add_event(process, process->pidfd, ENDED, err);
	return sl_fail_errno(err, errno, "cannot watch a process");
}

int sl_process_new(struct sl_reactor *reactor, struct sl_account *account,
	const struct sl_process_ask *ask, struct sl_process **out, struct sl_error *err)
{
	struct sl_process *process = new_process(account);
	int theirs[3] = {-1, -1, -1};
	static const int same[3] = {0, 1, 2};
	int code = 0;

	if (!process)
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	if (!ask->inherits)
		code = open_files(process, ask, theirs, err);
	if (code == 0)
		code = watch(process, reactor, err);
	if (code == 0)
		code = start(process, ask, ask->inherits ? same : theirs, err);
	for (int i = 0; i < 3; i++)
		close_fd(&theirs[i]);
	if (code != 0) {
		sl_handle_unref(&process->handle);
		return code;
	}
	*out = process;
	return 0;
}

/* ---- what it writes ---- */

static void keep(struct sl_process *process, struct output *output, struct sl_bytes text)
{
	size_t room = SL_PROCESS_KEPT_BYTES - output->kept.size;
	size_t n = text.size < room ? text.size : room;

	if (n < text.size)
		output->truncated = true;
	if (output->kept.failed || n == 0)
		return;
	if (!sl_account_charge(process->account, n)) {
		output->truncated = true;
		return;
	}
	process->charged += n;
	if (!sl_buffer_append(&output->kept, text.data, n))
		output->truncated = true;
}

/* Passes on the lines that are complete, or all when there won't be more. */
static bool pass_on(
	struct output *output, int stream, bool all, const struct sl_process_sink *sink)
{
	struct sl_buffer *line = &output->line;
	const char *end;
	size_t n;
	bool full;

	if (line->size == 0)
		return false;
	end = memrchr(line->data, '\n', line->size);
	n = all || line->size >= READ_BYTES ? line->size
	    : end                           ? (size_t)(end - line->data) + 1
	                                    : 0;
	if (n == 0)
		return false;
	full = sink->put(sink->ctx, stream, (struct sl_bytes){line->data, n});
	sl_buffer_consume(line, n);
	return full;
}

static void end_output(struct sl_process *process, struct output *output)
{
	/* A closed pipe is always readable. */
	epoll_ctl(process->events, EPOLL_CTL_DEL, output->fd, NULL);
	close_fd(&output->fd);
}

/* Reads at most @size bytes, once. Returns whether the sink is full. */
static bool read_output(
	struct sl_process *process, int i, size_t size, const struct sl_process_sink *sink)
{
	struct output *output = &process->outputs[i];
	char data[READ_BYTES];
	ssize_t n = read(output->fd, data, size < sizeof(data) ? size : sizeof(data));

	if (n < 0)
		return false;
	if (n == 0)
		end_output(process, output);
	keep(process, output, (struct sl_bytes){data, (size_t)n});
	if (!sink)
		return false;
	sl_buffer_append(&output->line, data, (size_t)n);
	return pass_on(output, i + 1, n == 0, sink);
}

/* What it left in a pipe; for what others may still write to it nobody waits. Returns whether
 * the sink is full. */
static bool drain(struct sl_process *process, int i, const struct sl_process_sink *sink)
{
	struct output *output = &process->outputs[i];
	bool full = false;

	if (output->left < 0 && ioctl(output->fd, FIONREAD, &output->left) < 0)
		output->left = 0;
	while (output->fd >= 0 && output->left > 0 && !full) {
		size_t size = (size_t)output->left;

		full = read_output(process, i, size, sink);
		output->left -= size < READ_BYTES ? output->left : (int)READ_BYTES;
	}
	if (output->fd >= 0 && output->left == 0)
		end_output(process, output);
	return full;
}

/* ---- what it reads ---- */

static void write_input(struct sl_process *process)
{
	ssize_t n = write(process->input_fd, process->input.data, process->input.size);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		sl_buffer_consume(&process->input, (size_t)n);
	if (n > 0 && process->input.size > 0)
		return;
	/* All is written, or it doesn't want more. */
	epoll_ctl(process->events, EPOLL_CTL_DEL, process->input_fd, NULL);
	close_fd(&process->input_fd);
}

/* ---- its end ---- */

static void reap(struct sl_process *process)
{
	siginfo_t info = {.si_pid = 0};

	if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		info.si_pid == 0)
		return;
	/* While its number is still its own. */
	sl_kin_leave(&process->kin);
	waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);
	if (info.si_code == CLD_EXITED)
		process->end = (struct sl_process_end){.exit_code = info.si_status};
	else
		process->end = (struct sl_process_end){-1, info.si_status};
	close_fd(&process->pidfd);
}

/* Watches the next death, when there is one. */
static void follow_deaths(struct sl_process *process)
{
	int fd = sl_deaths_next(&process->deaths);

	process->dying = fd >= 0 && (process->n_seen == process->deaths.at + 1 ||
					    add_event(process, fd, DEATH, NULL) == 0);
	process->n_seen = process->deaths.at + 1;
}

void sl_process_kill(struct sl_process *process)
{
	if (process->pidfd < 0)
		return;
	sl_kin_kill(&process->kin, &process->deaths);
	follow_deaths(process);
}

void sl_process_give_up(struct sl_process *process)
{
	process->dying = false;
	if (process->pidfd < 0)
		return;
	sl_kin_abandon(&process->kin);
	close_fd(&process->pidfd);
	process->end = (struct sl_process_end){-1, SIGKILL};
}

bool sl_process_remains(struct sl_process *process, char *text, size_t size)
{
	bool some = sl_deaths_describe(&process->deaths, text, size);

	sl_deaths_deinit(&process->deaths);
	return some;
}

struct sl_process_end sl_process_end(const struct sl_process *process)
{
	return process->end;
}

struct sl_bytes sl_process_kept(const struct sl_process *process, int stream, bool *truncated)
{
	const struct output *output = &process->outputs[stream - 1];

	*truncated |= output->truncated;
	return sl_buffer_bytes(&output->kept);
}

/* ---- one step ---- */

enum sl_process_step sl_process_step(
	struct sl_process *process, const struct sl_process_sink *sink)
{
	struct epoll_event events[4];
	bool full = false;
	int n;

	n = process->pidfd >= 0 || process->dying ? epoll_wait(process->events, events, 4, 0)
	                                          : 0;
	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == ENDED)
			reap(process);
		else if (events[i].data.u32 == DEATH)
			follow_deaths(process);
		else if (events[i].data.u32 == INPUT)
			write_input(process);
		else
			full |= read_output(
				process, (int)events[i].data.u32 - 2, READ_BYTES, sink);
	}
	if (full)
		return SL_PROCESS_FULL;
	if (process->pidfd >= 0 || process->dying)
		return SL_PROCESS_WAIT;
	for (int i = 0; i < 2; i++)
		if (process->outputs[i].fd >= 0 && drain(process, i, sink))
			return SL_PROCESS_FULL;
	for (int i = 0; i < 2 && sink; i++)
		pass_on(&process->outputs[i], i + 1, true, sink);
	return SL_PROCESS_OVER;
}

static bool enter(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_process *process = wait->object;

	(void)goroutine;
	pthread_mutex_lock(&process->lock);
	sl_waiters_add(&process->waiters, &wait->waiter);
	pthread_mutex_unlock(&process->lock);
	/* From here on it may be woken, but it is not let go before this returns. */
	sl_watch_set(process->watch, SL_REACTOR_READ);
	return true;
}

static void leave(struct sl_goroutine *goroutine, struct sl_wait *wait)
{
	struct sl_process *process = wait->object;

	(void)goroutine;
	pthread_mutex_lock(&process->lock);
	sl_waiters_remove(&process->waiters, &wait->waiter);
	pthread_mutex_unlock(&process->lock);
}

const struct sl_wait_kind sl_process_wait_kind = {
	.name = "process",
	.external = true,
	.enter = enter,
	.leave = leave,
};
