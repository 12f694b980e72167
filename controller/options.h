/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Options: the flags that commands have in common, with their defaults and what
 * the environment says, and what follows from them.
 *
 * Threads: one.
 */

#include "common/log.h"
#include "controller/flags.h"

struct sl_targets;

enum sl_output {
	SL_OUTPUT_PRETTY, /* for people at a terminal; elsewhere it is plain */
	SL_OUTPUT_PLAIN,
	SL_OUTPUT_JSON,
	SL_OUTPUT_JSONL,
};

struct sl_options {
	struct sl_texts agents; /* -a NAME=ADDRESS */
	const char *key_file;
	int output; /* enum sl_output */
	int color;  /* auto, always, never */
	int log_level;
	bool quiet;
	bool help;
	int64_t timeout_ms;   /* 0: none */
	int64_t connect_ms;   /* how long first contact with an agent may take */
	int64_t reconnect_ms; /* how long an agent may be gone in the middle of a job */
};

/* Sets the defaults. */
void sl_options_init(struct sl_options *options);
void sl_options_deinit(struct sl_options *options);

/* Flags that several commands have. */
enum sl_options_flags {
	SL_FLAGS_QUIET = 1 << 0,   /* --quiet */
	SL_FLAGS_AGENTS = 1 << 1,  /* --agent */
	SL_FLAGS_LOG = 1 << 2,     /* --log-level */
	SL_FLAGS_CONTACT = 1 << 3, /* --key-file, --connect, --timeout */
	SL_FLAGS_WATCH = 1 << 4,   /* --color, --reconnect */

	SL_FLAGS_ASK = SL_FLAGS_QUIET | SL_FLAGS_AGENTS | SL_FLAGS_LOG | SL_FLAGS_CONTACT,
	SL_FLAGS_RUN = SL_FLAGS_ASK | SL_FLAGS_WATCH,
};

/* --output, --help and those of @which (enum sl_options_flags), writing to @options; @out has
 * room for SL_N_COMMON_FLAGS. */
#define SL_N_COMMON_FLAGS 11
void sl_options_flags(
	struct sl_options *options, unsigned which, struct sl_flag out[SL_N_COMMON_FLAGS]);

/* The inventory that --agent, SLOTH_AGENTS and the agents.yaml files make, in falling order.
 * *out is the caller's. */
int sl_options_targets(const struct sl_options *options, struct sl_targets **out,
	struct sl_error *err) sl_must_check;

/* Whether stdout shall be coloured: --color, then NO_COLOR, then whether it is a terminal. */
bool sl_options_colored(const struct sl_options *options);

/* Where the configuration of this user lives, without a slash at the end: XDG_CONFIG_HOME/sloth
 * or ~/.config/sloth. False when there is no home. */
bool sl_config_dir(char *out, size_t size);
