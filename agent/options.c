/* SPDX-License-Identifier: MIT */
#include "agent/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "common/duration.h"
#include "common/error.h"
#include "common/nearest.h"
#include "proto/limits.h"

#define MAX_TASKS 65536
#define MAX_QUEUED 1000000
#define MAX_PREFORK 256

struct option {
	const char *key;
	bool list;
	int (*set)(struct sl_options *options, const char *text, struct sl_error *err);
};

static int set_text(char **at, const char *text, struct sl_error *err)
{
	char *copy;

	if (!*text)
		return sl_fail(err, SL_EINVALID, "it must not be empty");
	copy = strdup(text);
	if (!copy)
		return sl_fail(err, SL_ENOMEM, "no memory for '%s'", text);
	free(*at);
	*at = copy;
	return 0;
}

static int parse_number(
	const char *text, uint64_t min, uint64_t max, uint64_t *out, struct sl_error *err)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number < min || number > max)
		return sl_fail(err, SL_EINVALID, "'%s' is not a number from %llu to %llu", text,
			(unsigned long long)min, (unsigned long long)max);
	*out = number;
	return 0;
}

static int set_size(
	size_t *at, const char *text, uint64_t min, uint64_t max, struct sl_error *err)
{
	uint64_t number = min;
	int result = parse_number(text, min, max, &number, err);

	if (result == 0)
		*at = number;
	return result;
}

static int set_listen(struct sl_options *options, const char *text, struct sl_error *err)
{
	int result;

	if (options->n_listen == SL_MAX_LISTEN)
		return sl_fail(err, SL_EINVALID, "more than %d addresses", SL_MAX_LISTEN);
	result = set_text(&options->listen[options->n_listen], text, err);
	if (result == 0)
		options->n_listen++;
	return result;
}

static int set_name(struct sl_options *options, const char *text, struct sl_error *err)
{
	if (strlen(text) > SL_MAX_NAME_BYTES)
		return sl_fail(
			err, SL_EINVALID, "a name has at most %u bytes", SL_MAX_NAME_BYTES);
	return set_text(&options->name, text, err);
}

static int set_max_tasks(struct sl_options *options, const char *text, struct sl_error *err)
{
	return set_size(&options->max_tasks, text, 1, MAX_TASKS, err);
}

static int set_max_queued(struct sl_options *options, const char *text, struct sl_error *err)
{
	return set_size(&options->max_queued, text, 0, MAX_QUEUED, err);
}

static int set_prefork(struct sl_options *options, const char *text, struct sl_error *err)
{
	return set_size(&options->prefork, text, 0, MAX_PREFORK, err);
}

static int set_state_dir(struct sl_options *options, const char *text, struct sl_error *err)
{
	return set_text(&options->state_dir, text, err);
}

static int set_authorized_keys(
	struct sl_options *options, const char *text, struct sl_error *err)
{
	return set_text(&options->authorized_keys, text, err);
}

static int set_allow_uids(struct sl_options *options, const char *text, struct sl_error *err)
{
	uint64_t uid = 0;
	int result;

	if (options->n_allow_uids == SL_MAX_ALLOW_UIDS)
		return sl_fail(err, SL_EINVALID, "more than %d uids", SL_MAX_ALLOW_UIDS);
	result = parse_number(text, 0, UINT32_MAX - 1, &uid, err);
	if (result == 0)
		options->allow_uids[options->n_allow_uids++] = (uint32_t)uid;
	return result;
}

static int set_log_level(struct sl_options *options, const char *text, struct sl_error *err)
{
	if (!sl_log_level_from_name(text, &options->log_level))
		return sl_fail(err, SL_EINVALID,
			"'%s' is none of error, warning, notice, info, debug", text);
	return 0;
}

static int set_drain(struct sl_options *options, const char *text, struct sl_error *err)
{
	return sl_duration_parse(text, &options->drain_ms, err);
}

