/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Options: what the agent was told, by its command line and by the file that
 * --config names, in which a key is a flag's name with _ for -. A flag
 * overrides the file; both go through the same setters.
 */

#include "common/base.h"
#include "common/log.h"

struct sl_error;

#define SL_MAX_LISTEN 16
#define SL_MAX_ALLOW_UIDS 64

struct sl_options {
	char *listen[SL_MAX_LISTEN];
	size_t n_listen;
	char *name;
	char *state_dir;
	char *authorized_keys;
	size_t max_tasks;
	size_t max_queued;
	size_t prefork;
	int64_t drain_ms;
	enum sl_log_level log_level;
	uint32_t allow_uids[SL_MAX_ALLOW_UIDS];
	size_t n_allow_uids;
	int ready_fd; /* -1: none */
};

enum {
	SL_OPTIONS_HELP = 1,
	SL_OPTIONS_VERSION = 2,
};

/* Fills *out from @argv, and from the file that it names. Returns 0; SL_OPTIONS_HELP or
 * SL_OPTIONS_VERSION when that was asked for; SL_EINVALID, SL_ESYSTEM, SL_ENOMEM with what is
 * wrong and where. *out is for deinit in any case. */
int sl_options_parse(int argc, char *const argv[], struct sl_options *out,
	struct sl_error *err) sl_must_check;

void sl_options_deinit(struct sl_options *options);

/* The text of --help. Static memory. */
const char *sl_options_help(void);

/* Sets the option called @key (max_tasks) to @text, as from the file. An option that may stand
 * several times is added to. SL_EINVALID for an unknown key, with the nearest that is known,
 * and for a bad value. */
int sl_options_set(struct sl_options *options, const char *key, const char *text,
	struct sl_error *err) sl_must_check;

/* Whether @key takes a list of values. */
bool sl_options_is_list(const char *key);
