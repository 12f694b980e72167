/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Command: one of the words that may follow `sloth`.
 */

#include "controller/options.h"

struct sl_error;
struct sl_job_found;
struct sl_report;
struct sl_survey;
struct sl_target_list;

struct sl_command {
	const char *name;
	const char *usage;   /* behind "sloth NAME " */
	const char *summary; /* one line */
	const char *example; /* lines for --help */
	unsigned flags;      /* enum sl_options_flags */
	/* @args are those behind the name. Returns the exit status. */
	int (*run)(const struct sl_command *command, int n_args, char **args);
};

extern const struct sl_command sl_cmd_agents;
extern const struct sl_command sl_cmd_attach;
extern const struct sl_command sl_cmd_cancel;
extern const struct sl_command sl_cmd_check;
extern const struct sl_command sl_cmd_exec;
extern const struct sl_command sl_cmd_jobs;
extern const struct sl_command sl_cmd_keygen;
extern const struct sl_command sl_cmd_ping;
extern const struct sl_command sl_cmd_run;
extern const struct sl_command sl_cmd_sh;
extern const struct sl_command sl_cmd_stats;

/* What each command begins with: reads @args by @own and the flags in common, shows --help,
 * sets up the log. Returns -1 to go on, an exit status to end with else. @options and @operands
 * are for sl_command_end() in any case. */
int sl_command_begin(const struct sl_command *command, const struct sl_flag *own, int n_args,
	char **args, struct sl_options *options, struct sl_texts *operands);
void sl_command_end(struct sl_options *options, struct sl_texts *operands);

/* A command that takes targets alone: resolves its one operand, or @usual where there is none
 * (NULL: one is wanted), and calls @fn. */
int sl_command_on_targets(const struct sl_command *command, int n_args, char **args,
	const char *usual,
	int (*fn)(const struct sl_target_list *targets, const struct sl_options *options));

/* A command that takes an agent and the beginning of a job's id: finds the job and calls @fn,
 * which may take what @target, one, has. Its flags are in @own. */
int sl_command_on_job(const struct sl_command *command, const struct sl_flag *own, int n_args,
	char **args,
	int (*fn)(void *ctx, struct sl_target_list *target, const struct sl_job_found *job,
		const struct sl_options *options),
	void *ctx);

/* Asks, and shows the rows that the answers have put into @report; NULL: memory ran out. With
 * @quiet only if something failed. Returns the exit status. */
int sl_command_survey(const struct sl_survey *survey, struct sl_report *report, bool quiet);

/* Says what is wrong on stderr; returns SL_EXIT_USAGE. */
int sl_command_fail(const struct sl_error *err);

/* The same, and that --help says more. */
int sl_command_misused(const struct sl_command *command, const char *what);
