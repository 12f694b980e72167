/* SPDX-License-Identifier: MIT */

/*
 * sloth exec: a piece of Lua on some targets.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/buffer.h"
#include "common/error.h"
#include "controller/chunk.h"
#include "controller/command.h"

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

/* A file's text; what is no text can't be Lua. */
static int read_chunk(const char *path, struct sl_buffer *out, struct sl_error *err)
{
	int rc = read_file(path, out, err);

	if (!rc && memchr(out->data, '\0', out->size - 1))
		rc = sl_fail(err, SL_EINVALID, "%s has a zero byte in it: it is no Lua", path);
	return rc;
}

static int run_lua(const char *where, const char *chunk, const char *file,
	const struct sl_options *options)
{
	struct sl_buffer text = SL_BUFFER_INIT;
	struct sl_error err;
	int status;

	if (!chunk && read_chunk(file, &text, &err))
		status = sl_command_fail(&err);
	else
		status = sl_chunk_run(
			where, "exec", chunk ? chunk : text.data, chunk ? "-e" : file, options);
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
		status = run_lua(
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
	.flags = SL_FLAGS_RUN,
	.run = cmd_exec,
};
