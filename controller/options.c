/* SPDX-License-Identifier: MIT */
#include "controller/options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "controller/agents_file.h"
#include "controller/targets.h"

static const char *const outputs[] = {"pretty", "plain", "json", "jsonl", NULL};
static const char *const colors[] = {"auto", "always", "never", NULL};
static const char *const levels[] = {"error", "warning", "notice", "info", "debug", NULL};

/* One that understands more than lines. */
static bool is_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && term[0] && strcmp(term, "dumb") != 0;
}

void sl_options_init(struct sl_options *options)
{
	*options = (struct sl_options){
		.output = is_terminal() ? SL_OUTPUT_PRETTY : SL_OUTPUT_PLAIN,
		.log_level = SL_LOG_INFO,
		.connect_ms = 5000,
		.reconnect_ms = 30000};
}

void sl_options_deinit(struct sl_options *options)
{
	sl_texts_deinit(&options->agents);
}

void sl_options_flags(
	struct sl_options *options, unsigned which, struct sl_flag out[SL_N_COMMON_FLAGS])
{
	const struct sl_flag flags[] = {
		{"agent", 'a', "NAME=ADDRESS", "an agent and where it listens; repeatable",
			SL_FLAG_LIST, &options->agents, NULL},
		{"key-file", 0, "FILE", "the key to show to agents", SL_FLAG_TEXT,
			&options->key_file, NULL},
		{"output", 'o', "FORMAT", "pretty (default on a terminal), plain, json, jsonl",
			SL_FLAG_CHOICE, &options->output, outputs},
		{"color", 0, "WHEN", "auto (default), always or never", SL_FLAG_CHOICE,
			&options->color, colors},
		{"quiet", 'q', NULL, "show failures only", SL_FLAG_SWITCH, &options->quiet,
			NULL},
		{"timeout", 0, "TIME", "bounds the whole command (none)", SL_FLAG_DURATION,
			&options->timeout_ms, NULL},
		{"connect", 0, "TIME", "how long first contact may take (5s)", SL_FLAG_DURATION,
			&options->connect_ms, NULL},
		{"reconnect", 0, "TIME", "how long an agent may be gone mid-job (30s)",
			SL_FLAG_DURATION, &options->reconnect_ms, NULL},
		{"log-level", 0, "LEVEL", "error, warning, notice, info (default), debug",
			SL_FLAG_CHOICE, &options->log_level, levels},
		{"help", 'h', NULL, "this text", SL_FLAG_SWITCH, &options->help, NULL},
	};
	/* In the same order. */
	static const unsigned of[] = {SL_FLAGS_AGENTS, SL_FLAGS_CONTACT, 0, SL_FLAGS_WATCH,
		SL_FLAGS_QUIET, SL_FLAGS_CONTACT, SL_FLAGS_CONTACT, SL_FLAGS_WATCH,
		SL_FLAGS_LOG, 0};
	size_t n = 0;

	_Static_assert(sizeof(flags) / sizeof(flags[0]) == sizeof(of) / sizeof(of[0]),
		"each flag has its commands");
	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++)
		if (of[i] == 0 || (of[i] & which))
			out[n++] = flags[i];
	out[n] = (struct sl_flag){.name = NULL};
}

bool sl_config_dir(char *out, size_t size)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int n;

	if (xdg && xdg[0] == '/')
		n = snprintf(out, size, "%s/sloth", xdg);
	else if (home && home[0] == '/')
		n = snprintf(out, size, "%s/.config/sloth", home);
	else
		return false;
	return n > 0 && (size_t)n < size;
}

static int load_files(struct sl_targets *targets, struct sl_error *err)
{
	char dir[3800], path[4096];
	int rc = sl_agents_file_read("/etc/sloth/agents.yaml", targets, err);

	if (rc && rc != SL_ENOT_FOUND)
		return rc;
	if (!sl_config_dir(dir, sizeof(dir)))
		return 0;
	snprintf(path, sizeof(path), "%s/agents.yaml", dir);
	rc = sl_agents_file_read(path, targets, err);
	return rc == SL_ENOT_FOUND ? 0 : rc;
}

int sl_options_targets(
	const struct sl_options *options, struct sl_targets **out, struct sl_error *err)
{
	sl_cleanup(sl_targets_freep) struct sl_targets *targets = sl_targets_new();
	const char *env = getenv("SLOTH_AGENTS");
	int rc;

	if (!targets)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	rc = load_files(targets, err);
	if (!rc && env)
		rc = sl_targets_add_list(targets, env, "SLOTH_AGENTS", err);
	for (size_t i = 0; !rc && i < options->agents.n; i++)
		rc = sl_targets_add_pair(targets, options->agents.items[i], "--agent", err);
	if (rc)
		return rc;
	*out = sl_steal(targets);
	return 0;
}

bool sl_options_colored(const struct sl_options *options)
{
	const char *no_color = getenv("NO_COLOR");

	if (options->color)
		return options->color == 1;
	if (no_color && no_color[0])
		return false;
	return is_terminal();
}