static int set_ready_fd(struct sl_options *options, const char *text, struct sl_error *err)
{
	uint64_t fd = 0;
	int result = parse_number(text, 0, 1023, &fd, err);

	if (result == 0)
		options->ready_fd = (int)fd;
	return result;
}

static const struct option table[] = {
	{"listen", true, set_listen},
	{"name", false, set_name},
	{"max_tasks", false, set_max_tasks},
	{"max_queued", false, set_max_queued},
	{"prefork", false, set_prefork},
	{"state_dir", false, set_state_dir},
	{"authorized_keys", false, set_authorized_keys},
	{"allow_uids", true, set_allow_uids},
	{"log_level", false, set_log_level},
	{"drain", false, set_drain},
	{"ready_fd", false, set_ready_fd},
};

#define N_OPTIONS (sizeof(table) / sizeof(table[0]))

const char *sl_options_help(void)
{
	return "Usage: sloth-agent [FLAG]...\n"
	       "Runs Lua tasks that `sloth` sends.\n"
	       "\n"
	       "  --listen ADDRESS        ipc://PATH or tcp://127.0.0.1:PORT, port 0 a free "
	       "one; "
	       "may\n"
	       "                          stand several times\n"
	       "                          (ipc:///run/sloth-agent/agent.sock)\n"
	       "  --name NAME             what the agent calls itself (the host's name)\n"
	       "  --max-tasks N           tasks that run at once (256)\n"
	       "  --max-queued N          tasks that wait their turn; the next is refused "
	       "(1024)\n"
	       "  --prefork N             worker processes kept ready (4)\n"
	       "  --state-dir DIR         what must outlive the agent (/var/lib/sloth-agent)\n"
	       "  --authorized-keys FILE  whose tasks to run (/etc/sloth/authorized_keys)\n"
	       "  --allow-uids UID        a local user who may, beside root and the agent's "
	       "own;\n"
	       "                          may stand several times\n"
	       "  --drain TIME            how long running tasks may go on after SIGTERM "
	       "(30s)\n"
	       "  --log-level LEVEL       error, warning, notice, info or debug (info)\n"
	       "  --ready-fd N            write the first address to descriptor N when tasks "
	       "are\n"
	       "                          accepted\n"
	       "  --config FILE           YAML with the same names: max_tasks: 16\n"
	       "  --version, --help\n"
	       "\n"
	       "Example: an agent to try things with, on a free port of this machine\n"
	       "  sloth-agent --listen tcp://127.0.0.1:0 --state-dir /tmp/agent --ready-fd 1\n";
}

static const char *nearest(const char *key)
{
	const char *names[N_OPTIONS + 1] = {NULL};

	for (size_t i = 0; i < N_OPTIONS; i++)
		names[i] = table[i].key;
	return sl_nearest(key, names);
}

static const struct option *find(const char *key)
{
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (strcmp(table[i].key, key) == 0)
			return &table[i];
	return NULL;
}

bool sl_options_is_list(const char *key)
{
	const struct option *option = find(key);

	return option && option->list;
}

int sl_options_set(
	struct sl_options *options, const char *key, const char *text, struct sl_error *err)
{
	const struct option *option = find(key);
	const char *near = option ? NULL : nearest(key);
	struct sl_error why;
	int result;

	if (!option && near)
		return sl_fail(err, SL_EINVALID,
			"'%s' is no option of the agent; did you mean '%s'?", key, near);
	if (!option)
		return sl_fail(err, SL_EINVALID, "'%s' is no option of the agent", key);
	result = option->set(options, text, &why);
	if (result < 0)
		return sl_fail(err, why.code, "%s: %s", key, why.text);
	return 0;
}

/* "--max-tasks=4" or "--max-tasks" "4" into key and value. Moves *at on. */
static int read_flag(int argc, char *const argv[], int *at, char key[64], const char **value,
	struct sl_error *err)
{
	const char *arg = argv[(*at)++];
	const char *equals = strchr(arg, '=');
	size_t size = equals ? (size_t)(equals - arg) : strlen(arg);

