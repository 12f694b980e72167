/* SPDX-License-Identifier: MIT */
#include "lua/modules/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"

/* Where the child failed. */
enum step {
	STEP_SESSION,
	STEP_FILES,
	STEP_USER,
	STEP_WORKDIR,
	STEP_PROGRAM,
};

/* What a child that failed writes to the pipe that a program would not inherit. */
struct failure {
	int step;
	int errnum;
};

_Noreturn static void fail(int report, enum step step)
{
	struct failure failure = {(int)step, errno};

	if (write(report, &failure, sizeof(failure)) != sizeof(failure))
		_exit(126);
	_exit(127);
}

/* Handlers would run in the memory of the parent. */
static void default_signals(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int signum = 1; signum < NSIG; signum++)
		sigaction(signum, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The library's functions would change the other threads, which are the parent's. */
static bool become(const struct sl_launch_user *user)
{
	return syscall(SYS_setgroups, user->n_groups, user->groups) == 0 &&
	       syscall(SYS_setresgid, user->gid, user->gid, user->gid) == 0 &&
	       syscall(SYS_setresuid, user->uid, user->uid, user->uid) == 0;
}

/* The three are above 2 already, or are what they shall be. */
static bool place_files(const int fds[3])
{
	for (int i = 0; i < 3; i++) {
		if (fds[i] == i ? fcntl(i, F_SETFD, 0) < 0 : dup2(fds[i], i) < 0)
			return false;
	}
	return true;
}

static const char *path_in(char *const *env)
{
	for (; *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	return "/usr/local/bin:/usr/bin:/bin";
}

/* Tries @name in the folder that is the first @n bytes of @folder; "" is where we are. */
static void try_in(
	const struct sl_launch *launch, const char *folder, size_t n, const char *name)
{
	char place[PATH_MAX];
	size_t n_name = strlen(name);

	if (n + 1 + n_name + 1 > sizeof(place)) {
		errno = ENOENT;
		return;
	}
	memcpy(place, n ? folder : ".", n ? n : 1);
	n = n ? n : 1;
	place[n] = '/';
	memcpy(place + n + 1, name, n_name + 1);
	/* With a slash in it, it is looked for nowhere; a script without #! is the shell's. */
	execvpe(place, (char *const *)(uintptr_t)launch->argv, launch->env);
}

/* Returns, with errno, where there is no such program. execvpe() alone would look along the
 * PATH of ours. */
static void become_program(const struct sl_launch *launch)
{
	const char *name = launch->argv[0], *folder = path_in(launch->env);
	int errnum = ENOENT;

	if (*name == '\0' || strchr(name, '/')) {
		execvpe(name, (char *const *)(uintptr_t)launch->argv, launch->env);
		return;
	}
	for (;; folder++) {
		size_t n = strcspn(folder, ":");

		try_in(launch, folder, n, name);
		if (errno == EACCES)
			errnum = EACCES; /* unless it is there elsewhere */
		else if (errno != ENOENT && errno != ENOTDIR)
			return;
		folder += n;
		if (*folder == '\0')
			break;
	}
	errno = errnum;
}

_Noreturn static void be_child(const struct sl_launch *launch, int report)
{
	if (setsid() < 0)
		fail(report, STEP_SESSION);
	if (!place_files(launch->fds))
		fail(report, STEP_FILES);
	if (launch->user && !become(launch->user))
		fail(report, STEP_USER);
	if (launch->workdir && chdir(launch->workdir) < 0)
		fail(report, STEP_WORKDIR);
	/* All else is closed by exec, even what was opened without a thought of it. */
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	default_signals();
	become_program(launch);
	fail(report, STEP_PROGRAM);
}

static int explain(
	const struct sl_launch *launch, const struct failure *failure, struct sl_error *err)
{
	int code;

	switch ((enum step)failure->step) {
	case STEP_USER:
		return sl_fail_errno(err, failure->errnum, "cannot become the user %d",
			(int)launch->user->uid);
	case STEP_WORKDIR:
		return sl_fail_errno(
			err, failure->errnum, "cannot go to the workdir '%s'", launch->workdir);
	case STEP_PROGRAM:
		code = failure->errnum == ENOENT || failure->errnum == ENOTDIR   ? SL_ENOT_FOUND
		       : failure->errnum == EACCES || failure->errnum == ENOEXEC ? SL_EDENIED
		                                                                 : SL_ESYSTEM;
		sl_fail_errno(err, failure->errnum, "%s", launch->argv[0]);
		if (err)
			err->code = code;
		return code;
	case STEP_SESSION:
	case STEP_FILES:
		break;
	}
	return sl_fail_errno(err, failure->errnum, "cannot prepare a process");
}

/* The address sanitizer and others know vfork() and take care of it. */
static pid_t split(const struct sl_launch *launch, int report)
{
	sigset_t all, old;
	pid_t pid;
	int errnum;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = vfork();
	if (pid == 0)
		be_child(launch, report);
	errnum = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = errnum;
	return pid;
}

static ssize_t read_failure(int fd, struct failure *out)
{
	ssize_t n;

	do
		n = read(fd, out, sizeof(*out));
	while (n < 0 && errno == EINTR);
	return n;
}

int sl_launch(const struct sl_launch *launch, pid_t *out, struct sl_error *err)
{
	struct failure failure;
	int report[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return sl_fail_errno(err, errno, "cannot start '%s'", launch->argv[0]);
	pid = split(launch, report[1]);
	if (pid < 0) {
		sl_fail_errno(err, errno, "cannot start '%s'", launch->argv[0]);
		close(report[0]);
		close(report[1]);
		return SL_ESYSTEM;
	}
	close(report[1]);
	n = read_failure(report[0], &failure);
	close(report[0]);
	if (n != sizeof(failure)) {
		*out = pid;
		return 0;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return explain(launch, &failure, err);
}

int sl_launch_find_user(const char *name, struct sl_launch_user *out, struct sl_error *err)
{
	struct passwd entry, *found;
	char space[16384];
	int n = sizeof(out->groups) / sizeof(out->groups[0]);
	int errnum = getpwnam_r(name, &entry, space, sizeof(space), &found);

	if (errnum != 0)
		return sl_fail_errno(err, errnum, "cannot look up the user '%s'", name);
	if (!found)
		return sl_fail(
			err, SL_ENOT_FOUND, "there is no user '%s' on this machine", name);
	if (getgrouplist(name, entry.pw_gid, out->groups, &n) < 0)
		return sl_fail(err, SL_ESYSTEM, "the user '%s' is in too many groups", name);
	out->uid = entry.pw_uid;
	out->gid = entry.pw_gid;
	out->n_groups = (size_t)n;
	return 0;
}
