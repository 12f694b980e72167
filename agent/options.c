/* SPDX-License-Identifier: MIT */
#include "agent/options.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/address.h"
#include "common/buffer.h"
#include "common/duration.h"
#include "common/error.h"
#include "common/nearest.h"
#include "proto/limits.h"

#define MAX_TASKS 65536
#define MAX_QUEUED 1000000
#define MAX_PREFORK 256

struct option {
	const char *key;
	bool live; /* can change while the agent runs */
	int (*set)(struct sl_options *options, const char *text, struct sl_error *err);
	/* Writes value number @i as set() would take it; false when there are no more. */
	bool (*get)(const struct sl_options *options, size_t i, struct sl_buffer *out);
	void (*clear)(struct sl_options *options); /* of lists alone */
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
	result = sl_address_check_listen(text, err);
	if (result == 0)
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

static int set_user(struct sl_options *options, const char *text, struct sl_error *err)
{
	return set_text(&options->user, text, err);
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

static int set_metrics(struct sl_options *options, const char *text, struct sl_error *err)
{
	int result;

	if (strcmp(text, "off") == 0) {
		free(sl_steal(options->metrics));
		return 0;
	}
	result = sl_address_check_metrics(text, err);
	return result < 0 ? result : set_text(&options->metrics, text, err);
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

static bool get_text(const char *text, size_t i, struct sl_buffer *out)
{
	return i == 0 && sl_buffer_printf(out, "%s", text);
}

static bool get_number(uint64_t number, size_t i, struct sl_buffer *out)
{
	return i == 0 && sl_buffer_printf(out, "%llu", (unsigned long long)number);
}

static bool get_listen(const struct sl_options *options, size_t i, struct sl_buffer *out)
{
	return i < options->n_listen && get_text(options->listen[i], 0, out);
}

static void clear_listen(struct sl_options *options)
{
	while (options->n_listen > 0) {
		options->n_listen--;
		free(sl_steal(options->listen[options->n_listen]));
	}
}

static bool get_name(const struct sl_options *options, size_t i, struct sl_buffer *out)
{
	return get_text(options->name, i, out);
}

/* None is no value. */
static bool get_user(const struct sl_options *options, size_t i, struct sl_buffer *out)
{
	return options->user && get_text(options->user, i, out);
}

static bool get_max_tasks(const struct sl_options *options, size_t i, struct sl_buffer *out)
{
	return get_number(options->max_tasks, i, out);
}

static bool get_max_queued(const struct sl_options *options, size_t i, struct sl_buffer *out)
{
	return get_number(options->max_queued, i, out);
}

static bool get_prefork(const struct sl_options *options, size_t i, struct sl_buffer *out)
{
	return get_number(options->prefork, i, out);
}

static bool get_state_dir(const struct sl_options *options, size_t i, struct sl_buffer *out)
{
	return get_text(options->state_dir, i, out);
}

static bool get_authorized_keys(
	const struct sl_options *options, size_t i, struct sl_buffer *out)
{
	return get_text(options->authorized_keys, i, out);
}

static bool get_allow_uids(const struct sl_options *options, size_t i, struct sl_buffer *out)
{
	return i < options->n_allow_uids && get_number(options->allow_uids[i], 0, out);
}

static void clear_allow_uids(struct sl_options *options)
{
	options->n_allow_uids = 0;
}

static bool get_metrics(const struct sl_options *options, size_t i, struct sl_buffer *out)
{
	return get_text(options->metrics ? options->metrics : "off", i, out);
}

static bool get_log_level(const struct sl_options *options, size_t i, struct sl_buffer *out)
{
	return get_text(sl_log_level_name(options->log_level), i, out);
}

static bool get_drain(const struct sl_options *options, size_t i, struct sl_buffer *out)
{
	return i == 0 && sl_buffer_printf(out, "%lldms", (long long)options->drain_ms);
}

/* None is no value. */
static bool get_ready_fd(const struct sl_options *options, size_t i, struct sl_buffer *out)
{
	return options->ready_fd >= 0 && get_number((uint64_t)options->ready_fd, i, out);
}

static const struct option table[] = {
	{"name", false, set_name, get_name, NULL},
	{"user", false, set_user, get_user, NULL},
	{"listen", false, set_listen, get_listen, clear_listen},
	{"max_tasks", false, set_max_tasks, get_max_tasks, NULL},
	{"max_queued", false, set_max_queued, get_max_queued, NULL},
	{"prefork", false, set_prefork, get_prefork, NULL},
	{"authorized_keys", true, set_authorized_keys, get_authorized_keys, NULL},
	{"allow_uids", true, set_allow_uids, get_allow_uids, clear_allow_uids},
	{"state_dir", false, set_state_dir, get_state_dir, NULL},
	{"drain", true, set_drain, get_drain, NULL},
	{"log_level", true, set_log_level, get_log_level, NULL},
	{"metrics", false, set_metrics, get_metrics, NULL},
	{"ready_fd", false, set_ready_fd, get_ready_fd, NULL},
};

#define N_OPTIONS (sizeof(table) / sizeof(table[0]))
static_assert(N_OPTIONS <= SL_MAX_OPTIONS, "an origin for each option");

const char *sl_options_nearest(const char *key)
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

bool sl_options_is_known(const char *key)
{
	return find(key) != NULL;
}

bool sl_options_is_list(const char *key)
{
	const struct option *option = find(key);

	return option && option->clear;
}

/* Where the value is from, and that the list from before is over. */
static int note_origin(struct sl_options *options, const struct option *option,
	const char *origin, struct sl_error *err)
{
	char **at = &options->origins[option - table];
	char *copy;

	if (*at && strcmp(*at, origin) == 0)
		return 0;
	copy = strdup(origin);
	if (!copy)
		return sl_fail(err, SL_ENOMEM, "no memory for '%s'", origin);
	free(*at);
	*at = copy;
	if (option->clear)
		option->clear(options);
	return 0;
}

int sl_options_set(struct sl_options *options, const char *key, const char *text,
	const char *origin, struct sl_error *err)
{
	const struct option *option = find(key);
	const char *near = option ? NULL : sl_options_nearest(key);
	struct sl_error why;
	int result;

	if (!option && near)
		return sl_fail(err, SL_EINVALID,
			"'%s' is no option of the agent; did you mean '%s'?", key, near);
	if (!option)
		return sl_fail(err, SL_EINVALID, "'%s' is no option of the agent", key);
	result = note_origin(options, option, origin, &why);
	if (result == 0)
		result = option->set(options, text, &why);
	if (result < 0)
		return sl_fail(err, why.code, "%s: %s", key, why.text);
	return 0;
}

int sl_options_init(struct sl_options *out, struct sl_error *err)
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
		set_authorized_keys(out, "/etc/sloth/authorized_keys", err) < 0 ||
		set_listen(out, "ipc:///run/sloth-agent/agent.sock", err) < 0)
		return SL_ENOMEM;
	return 0;
}

/* ---- showing ---- */

/* As YAML: numbers and words as they are, the rest in quotes. */
static void write_value(struct sl_buffer *out, struct sl_bytes value)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	size_t n = 0;

