/* SPDX-License-Identifier: MIT */
#include "agent/privilege.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/log.h"

int sl_privilege_find(const char *user, struct sl_privilege *out, struct sl_error *err)
{
	const struct passwd *entry;

	*out = (struct sl_privilege){.user = user, .uid = geteuid(), .gid = getegid()};
	if (!user)
		return 0;
	errno = 0;
	entry = getpwnam(user);
	if (!entry && errno)
		return sl_fail_errno(err, errno, "cannot look up the user '%s'", user);
	if (!entry)
		return sl_fail(err, SL_ENOT_FOUND,
			"there is no user '%s' here (systemd-sysusers makes sloth-agent)",
			user);
	if (entry->pw_uid == geteuid())
		return 0;
	if (geteuid() != 0)
		return sl_fail(err, SL_EDENIED,
			"the agent shall run as the user '%s', which root alone can become: "
			"leave user out, or start it as root or as '%s'",
			user, user);
	out->surplus = true;
	out->uid = entry->pw_uid;
	out->gid = entry->pw_gid;
	return 0;
}

int sl_privilege_make_directory(const struct sl_privilege *privilege, const char *path,
	mode_t mode, struct sl_error *err)
{
	if (mkdir(path, mode) < 0)
		return errno == EEXIST ? 0 : sl_fail_errno(err, errno, "cannot make %s", path);
	if (privilege->surplus && lchown(path, privilege->uid, privilege->gid) < 0)
		return sl_fail_errno(
			err, errno, "cannot give %s to the user '%s'", path, privilege->user);
	return 0;
}

static int step_down(const struct sl_privilege *privilege, struct sl_error *err)
{
	if (initgroups(privilege->user, privilege->gid) < 0 || setegid(privilege->gid) < 0 ||
		seteuid(privilege->uid) < 0)
		return sl_fail_errno(
			err, errno, "cannot become the user '%s'", privilege->user);
	return 0;
}

/* What follows must not run as somebody else. */
static void step_up(const gid_t groups[], int n_groups)
{
	if (seteuid(0) == 0 && setegid(getgid()) == 0 &&
		setgroups((size_t)n_groups, groups) == 0)
		return;
	sl_log(SL_LOG_ERROR, "cannot become root again: %s", strerror(errno));
	abort();
}

int sl_privilege_as_user(const struct sl_privilege *privilege,
	int (*work)(void *ctx, struct sl_error *err), void *ctx, struct sl_error *err)
{
	gid_t groups[NGROUPS_MAX];
	int result, n_groups;

	if (!privilege->surplus)
		return work(ctx, err);
	n_groups = getgroups(NGROUPS_MAX, groups);
	if (n_groups < 0)
		return sl_fail_errno(err, errno, "cannot read our groups");
	result = step_down(privilege, err);
	if (result == 0)
		result = work(ctx, err);
	step_up(groups, n_groups);
	return result;
}

int sl_privilege_seal(const struct sl_privilege *privilege, struct sl_error *err)
{
	if (privilege->surplus && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return sl_fail_errno(err, errno, "cannot refuse new privileges");
	return 0;
}

/* Becoming another user empties these sets already, unless securebits say otherwise. */
static int empty_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	return (int)syscall(SYS_capset, &head, none);
}

int sl_privilege_give_up(const struct sl_privilege *privilege, struct sl_error *err)
{
	if (!privilege->surplus)
		return 0;
	/* The C library has all threads do these three. */
	if (initgroups(privilege->user, privilege->gid) < 0 ||
		setresgid(privilege->gid, privilege->gid, privilege->gid) < 0 ||
		setresuid(privilege->uid, privilege->uid, privilege->uid) < 0)
		return sl_fail_errno(
			err, errno, "cannot become the user '%s'", privilege->user);
	if (empty_capabilities() < 0)
		return sl_fail_errno(err, errno, "cannot give up capabilities");
	/* Otherwise root has our files in /proc, and a crash leaves no core. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return sl_fail_errno(err, errno, "cannot become dumpable");
	return 0;
}
