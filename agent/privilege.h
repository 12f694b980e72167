/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Privilege: what main may do, and gives up. It starts as root where tasks shall
 * be able to do what root can: the spawner, started first, keeps that. Main,
 * which reads what comes from the network, then goes on as a user that may do
 * nothing, and can't get anything back.
 *
 * Threads: the first one's, while there are no others; sl_privilege_give_up()
 * reaches the others, too.
 */

#include <sys/types.h>

#include "common/base.h"

struct sl_error;

struct sl_privilege {
	const char *user; /* borrowed */
	bool surplus;     /* there is something to give up: we are root, the user is not */
	uid_t uid;        /* the user's; our own if nothing is given up */
	gid_t gid;
};

/* Learns who is meant. A NULL @user is who we are. SL_ENOT_FOUND for an unknown one,
 * SL_EDENIED for one that we can't become. */
int sl_privilege_find(
	const char *user, struct sl_privilege *out, struct sl_error *err) sl_must_check;

/* Makes the directory with @mode if it isn't there (but not those above it); one that was made
 * is the user's. */
int sl_privilege_make_directory(const struct sl_privilege *privilege, const char *path,
	mode_t mode, struct sl_error *err) sl_must_check;

/* Calls work(ctx) as the user, and returns what it returns. Ends the process if it can't go
 * back to who it was. */
int sl_privilege_as_user(const struct sl_privilege *privilege,
	int (*work)(void *ctx, struct sl_error *err), void *ctx,
	struct sl_error *err) sl_must_check;

/* Programs that this process executes gain nothing any more. Threads inherit that; it is for
 * when the spawner has started and they have not. */
int sl_privilege_seal(const struct sl_privilege *privilege, struct sl_error *err) sl_must_check;

/* Becomes the user, in all threads, with no capability left. */
int sl_privilege_give_up(
	const struct sl_privilege *privilege, struct sl_error *err) sl_must_check;
