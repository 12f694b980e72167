/* SPDX-License-Identifier: MIT */

/*
 * sloth-agent: the daemon that runs Lua tasks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/options.h"
#include "agent/privilege.h"
#include "agent/sources.h"
#include "agent/spawner.h"
#include "agent/worker.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/standard_files.h"

#define EXIT_USAGE 2

static int dump(const struct sl_options *options)
{
	struct sl_buffer text = SL_BUFFER_INIT;

	sl_options_dump(options, &text);
	fwrite(text.data, 1, text.size, stdout);
	sl_buffer_deinit(&text);
	return 0;
}

/* What only this machine knows to be wrong. */
static int check(const struct sl_options *options)
{
	struct sl_privilege privilege;
	struct sl_error err;

	if (sl_privilege_find(options->user, &privilege, &err) < 0) {
		fprintf(stderr, "sloth-agent: %s\n", err.text);
		return EXIT_USAGE;
	}
	puts("The configuration is fine.");
	return 0;
}

/* Who asked has got it all, or is told. */
static int flush(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "sloth-agent: cannot write to stdout: %s\n", strerror(errno));
	return EXIT_FAILURE;
}

static int run(int argc, char **argv, struct sl_options *options)
{
	struct sl_error err;
	int result = sl_sources_read(argc, argv, options, &err);

	switch (result) {
	case 0:
		sl_log_setup("sloth-agent", options->log_level);
		return sl_agent_run(argc, argv, options);
	case SL_SOURCES_HELP:
		fputs(sl_sources_help(), stdout);
		return flush(0);
	case SL_SOURCES_VERSION:
		puts("sloth-agent " SL_VERSION);
		return flush(0);
	case SL_SOURCES_CHECK:
		return flush(check(options));
	case SL_SOURCES_DUMP:
		return flush(dump(options));
	default:
		fprintf(stderr, "sloth-agent: %s\n", err.text);
		return EXIT_USAGE;
	}
}

/* What each worker begins with is made once, here, and inherited. */
static int spawn(void)
{
	struct sl_error err;

	if (sl_worker_rehearse(&err) < 0) {
		sl_log(SL_LOG_ERROR, "the spawner cannot make a worker's runtime: %s",
			err.text);
		return EXIT_FAILURE;
	}
	return sl_spawner_run(sl_worker_run);
}

int main(int argc, char **argv)
{
	struct sl_options options;
	int status;

	if (!sl_standard_files_open())
		return EXIT_FAILURE;
	if (sl_spawner_is_wanted(argc, argv)) {
		sl_log_setup("sloth-agent", SL_LOG_INFO);
		return spawn();
	}
	status = run(argc, argv, &options);
	sl_options_deinit(&options);
	return status;
}
