/* SPDX-License-Identifier: MIT */

/*
 * sloth-agent: the daemon that runs Lua tasks.
 */
#include <stdio.h>

#include "agent/agent.h"
#include "agent/options.h"
#include "agent/spawner.h"
#include "agent/worker.h"
#include "common/error.h"

#define EXIT_USAGE 2

static int run(int argc, char **argv, struct sl_options *options)
{
	struct sl_error err;
	int result = sl_options_parse(argc, argv, options, &err);

	if (result == SL_OPTIONS_HELP) {
		fputs(sl_options_help(), stdout);
		return 0;
	}
	if (result == SL_OPTIONS_VERSION) {
		puts("sloth-agent " SL_VERSION);
		return 0;
	}
	if (result < 0) {
		fprintf(stderr, "sloth-agent: %s\n", err.text);
		return EXIT_USAGE;
	}
	sl_log_setup("sloth-agent", options->log_level);
	return sl_agent_run(options);
}

int main(int argc, char **argv)
{
	struct sl_options options;
	int status;

	if (sl_spawner_is_wanted(argc, argv)) {
		sl_log_setup("sloth-agent", SL_LOG_INFO);
		return sl_spawner_run(sl_worker_run);
	}
	status = run(argc, argv, &options);
	sl_options_deinit(&options);
	return status;
}