	*value = equals ? equals + 1 : NULL;
	if (strncmp(arg, "--", 2) != 0 || size - 2 >= 64 || size == 2)
		return sl_fail(err, SL_EINVALID,
			"'%s' is not a flag; sloth-agent takes nothing else (see --help)", arg);
	for (size_t i = 2; i < size; i++)
		key[i - 2] = arg[i] == '-' ? '_' : arg[i];
	key[size - 2] = 0;
	if (strcmp(key, "help") == 0)
		return SL_OPTIONS_HELP;
	if (strcmp(key, "version") == 0)
		return SL_OPTIONS_VERSION;
	if (!find(key) && strcmp(key, "config") != 0) {
		const char *near = nearest(key);
		char flag[64] = "";

		for (size_t i = 0; near && (flag[i] = near[i]); i++)
			if (flag[i] == '_')
				flag[i] = '-';
		return sl_fail(err, SL_EINVALID, "unknown flag '%.*s'; %s%s%s", (int)size, arg,
			near ? "did you mean --" : "see --help", flag, near ? "?" : "");
	}
	if (!*value && *at < argc)
		*value = argv[(*at)++];
	if (!*value)
		return sl_fail(err, SL_EINVALID, "%s needs a value (see --help)", arg);
	return 0;
}

/* Calls for each flag in turn; the file's pass takes --config alone, the other the rest. */
static int read_flags(
	int argc, char *const argv[], bool file, struct sl_options *out, struct sl_error *err)
{
	bool own_listen = false, own_uids = false;
	int at = 1, result = 0;

	while (at < argc && result == 0) {
		const char *value;
		char key[64];

		result = read_flag(argc, argv, &at, key, &value, err);
		if (result != 0 || (strcmp(key, "config") == 0) != file)
			continue;
		if (file) {
			result = sl_config_read(value, out, err);
			continue;
		}
		/* The first on the command line replaces what the file had. */
		if (strcmp(key, "listen") == 0 && !own_listen) {
			own_listen = true;
			while (out->n_listen > 0) {
				free(out->listen[--out->n_listen]);
				out->listen[out->n_listen] = NULL;
			}
		}
		if (strcmp(key, "allow_uids") == 0 && !own_uids) {
			own_uids = true;
			out->n_allow_uids = 0;
		}
		result = sl_options_set(out, key, value, err);
	}
	return result;
}

static int set_defaults(struct sl_options *out, struct sl_error *err)
{
	char host[256] = "";

	*out = (struct sl_options){
		.max_tasks = 256,
		.max_queued = 1024,
		.prefork = 4,
		.drain_ms = 30000,
		.log_level = SL_LOG_INFO,
		.ready_fd = -1,
	};
	if (gethostname(host, sizeof(host) - 1) < 0 || !*host)
		strcpy(host, "localhost");
	if (set_name(out, host, err) < 0 ||
		set_state_dir(out, "/var/lib/sloth-agent", err) < 0 ||
		set_authorized_keys(out, "/etc/sloth/authorized_keys", err) < 0)
		return SL_ENOMEM;
	return 0;
}

int sl_options_parse(int argc, char *const argv[], struct sl_options *out, struct sl_error *err)
{
	int result = set_defaults(out, err);

	if (result == 0)
		result = read_flags(argc, argv, true, out, err);
	if (result == 0)
		result = read_flags(argc, argv, false, out, err);
	if (result == 0 && out->n_listen == 0)
		result = set_listen(out, "ipc:///run/sloth-agent/agent.sock", err);
	return result;
}

void sl_options_deinit(struct sl_options *options)
{
	for (size_t i = 0; i < options->n_listen; i++)
		free(options->listen[i]);
	free(options->name);
	free(options->state_dir);
	free(options->authorized_keys);
	*options = (struct sl_options){0};
}
