/* SPDX-License-Identifier: MIT */
#include "agent/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/oom_score.h"
#include "agent/sweep.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "common/tally.h"

#define CONTROL_FD 3
#define WANTED_FLAG "--sloth-spawner"

/* What can't be killed in this time (a process in an uninterruptible sleep) is left behind. */
#define SWEEP_MS 5000

struct child {
	pid_t pid;
	bool exited; /* reaped; reported when nothing of it is left */
	int status;
	int64_t exited_ms;
};

struct spawner {
	int signals;
	struct sl_oom_score oom_score;
	void (*work)(int fd, struct sl_tally *tally);
	struct child *children;
	size_t n_children, capacity;
	size_t n_exited; /* of the children */
	bool main_gone;
	int64_t main_gone_ms;
};

static int spawn_self(int control, pid_t *out_pid)
{
	char *argv[] = {(char[]){"sloth-agent"}, (char[]){WANTED_FLAG}, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int result;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	/* A pipe that waits for the end of main's output must not wait for ours. */
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, control, CONTROL_FD);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(
		&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	result = posix_spawn(out_pid, "/proc/self/exe", &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return result;
}

int sl_spawner_start(pid_t *out_pid, int *out_control, struct sl_error *err)
{
	int ends[2], result;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return sl_fail_errno(err, errno, "cannot make the spawner's socket");
	result = spawn_self(ends[1], out_pid);
	close(ends[1]);
	if (result == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		result = errno;
	if (result != 0) {
		close(ends[0]);
		return sl_fail_errno(err, result, "cannot start the spawner");
	}
	*out_control = ends[0];
	return 0;
}

bool sl_spawner_is_wanted(int argc, char *const argv[])
{
	return argc == 2 && strcmp(argv[1], WANTED_FLAG) == 0;
}

static void on_sigpipe(int signo)
{
	(void)signo;
}

static void reset_signals(void)
{
	/* A handler that does nothing, not SIG_IGN: writes fail with EPIPE here, and programs
	 * that the task starts have the default again. */
	struct sigaction pipe_action = {.sa_handler = on_sigpipe, .sa_flags = SA_RESTART};
	sigset_t none;

	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	sigaction(SIGPIPE, &pipe_action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void be_worker(
	struct spawner *spawner, const int fds[SL_SPAWNER_N_FDS], pid_t parent)
{
	struct sl_tally *tally = sl_tally_map(fds[SL_SPAWNER_TALLY], true);
	struct sl_error err;

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it died before it could be told */
		_exit(1);
	if (!tally || dup3(fds[SL_SPAWNER_SOCKET], CONTROL_FD, O_CLOEXEC) < 0 ||
		close_range(CONTROL_FD + 1, ~0u, 0) < 0)
		_exit(1);
	if (sl_sweep_become_reaper(&err) < 0)
		_exit(1);
	prctl(PR_SET_NAME, "sloth-worker");
	reset_signals();
	spawner->work(CONTROL_FD, tally);
	_exit(1);
}

/* When main is gone the next look at the socket says so. */
static void report(const struct sl_spawner_report *news, const int fds[SL_SPAWNER_N_FDS])
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(SL_SPAWNER_N_FDS * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)news, sizeof(*news)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fds) {
		struct cmsghdr *head;

		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(SL_SPAWNER_N_FDS * sizeof(int));
		memcpy(CMSG_DATA(head), fds, SL_SPAWNER_N_FDS * sizeof(int));
	}
	/* Main always reads: blocking here is waiting for it to come round. */
	do
		n = sendmsg(CONTROL_FD, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
}

static struct child *new_child(struct spawner *spawner)
{
	if (spawner->n_children == spawner->capacity) {
		size_t capacity = spawner->capacity ? spawner->capacity * 2 : 16;
		struct child *children =
			realloc(spawner->children, capacity * sizeof(*children));

		if (!children)
			return NULL;
		spawner->children = children;
		spawner->capacity = capacity;
	}
	return &spawner->children[spawner->n_children];
}

/* A worker's two ends of the socket, and the memory of its tally. */
static int make_fds(int mine[SL_SPAWNER_N_FDS], int its[SL_SPAWNER_N_FDS])
{
	struct sl_error err;
	int ends[2], tally;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	if (sl_tally_make(&tally, &err) < 0) {
		int saved = errno;

		close(ends[0]);
		close(ends[1]);
		errno = saved;
		return -1;
	}
	mine[SL_SPAWNER_SOCKET] = ends[0];
	its[SL_SPAWNER_SOCKET] = ends[1];
	mine[SL_SPAWNER_TALLY] = its[SL_SPAWNER_TALLY] = tally;
	return 0;
}

static void fork_worker(struct spawner *spawner)
{
	struct sl_spawner_report news = {.news = SL_SPAWNER_NO_WORKER};
	struct child *child = new_child(spawner);
	int mine[SL_SPAWNER_N_FDS], its[SL_SPAWNER_N_FDS];
	pid_t parent = getpid();

	if (!child || make_fds(mine, its) < 0) {
		news.status = child ? errno : ENOMEM;
		report(&news, NULL);
		return;
	}
	news.pid = fork();
	if (news.pid == 0)
		be_worker(spawner, its, parent);
	if (news.pid < 0) {
		news.status = errno;
		report(&news, NULL);
	} else {
		*child = (struct child){.pid = news.pid};
		spawner->n_children++;
		news.news = SL_SPAWNER_WORKER;
		report(&news, mine);
	}
	close(mine[SL_SPAWNER_SOCKET]);
	close(its[SL_SPAWNER_SOCKET]);
	close(mine[SL_SPAWNER_TALLY]);
}

static void fork_workers(struct spawner *spawner, int32_t n)
{
	sl_oom_score_volunteer(&spawner->oom_score);
	for (int32_t i = 0; i < n; i++)
		fork_worker(spawner);
	sl_oom_score_recover(&spawner->oom_score);
}

static struct child *find(struct spawner *spawner, pid_t pid)
{
	for (size_t i = 0; i < spawner->n_children; i++)
		if (spawner->children[i].pid == pid)
			return &spawner->children[i];
	return NULL;
}

/* A child that was not reaped keeps its number, so that nobody else is hit. */
static void kill_worker(const struct child *child)
{
	if (child->exited)
		return;
	kill(-child->pid, SIGKILL); /* fails until it has made its group */
	kill(child->pid, SIGKILL);
}

static void on_main_gone(struct spawner *spawner)
{
	spawner->main_gone = true;
	spawner->main_gone_ms = sl_clock_monotonic_ms();
	for (size_t i = 0; i < spawner->n_children; i++)
		kill_worker(&spawner->children[i]);
}

static void read_request(struct spawner *spawner)
{
	struct sl_spawner_request request;
	ssize_t n = recv(CONTROL_FD, &request, sizeof(request), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		on_main_gone(spawner);
		return;
	}
	if (n != sizeof(request))
		return;
	if (request.verb == SL_SPAWNER_FORK) {
		fork_workers(spawner, request.number);
	} else if (request.verb == SL_SPAWNER_PING) {
		struct sl_spawner_report pong = {SL_SPAWNER_PONG, 0, request.number};

		report(&pong, NULL);
	} else {
		struct child *child = find(spawner, request.number);

		if (child)
			kill_worker(child);
	}
}

static void reap(struct spawner *spawner)
{
	struct child *child;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		child = find(spawner, pid);
		if (!child || child->exited)
			continue; /* what a worker had left behind */
		child->exited = true;
		child->status = status;
		child->exited_ms = sl_clock_monotonic_ms();
		spawner->n_exited++;
	}
}

/* Reports the workers that exited, all of them or those that waited long enough. */
static void report_exits(struct spawner *spawner, bool clean)
{
	int64_t now = sl_clock_monotonic_ms();
	size_t kept = 0;

	for (size_t i = 0; i < spawner->n_children; i++) {
		struct child *child = &spawner->children[i];

		if (child->exited && (clean || now - child->exited_ms >= SWEEP_MS)) {
			struct sl_spawner_report news = {
				clean ? SL_SPAWNER_EXIT : SL_SPAWNER_REMAINS, child->pid,
				child->status};

			report(&news, NULL);
			spawner->n_exited--;
		} else {
			spawner->children[kept++] = *child;
		}
	}
	spawner->n_children = kept;
}

static bool is_worker(void *ctx, pid_t pid)
{
	struct child *child = find(ctx, pid);

	return child && !child->exited;
}

/* While workers live they keep what they start below them, so that a child that is no worker
 * was left behind by a dead one. */
static void clean_up(struct spawner *spawner)
{
	struct sl_error err;
	int n_orphans;

	reap(spawner);
	if (spawner->n_exited == 0)
		return;
	n_orphans = sl_sweep(is_worker, spawner, &err);
	if (n_orphans < 0)
		sl_log(SL_LOG_ERROR, "cannot look for what a worker left behind: %s", err.text);
	report_exits(spawner, n_orphans == 0);
}

static void read_signals(struct spawner *spawner)
{
	struct signalfd_siginfo info[16];

	if (read(spawner->signals, info, sizeof(info)) < 0 && errno != EAGAIN && errno != EINTR)
		sl_log(SL_LOG_ERROR, "the spawner cannot read its signals");
}

static bool is_over(const struct spawner *spawner)
{
	return spawner->main_gone &&
	       (spawner->n_children == 0 ||
		       sl_clock_monotonic_ms() - spawner->main_gone_ms >= SWEEP_MS);
}

static int serve(struct spawner *spawner)
{
	struct pollfd fds[] = {{.fd = CONTROL_FD, .events = POLLIN},
		{.fd = spawner->signals, .events = POLLIN}};

	while (!is_over(spawner)) {
		bool waits = spawner->n_exited > 0 || spawner->main_gone;

		if (spawner->main_gone)
			fds[0].fd = -1;
		/* The timeout is for what doesn't die; what does wakes us by SIGCHLD. */
		if (poll(fds, 2, waits ? 1000 : -1) < 0 && errno != EINTR)
			return 1;
		if (fds[1].revents)
			read_signals(spawner);
		if (fds[1].revents || waits)
			clean_up(spawner);
		if (fds[0].revents)
			read_request(spawner);
	}
	return 0;
}

int sl_spawner_run(void (*work)(int fd, struct sl_tally *tally))
{
	struct spawner spawner = {.work = work};
	struct sl_error err;
	sigset_t chld;
	int status;

	prctl(PR_SET_NAME, "sloth-spawner");
	/* If somebody has stopped us by then, we still see that main is gone. */
	prctl(PR_SET_PDEATHSIG, SIGCONT);
	close_range(CONTROL_FD + 1, ~0u, 0);
	fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
	/* Main decides when it is over; a Ctrl-C or a kill of the whole group is for main. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	spawner.signals = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	if (spawner.signals < 0 || sl_sweep_become_reaper(&err) < 0) {
		sl_log(SL_LOG_ERROR, "the spawner cannot set itself up");
		return 1;
	}
	sl_oom_score_init(&spawner.oom_score);
	status = serve(&spawner);
	sl_oom_score_deinit(&spawner.oom_score);
	free(spawner.children);
	close(spawner.signals);
	return status;
}
