/* SPDX-License-Identifier: MIT */

/*
 * sloth: picks a command.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "common/nearest.h"
#include "common/standard_files.h"
#include "controller/command.h"
#include "controller/outcome.h"

static const struct sl_command *const commands[] = {
	&sl_cmd_run,
	&sl_cmd_check,
	&sl_cmd_exec,
	&sl_cmd_sh,
	&sl_cmd_agents,
	&sl_cmd_ping,
	&sl_cmd_stats,
	&sl_cmd_jobs,
	&sl_cmd_attach,
	&sl_cmd_cancel,
	&sl_cmd_keygen,
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void show_commands(FILE *to)
{
	fprintf(to, "sloth %s: runs Lua tasks on agents.\n\n", SL_VERSION);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  sloth %-8s %s\n", commands[i]->name, commands[i]->summary);
	fprintf(to,
		"\nsloth COMMAND --help says what it takes, with an example.\n"
		"Exit status: 0 all succeeded, 1 a task failed, 2 bad usage, file or target,\n"
		"3 an agent unreachable or a result unknown, 4 timed out, 5 refused,\n"
		"130 cancelled.\n");
}

static const struct sl_command *find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int unknown(const char *name)
{
	const char *names[N_COMMANDS + 2] = {0};
	struct sl_error err;
	const char *nearest;

	for (size_t i = 0; i < N_COMMANDS; i++)
		names[i] = commands[i]->name;
	names[N_COMMANDS] = "help";
	nearest = sl_nearest(name, names);
	if (nearest)
		sl_fail(&err, SL_EINVALID, "no command '%.80s'; did you mean sloth %s?", name,
			nearest);
	else
		sl_fail(&err, SL_EINVALID, "no command '%.80s'; sloth help lists them", name);
	return sl_command_fail(&err);
}

static int help(int argc, char **argv)
{
	const char *name = argc > 2 && argv[2][0] != '-' ? argv[2] : NULL;
	const struct sl_command *command = name ? find(name) : NULL;
	char flag[] = "--help";
	char *args[] = {flag, NULL};

	if (command)
		return command->run(command, 1, args);
	if (name)
		return unknown(name);
	show_commands(stdout);
	return SL_EXIT_OK;
}

static int pick_and_run(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const struct sl_command *command = find(name);

	if (command)
		return command->run(command, argc - 2, argv + 2);
	if (strcmp(name, "--version") == 0) {
		printf("sloth %s\n", SL_VERSION);
		return SL_EXIT_OK;
	}
	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return help(argc, argv);
	if (*name)
		return unknown(name);
	show_commands(stderr);
	return SL_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	int status;

	if (!sl_standard_files_open())
		return SL_EXIT_FAILED;
	status = pick_and_run(argc, argv);
	/* What was shown must have arrived: a full disk is no success. */
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "sloth: can't write to stdout: %s\n", strerrordesc_np(errno));
	return status ? status : SL_EXIT_FAILED;
}
