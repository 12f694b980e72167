/* SPDX-License-Identifier: MIT */

/*
 * sloth exec: a piece of Lua on some targets.
 */

#include <errno.h>
#include <stdio.h>

#include "common/buffer.h"
#include "common/error.h"
#include "controller/command.h"
#include "controller/plan.h"
#include "controller/run.h"
#include "lua/workflow.h"
#include "proto/limits.h"

#define MAX_CHUNK_BYTES ((size_t)8 << 20)

/* Reads @path whole, and puts the NUL behind it that a C string ends with. */
static int read_file(const char *path, struct sl_buffer *out, struct sl_error *err)
{
	FILE *file = fopen(path, "re");
	int rc = 0;
	size_t n = 1;

	if (!file)
		return sl_fail_errno(err, errno, "can't open %s", path);
	while (!rc && n > 0) {
		char *at = sl_buffer_reserve(out, 65536);

		n = at ? fread(at, 1, 65536, file) : 0;
		out->size += n;
		if (!at)
			rc = sl_fail(err, SL_ENOMEM, "out of memory");
		else if (ferror(file))
			rc = sl_fail_errno(err, errno, "can't read %s", path);
		else if (out->size > MAX_CHUNK_BYTES)
			rc = sl_fail(err, SL_ETOO_LARGE, "%s is over %zu MiB", path,
				MAX_CHUNK_BYTES >> 20);
	}
	fclose(file);
	if (!rc && !sl_buffer_append(out, "", 1))
		rc = sl_fail(err, SL_ENOMEM, "out of memory");
	return rc;
}

static int make_plan(struct sl_plan *plan, const char *where, const char *chunk,
	const char *file, struct sl_targets *targets, struct sl_error *err)
{
	struct sl_step *step = sl_plan_add(plan, "exec");
	int rc;

	plan->name = "";
	if (!step)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	rc = sl_targets_resolve(targets, where, &step->targets, err);
	if (rc)
		return rc;
	step->parcel = sl_parcel_new(SL_MAX_PARCEL_BYTES);
	if (!step->parcel)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	return sl_workflow_pack_chunk(chunk, file, step->name, step->parcel, &step->task, err);
}

static int run_chunk(const char *where, const char *chunk, const char *file,
	const struct sl_options *options)
{
	sl_cleanup(sl_targets_freep) struct sl_targets *targets = NULL;
	struct sl_buffer text = SL_BUFFER_INIT;
	enum sl_exit status = SL_EXIT_USAGE;
	struct sl_plan plan = {0};
	struct sl_error err;
	int rc = sl_options_targets(options, &targets, &err);

	if (!rc && !chunk)
		rc = read_file(file, &text, &err);
	if (!rc)
		rc = make_plan(&plan, where, chunk ? chunk : text.data, chunk ? "-e" : file,
			targets, &err);
	if (!rc)
		rc = sl_run(&plan, options, &status, &err);
	if (rc)
		status = (enum sl_exit)sl_command_fail(&err);
	sl_plan_deinit(&plan);
	sl_buffer_deinit(&text);
	return status;
}

static int cmd_exec(const struct sl_command *command, int n_args, char **args)
{
	const char *chunk = NULL;
	const struct sl_flag own[] = {
		{"execute", 'e', "LUA", "the Lua to run, instead of a file", SL_FLAG_TEXT,
			&chunk, NULL},
		{NULL, 0, NULL, NULL, SL_FLAG_SWITCH, NULL, NULL},
	};
	struct sl_texts operands;
	struct sl_options options;
	int status = sl_command_begin(command, own, n_args, args, &options, &operands);

	if (status < 0 && operands.n != (chunk ? 1 : 2))
		status = sl_command_misused(
			command, chunk ? "targets are wanted, and nothing else beside -e"
				       : "targets and a Lua file, or -e, are wanted");
	if (status < 0)
		status = run_chunk(
			operands.items[0], chunk, chunk ? NULL : operands.items[1], &options);
	sl_command_end(&options, &operands);
	return status;
}

const struct sl_command sl_cmd_exec = {
	.name = "exec",
	.usage = "TARGETS -e LUA | TARGETS FILE.lua",
	.summary = "run a piece of Lua on targets",
	.example = "  sloth exec @web -e 'print(os.time())'\n"
		   "  sloth exec local -e 'return true, \"hello from \" .. _VERSION'\n",
	.run = cmd_exec,
};
