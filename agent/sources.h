/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sources: where options come from. In rising order: what holds if nothing else
 * is said, the file that --config names, the files in the directory beside it
 * (agent.yaml: agent.d), the environment (SLOTH_AGENT_MAX_TASKS), the flags.
 */

#include "common/base.h"

struct sl_error;
struct sl_options;

/* What else is asked for than to run. */
enum {
	SL_SOURCES_HELP = 1,
	SL_SOURCES_VERSION,
	SL_SOURCES_CHECK, /* all was read, and is fine */
	SL_SOURCES_DUMP,  /* the same, and is to be shown */
};

/* Fills *out. Returns 0, one of the above, or SL_EINVALID, SL_ESYSTEM, SL_ENOMEM with what is
 * wrong and where. *out is for sl_options_deinit() in any case. */
int sl_sources_read(int argc, char *const argv[], struct sl_options *out,
	struct sl_error *err) sl_must_check;

/* The text of --help. Static memory. */
const char *sl_sources_help(void);
