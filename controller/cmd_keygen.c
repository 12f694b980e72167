/* SPDX-License-Identifier: MIT */

/*
 * sloth keygen: a key for this controller.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buffer.h"
#include "common/error.h"
#include "controller/command.h"
#include "controller/json.h"
#include "controller/key.h"
#include "controller/outcome.h"
#include "proto/identity.h"

/* Makes the directories that @path is in, for nobody else to read. */
static int make_parents(const char *path, struct sl_error *err)
{
	char dir[4096];

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(dir, 0700) != 0 && errno != EEXIST)
			return sl_fail_errno(err, errno, "can't make directory %s", dir);
		*slash = '/';
	}
	return 0;
}

static void show(const char *path, const struct sl_identity *identity, const char *comment,
	const struct sl_options *options)
{
	char line[128];

	sl_public_key_format(identity->public_key, line, sizeof(line));
	if (options->output < SL_OUTPUT_JSON) {
		printf("%s %s\n", line, comment);
		if (!options->quiet)
			fprintf(stderr,
				"The key is in %s. For an agent to trust it, put the line "
				"above "
				"into its authorized_keys.\n",
				path);
	} else {
		struct sl_buffer out = SL_BUFFER_INIT;

		sl_buffer_append(&out, "{", 1);
		sl_json_text_member(&out, "file", sl_bytes_of(path));
		sl_json_text_member(&out, "public_key", sl_bytes_of(line));
		sl_json_text_member(&out, "comment", sl_bytes_of(comment));
		sl_buffer_append(&out, "}\n", 2);
		fwrite(out.data, 1, out.size, stdout);
		sl_buffer_deinit(&out);
	}
}

static int generate(const char *path, const char *comment, const struct sl_options *options)
{
	struct sl_identity identity;
	char own[200];
	struct sl_error err;
	int rc = make_parents(path, &err);

	if (!comment)
		comment = sl_own_name(own, sizeof(own));
	if (strpbrk(comment, "\r\n"))
		rc = sl_fail(&err, SL_EINVALID, "--comment must be one line");
	if (!rc)
		rc = sl_identity_generate(&identity, &err);
	if (rc)
		return sl_command_fail(&err);
	rc = sl_identity_save(&identity, path, comment, &err);
	if (!rc)
		show(path, &identity, comment, options);
	sl_identity_deinit(&identity);
	return rc ? sl_command_fail(&err) : SL_EXIT_OK;
}

static int cmd_keygen(const struct sl_command *command, int n_args, char **args)
{
	const char *comment = NULL;
	const struct sl_flag own[] = {
		{"comment", 'c', "TEXT", "stands behind the public key (USER@HOST)",
			SL_FLAG_TEXT, &comment, NULL},
		{NULL, 0, NULL, NULL, SL_FLAG_SWITCH, NULL, NULL},
	};
	struct sl_texts operands;
	struct sl_options options;
	char path[4096];
	int status = sl_command_begin(command, own, n_args, args, &options, &operands);

	if (status < 0 && operands.n > 1)
		status = sl_command_misused(command, "one file at most");
	if (status < 0 && operands.n == 0 && !sl_key_default_path(path, sizeof(path)))
		status = sl_command_misused(command, "HOME is not set: a file is wanted");
	if (status < 0)
		status = generate(operands.n ? operands.items[0] : path, comment, &options);
	sl_command_end(&options, &operands);
	return status;
}

const struct sl_command sl_cmd_keygen = {
	.name = "keygen",
	.usage = "[FILE] [-c COMMENT]",
	.summary = "make a key to show to agents",
	.example = "  sloth keygen\n"
		   "  sloth keygen ./deploy_key -c deploy@ci\n",
	.flags = SL_FLAGS_QUIET,
	.run = cmd_keygen,
};
