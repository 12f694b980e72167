/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Error: why something failed, in a code for programs and a sentence for people.
 *
 * The codes also go over the wire, by name: see sl_code_name().
 */

#include "common/base.h"

enum sl_code {
	SL_OK = 0,
	SL_EINVALID = -1, /* an argument, a file or a message that can't be right */
	SL_ENOMEM = -2,
	SL_ESYSTEM = -3,    /* the operating system said no; the text has its words */
	SL_ETOO_LARGE = -4, /* over one of the named limits */
	SL_ENOT_FOUND = -5,
	SL_ECLOSED = -6, /* the other side, or this object, is gone */
	SL_ETIMEOUT = -7,
	SL_EPROTOCOL = -8,  /* bytes from a peer that break the protocol */
	SL_EDENIED = -9,    /* not allowed to this peer */
	SL_EBUSY = -10,     /* come back later; retry_ms goes with it */
	SL_EDRAINING = -11, /* the agent is stopping and takes no new task */
	SL_EBAD_TASK = -12, /* a task that can't be run as it is */
	SL_EUNKNOWN_OP = -13,
	SL_EHELLO = -14, /* say hello first */
	SL_ECANCELLED = -15,
};

struct sl_error {
	enum sl_code code;
	char text[480];
};

/* Fills @err (NULL is fine) and returns @code, so that a failure is one line. */
int sl_fail(struct sl_error *err, enum sl_code code, const char *fmt, ...) sl_printf(3, 4);

/* The same for a failed system call: appends ": " and the words for @errnum. */
int sl_fail_errno(struct sl_error *err, int errnum, const char *fmt, ...) sl_printf(3, 4);

/* The name of @code on the wire ("busy"); "error" for one that has none. Static memory. */
const char *sl_code_name(enum sl_code code);

/* The code called @name on the wire, SL_EINVALID for a name that nobody knows. */
enum sl_code sl_code_from_name(const char *name);