	while (n < value.size && strchr(plain, value.data[n]))
		n++;
	if (n == value.size) {
		sl_buffer_append(out, value.data, value.size);
		return;
	}
	sl_buffer_append(out, "\"", 1);
	for (size_t i = 0; i < value.size; i++) {
		unsigned char c = (unsigned char)value.data[i];

		if (c < ' ' || c == 0x7f)
			sl_buffer_printf(out, "\\x%02x", c);
		else
			sl_buffer_printf(out, "%s%c", c == '"' || c == '\\' ? "\\" : "", c);
	}
	sl_buffer_append(out, "\"", 1);
}

/* "a, b" */
static void write_values(
	struct sl_buffer *out, const struct option *option, const struct sl_options *options)
{
	struct sl_buffer value = SL_BUFFER_INIT;

	for (size_t i = 0; option->get(options, i, &value); i++) {
		sl_buffer_printf(out, "%s", i ? ", " : "");
		write_value(out, sl_buffer_bytes(&value));
		sl_buffer_clear(&value);
	}
	sl_buffer_deinit(&value);
}

void sl_options_dump(const struct sl_options *options, struct sl_buffer *out)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		struct sl_buffer values = SL_BUFFER_INIT;
		const char *brackets = table[i].clear ? "[]" : "";
		int n_brackets = table[i].clear ? 1 : 0;

		write_values(&values, &table[i], options);
		if (values.size > 0 || table[i].clear)
			sl_buffer_printf(out, "%s: %.*s%.*s%.*s  # %s\n", table[i].key,
				n_brackets, brackets, (int)values.size,
				values.data ? values.data : "", n_brackets,
				brackets + n_brackets,
				options->origins[i] ? options->origins[i] : "default");
		sl_buffer_deinit(&values);
	}
}

/* ---- changing ---- */

static bool is_same(
	const struct option *option, const struct sl_options *a, const struct sl_options *b)
{
	struct sl_buffer one = SL_BUFFER_INIT, two = SL_BUFFER_INIT;
	bool same;

	write_values(&one, option, a);
	write_values(&two, option, b);
	same = sl_bytes_equal(sl_buffer_bytes(&one), sl_buffer_bytes(&two));
	sl_buffer_deinit(&one);
	sl_buffer_deinit(&two);
	return same;
}

void sl_options_adopt(
	struct sl_options *options, struct sl_options *from, void (*stays)(const char *key))
{
	char *keys = options->authorized_keys;

	for (size_t i = 0; i < N_OPTIONS; i++) {
		if (!table[i].live && !is_same(&table[i], options, from))
			stays(table[i].key);
	}
	options->authorized_keys = from->authorized_keys;
	from->authorized_keys = keys;
	memcpy(options->allow_uids, from->allow_uids, sizeof(options->allow_uids));
	options->n_allow_uids = from->n_allow_uids;
	options->log_level = from->log_level;
	options->drain_ms = from->drain_ms;
}

void sl_options_deinit(struct sl_options *options)
{
	clear_listen(options);
	free(options->name);
	free(options->user);
	free(options->state_dir);
	free(options->authorized_keys);
	free(options->metrics);
	for (size_t i = 0; i < N_OPTIONS; i++)
		free(options->origins[i]);
	*options = (struct sl_options){0};
}
