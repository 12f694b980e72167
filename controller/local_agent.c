/* SPDX-License-Identifier: MIT */
#include "controller/local_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "controller/loop.h"
#include "controller/private_dir.h"

#define MAX_PATH 4096
#define STOP_MS 5000

struct sl_local_agent {
	struct sl_loop *loop;
	const struct sl_local_agent_ops *ops;
	void *ctx;
	struct sl_private_dir dir;
	char address[256];
	size_t address_size; /* what came of it so far */
	pid_t pid;
	int pidfd;
	int ready; /* its first line is the address; -1 when that came */
	struct sl_watch_fd on_ready, on_death;
};

static bool is_program(const char *path)
{
	return access(path, X_OK) == 0;
}

/* @name below the directory that this program is in. */
static bool beside(const char *name, char *out, size_t size)
{
	char self[MAX_PATH];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;
	int m;

	if (n <= 0)
		return false;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return false;
	*slash = '\0';
	m = snprintf(out, size, "%s/%s", self, name);
	return m > 0 && (size_t)m < size && is_program(out);
}

static bool in_path(char *out, size_t size)
{
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t n = strcspn(path, ":");
		int m = snprintf(out, size, "%.*s/sloth-agent", (int)n, path);

		if (n && m > 0 && (size_t)m < size && is_program(out))
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

int sl_local_agent_program(char *out, size_t size, struct sl_error *err)
{
	const char *env = getenv("SLOTH_AGENT_PROGRAM");

	if (env && env[0]) {
		if (!is_program(env))
			return sl_fail_errno(
				err, errno, "SLOTH_AGENT_PROGRAM: can't run %.200s", env);
		snprintf(out, size, "%s", env);
		return 0;
	}
	if (beside("sloth-agent", out, size) || beside("../agent/sloth-agent", out, size))
		return 0;
	snprintf(out, size, "%s/sloth-agent", SL_SBINDIR);
	if (is_program(out) || in_path(out, size))
		return 0;
	return sl_fail(err, SL_ENOT_FOUND,
		"no sloth-agent to run tasks on this machine: looked beside this program, "
		"in %s and in PATH; SLOTH_AGENT_PROGRAM can name it",
		SL_SBINDIR);
}

/* The child, between fork and exec. */
static void become_agent(const char *const argv[], pid_t parent, int ready)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* Dies with the controller, even one that is killed; not by the Ctrl-C that the
	 * terminal sends to everyone, for then the controller has the say. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* What it says is no result of ours: stdout is for those. */
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
		dup2(STDERR_FILENO, STDOUT_FILENO) < 0 || fcntl(ready, F_SETFD, 0) < 0)
		_exit(127);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static int start(struct sl_local_agent *agent, const char *program, const char *log_level,
	struct sl_error *err)
{
	char listen[256], state[256], fd[16];
	const char *argv[] = {program, "--name", "local", "--listen", listen, "--state-dir",
		state, "--ready-fd", fd, "--log-level", log_level, "--prefork", "1", "--drain",
		"0", NULL};
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return sl_fail_errno(err, errno, "can't make a pipe");
	snprintf(listen, sizeof(listen), "ipc://%s/agent.sock", agent->dir.path);
	snprintf(state, sizeof(state), "%s/state", agent->dir.path);
	snprintf(fd, sizeof(fd), "%d", ends[1]);
	agent->pid = fork();
	if (agent->pid == 0)
		become_agent(argv, parent, ends[1]);
	close(ends[1]);
	agent->ready = ends[0];
	if (agent->pid < 0)
		return sl_fail_errno(err, errno, "can't fork");
	agent->pidfd = (int)syscall(SYS_pidfd_open, agent->pid, 0);
	if (agent->pidfd < 0)
		return sl_fail_errno(err, errno, "can't watch process %d", (int)agent->pid);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	return 0;
}

static void on_death(void *ctx)
{
	struct sl_local_agent *agent = ctx;
	char why[200];
	int status = 0;

	if (waitpid(agent->pid, &status, WNOHANG) != agent->pid)
		return;
	agent->pid = 0;
	sl_loop_unwatch(agent->loop, &agent->on_ready);
	sl_loop_unwatch(agent->loop, &agent->on_death);
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "the agent of this run died: signal %d (%s)",
			WTERMSIG(status), sigdescr_np(WTERMSIG(status)));
	else
		snprintf(why, sizeof(why), "the agent of this run ended with exit status %d",
			WEXITSTATUS(status));
	agent->ops->died(agent->ctx, why);
}

static void on_ready(void *ctx)
{
	struct sl_local_agent *agent = ctx;
	size_t left = sizeof(agent->address) - 1 - agent->address_size;
	ssize_t n = read(agent->ready, agent->address + agent->address_size, left);
	char *end;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		agent->address_size += (size_t)n;
		agent->address[agent->address_size] = '\0';
	}
	end = strchr(agent->address, '\n');
	if (n > 0 && !end && agent->address_size < sizeof(agent->address) - 1)
		return;
	/* Closed without an address: its death says the rest. */
	sl_loop_unwatch(agent->loop, &agent->on_ready);
	if (end) {
		*end = '\0';
		agent->ops->ready(agent->ctx, agent->address);
	}
}

int sl_local_agent_new(struct sl_loop *loop, const char *log_level,
	const struct sl_local_agent_ops *ops, void *ctx, struct sl_local_agent **out,
	struct sl_error *err)
{
	struct sl_local_agent *agent = calloc(1, sizeof(*agent));
	char program[MAX_PATH];
	int rc;

	if (!agent)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	agent->loop = loop;
	agent->ops = ops;
	agent->ctx = ctx;
	agent->ready = agent->pidfd = -1;
	rc = sl_local_agent_program(program, sizeof(program), err);
	if (!rc)
		rc = sl_private_dir_init(&agent->dir, err);
	if (!rc)
		rc = start(agent, program, log_level, err);
	if (rc) {
		sl_local_agent_free(agent);
		return rc;
	}
	sl_loop_watch(loop, &agent->on_ready, agent->ready, on_ready, agent);
	sl_loop_watch(loop, &agent->on_death, agent->pidfd, on_death, agent);
	*out = agent;
	return 0;
}

/* Its first SIGTERM ends it and its workers in order; what doesn't heed is killed. */
static void stop(struct sl_local_agent *agent)
{
	struct pollfd fd = {.fd = agent->pidfd, .events = POLLIN};

	kill(agent->pid, SIGTERM);
	if (agent->pidfd < 0 || poll(&fd, 1, STOP_MS) <= 0)
		kill(agent->pid, SIGKILL);
	while (waitpid(agent->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void sl_local_agent_free(struct sl_local_agent *agent)
{
	if (!agent)
		return;
	sl_loop_unwatch(agent->loop, &agent->on_ready);
	sl_loop_unwatch(agent->loop, &agent->on_death);
	if (agent->pid > 0)
		stop(agent);
	if (agent->ready >= 0)
		close(agent->ready);
	if (agent->pidfd >= 0)
		close(agent->pidfd);
	sl_private_dir_deinit(&agent->dir);
	free(agent);
}
