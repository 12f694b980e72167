/* SPDX-License-Identifier: MIT */

/*
 * sloth sh: a shell command line on some targets.
 */

#include <stdio.h>

#include "common/buffer.h"
#include "common/error.h"
#include "controller/chunk.h"
#include "controller/command.h"
#include "controller/outcome.h"
#include "controller/shell_words.h"

static int run_words(const struct sl_texts *operands, const struct sl_options *options)
{
	struct sl_buffer line = SL_BUFFER_INIT, chunk = SL_BUFFER_INIT;
	struct sl_error err;
	int status;

	sl_shell_words_join(operands, 1, &line);
	sl_buffer_printf(&chunk, "return os.execute(");
	sl_shell_words_to_lua(sl_buffer_bytes(&line), &chunk);
	sl_buffer_printf(&chunk, ")");
	if (!line.failed && sl_buffer_append(&chunk, "", 1)) {
		status = sl_chunk_run(operands->items[0], "sh", chunk.data, "sh", options);
	} else {
		sl_fail(&err, SL_ENOMEM, "out of memory");
		status = sl_command_fail(&err);
	}
	sl_buffer_deinit(&line);
	sl_buffer_deinit(&chunk);
	return status;
}

static int cmd_sh(const struct sl_command *command, int n_args, char **args)
{
	struct sl_texts operands;
	struct sl_options options;
	int status = sl_command_begin(command, NULL, n_args, args, &options, &operands);

	if (status < 0 && operands.n < 2)
		status = sl_command_misused(command, "targets and a command are wanted");
	if (status < 0)
		status = run_words(&operands, &options);
	sl_command_end(&options, &operands);
	return status;
}

const struct sl_command sl_cmd_sh = {
	.name = "sh",
	.usage = "TARGETS -- COMMAND…",
	.summary = "run a shell command on targets",
	.example = "  sloth sh @web -- systemctl status nginx\n"
		   "  sloth sh web-01,web-02 -- 'df -h / | tail -1'\n",
	.flags = SL_FLAGS_RUN,
	.run = cmd_sh,
};
