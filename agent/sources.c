/* SPDX-License-Identifier: MIT */
#include "agent/sources.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/options.h"
#include "common/error.h"

#define VARIABLE "SLOTH_AGENT_"
#define MAX_KEY 64

const char *sl_sources_help(void)
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
	       "  --user NAME             whom to become, when started as root; tasks stay "
	       "root's\n"
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
	       "  --metrics ADDRESS       where to show metrics over HTTP, on this machine "
	       "alone "
	       "(off)\n"
	       "  --log-level LEVEL       error, warning, notice, info or debug (info)\n"
	       "  --ready-fd N            write the first address to descriptor N when tasks "
	       "are\n"
	       "                          accepted\n"
	       "  --config FILE           YAML with the same names: max_tasks: 16; after "
	       "agent.yaml "
	       "come\n"
	       "                          the files of agent.d/\n"
	       "  --check-config          read all of that, say what is wrong, and end\n"
	       "  --dump-config           the same, and show what holds and from where\n"
	       "  --version, --help\n"
	       "\n"
	       "SLOTH_AGENT_MAX_TASKS=16 in the environment, and so on, overrides the file;\n"
	       "flags override both.\n"
	       "\n"
	       "Example: an agent to try things with, on a free port of this machine\n"
	       "  sloth-agent --listen tcp://127.0.0.1:0 --state-dir /tmp/agent --ready-fd 1\n";
}

/* ---- the environment ---- */

/* Not an option: it tells `sloth` which agent to start. */
static bool is_of_others(const char *variable)
{
	return strncmp(variable, "SLOTH_AGENT_PROGRAM=", 20) == 0;
}

/* "a,b" for a list, as it is for the rest. */
static int set_from_text(struct sl_options *out, const char *key, const char *text,
	const char *origin, struct sl_error *err)
{
	char *copy, *rest, *word;
	int result = 0;

	if (!sl_options_is_list(key))
		return sl_options_set(out, key, text, origin, err);
	copy = rest = strdup(text);
	if (!copy)
		return sl_fail(err, SL_ENOMEM, "no memory for '%s'", text);
	while (result == 0 && (word = strsep(&rest, ",")) != NULL)
		result = sl_options_set(out, key, word, origin, err);
	free(copy);
	return result;
}

static int read_variable(const char *variable, struct sl_options *out, struct sl_error *err)
{
	size_t prefix = strlen(VARIABLE), size = strcspn(variable, "=");
	char key[MAX_KEY], origin[MAX_KEY + sizeof(VARIABLE)];
	struct sl_error why;

	if (strncmp(variable, VARIABLE, prefix) != 0 || is_of_others(variable))
		return 0;
	snprintf(origin, sizeof(origin), "%.*s", (int)size, variable);
	if (size - prefix >= sizeof(key) || variable[size] != '=')
		return sl_fail(err, SL_EINVALID, "%s is no option of the agent", origin);
	for (size_t i = prefix; i < size; i++)
		key[i - prefix] = (char)tolower((unsigned char)variable[i]);
	key[size - prefix] = 0;
	if (set_from_text(out, key, variable + size + 1, origin, &why) < 0)
		return sl_fail(err, why.code, "%s in the environment: %s", origin, why.text);
	return 0;
}

static int read_environment(struct sl_options *out, struct sl_error *err)
{
	int result = 0;

	for (char **variable = environ; *variable && result == 0; variable++)
		result = read_variable(*variable, out, err);
	return result;
}

/* ---- flags ---- */

struct flag {
	char key[MAX_KEY]; /* max_tasks */
	const char *value; /* NULL: none behind a = */
};

/* What --help and its like ask for; 0 for all others. */
static int wish_of(const char *key)
{
	static const char *const wishes[] = {[SL_SOURCES_HELP] = "help",
		[SL_SOURCES_VERSION] = "version",
		[SL_SOURCES_CHECK] = "check_config",
		[SL_SOURCES_DUMP] = "dump_config"};

	for (size_t i = 1; i < sizeof(wishes) / sizeof(wishes[0]); i++)
		if (strcmp(wishes[i], key) == 0)
			return (int)i;
	return 0;
}

static int unknown_flag(const char *arg, size_t size, const char *key, struct sl_error *err)
{
	const char *near = sl_options_nearest(key);
	char flag[MAX_KEY] = "";

	for (size_t i = 0; near && near[i]; i++)
		flag[i] = near[i] == '_' ? '-' : near[i];
	return sl_fail(err, SL_EINVALID, "unknown flag '%.*s'; %s%s%s", (int)size, arg,
		near ? "did you mean --" : "see --help", flag, near ? "?" : "");
}

/* "--max-tasks=4" or "--max-tasks" "4". Moves *at on. Returns a wish too. */
static int read_flag(
	int argc, char *const argv[], int *at, struct flag *out, struct sl_error *err)
{
	const char *arg = argv[(*at)++];
	const char *equals = strchr(arg, '=');
	size_t size = equals ? (size_t)(equals - arg) : strlen(arg);
	int wish;

	out->value = equals ? equals + 1 : NULL;
	if (strncmp(arg, "--", 2) != 0 || size - 2 >= sizeof(out->key) || size == 2)
		return sl_fail(err, SL_EINVALID,
			"'%s' is not a flag; sloth-agent takes nothing else (see --help)", arg);
	for (size_t i = 2; i < size; i++)
		out->key[i - 2] = arg[i] == '-' ? '_' : arg[i];
	out->key[size - 2] = 0;
	wish = wish_of(out->key);
	if (wish && out->value)
		return sl_fail(err, SL_EINVALID, "%.*s takes no value", (int)size, arg);
	if (wish)
		return wish;
	if (!sl_options_is_known(out->key) && strcmp(out->key, "config") != 0)
		return unknown_flag(arg, size, out->key, err);
	if (!out->value && *at < argc)
		out->value = argv[(*at)++];
	if (!out->value)
		return sl_fail(err, SL_EINVALID, "%s needs a value (see --help)", arg);
	return 0;
}

static int take_flag(const struct flag *flag, struct sl_options *out, struct sl_error *err)
{
	char origin[MAX_KEY + 2] = "--";

	for (size_t i = 0; flag->key[i]; i++)
		origin[i + 2] = flag->key[i] == '_' ? '-' : flag->key[i];
	return sl_options_set(out, flag->key, flag->value, origin, err);
}

/* Goes through the flags; the files' pass takes --config alone, the other the rest. */
static int read_flags(int argc, char *const argv[], bool files, struct sl_options *out,
	int *out_wish, struct sl_error *err)
{
	int at = 1, result = 0;

	while (at < argc && result >= 0) {
		struct flag flag;

		result = read_flag(argc, argv, &at, &flag, err);
		if (result == SL_SOURCES_HELP || result == SL_SOURCES_VERSION)
			return result;
		if (result > 0)
			*out_wish = result;
		else if (result < 0 || (strcmp(flag.key, "config") == 0) != files)
			continue;
		else if (files)
			result = sl_config_read_all(flag.value, out, err);
		else
			result = take_flag(&flag, out, err);
	}
	return result < 0 ? result : 0;
}

int sl_sources_read(int argc, char *const argv[], struct sl_options *out, struct sl_error *err)
{
	int wish = 0, result = sl_options_init(out, err);

	if (result == 0)
		result = read_flags(argc, argv, true, out, &wish, err);
	if (result == 0)
		result = read_environment(out, err);
	if (result == 0)
		result = read_flags(argc, argv, false, out, &wish, err);
	return result == 0 ? wish : result;
}
