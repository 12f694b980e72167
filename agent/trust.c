/* SPDX-License-Identifier: MIT */
#include "agent/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/log.h"
#include "proto/identity.h"
#include "proto/limits.h"

#define MAX_LINE 4096
#define MAX_KEYS 10000
#define MAX_WHO 64

struct known_key {
	uint8_t key[SL_KEY_SIZE];
	char who[MAX_WHO];
};

struct sl_trust {
	const struct sl_trust_config *config;
	uint8_t local_key[SL_KEY_SIZE];
	struct known_key *keys; /* of authorized_keys */
	size_t n_keys;
	struct stat seen; /* authorized_keys as it was read; zeroed: it was not there */
};

static int make_state_dir(const char *path, struct sl_error *err)
{
	struct stat stat_;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return sl_fail_errno(err, errno,
			"cannot make the state directory %s (--state-dir names another)", path);
	if (stat(path, &stat_) < 0)
		return sl_fail_errno(err, errno, "cannot look at the state directory %s", path);
	if (!S_ISDIR(stat_.st_mode))
		return sl_fail(err, SL_EINVALID, "the state directory %s is a file", path);
	if (stat_.st_uid != geteuid())
		return sl_fail(err, SL_EDENIED,
			"the state directory %s belongs to uid %u, the agent runs as uid %u: "
			"change its owner, or --user",
			path, stat_.st_uid, geteuid());
	if ((stat_.st_mode & 0077) && chmod(path, 0700) < 0)
		return sl_fail_errno(
			err, errno, "cannot make the state directory %s private", path);
	return 0;
}

static int load_local_key(struct sl_trust *trust, struct sl_error *err)
{
	const struct sl_trust_config *config = trust->config;
	struct sl_identity identity;
	char path[4096], comment[SL_MAX_NAME_BYTES + 16];
	int result;

	if (snprintf(path, sizeof(path), "%s/local.key", config->state_dir) >=
		(int)sizeof(path))
		return sl_fail(err, SL_EINVALID, "too long a path: %.200s…", config->state_dir);
	result = sl_identity_load(path, &identity, err);
	if (result == SL_ENOT_FOUND) {
		snprintf(comment, sizeof(comment), "local@%s", config->agent_name);
		result = sl_identity_generate(&identity, err);
		if (result == 0)
			result = sl_identity_save(&identity, path, comment, err);
	}
	if (result < 0)
		return result;
	memcpy(trust->local_key, identity.public_key, sizeof(trust->local_key));
	sl_identity_deinit(&identity);
	return 0;
}

/* The comment: what stands behind the second word. */
static void read_who(const char *line, char *out, size_t size)
{
	for (int words = 0; words < 2; words++) {
		line += strspn(line, " \t");
		line += strcspn(line, " \t");
	}
	line += strspn(line, " \t");
	snprintf(out, size, "%s", *line ? line : "key");
}

static void add_key(struct sl_trust *trust, const char *line, int number)
{
	const char *path = trust->config->authorized_keys;
	struct known_key known, *keys;
	struct sl_error err;

	if (sl_public_key_parse(line, known.key, &err) < 0) {
		sl_log(SL_LOG_WARNING, "line of authorized_keys skipped at=%s:%d why=%s", path,
			number, err.text);
		return;
	}
	read_who(line, known.who, sizeof(known.who));
	keys = trust->n_keys < MAX_KEYS
	               ? realloc(trust->keys, (trust->n_keys + 1) * sizeof(*keys))
	               : NULL;
	if (!keys) {
		sl_log(SL_LOG_ERROR, "no room for the key at=%s:%d", path, number);
		return;
	}
	trust->keys = keys;
	trust->keys[trust->n_keys++] = known;
}

static void read_keys(struct sl_trust *trust, FILE *file)
{
	char line[MAX_LINE];
	int number = 0;

	while (fgets(line, sizeof(line), file)) {
		char *text = line + strspn(line, " \t");

		number++;
		text[strcspn(text, "\r\n")] = 0;
		if (*text && *text != '#')
			add_key(trust, text, number);
	}
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void refresh(struct sl_trust *trust)
{
	const char *path = trust->config->authorized_keys;
	struct stat now = {0};
	FILE *file;

	if (stat(path, &now) == 0 && is_same_file(&now, &trust->seen))
		return;
	trust->n_keys = 0;
	trust->seen = (struct stat){0};
	file = fopen(path, "re");
	if (!file) {
		if (errno != ENOENT)
			sl_log(SL_LOG_ERROR, "cannot read %s: %s", path, strerror(errno));
		return;
	}
	if (fstat(fileno(file), &trust->seen) < 0)
		trust->seen = (struct stat){0};
	read_keys(trust, file);
	fclose(file);
	sl_log(SL_LOG_NOTICE, "keys read file=%s n=%zu", path, trust->n_keys);
}

int sl_trust_new(
	const struct sl_trust_config *config, struct sl_trust **out, struct sl_error *err)
{
	struct sl_trust *trust = calloc(1, sizeof(*trust));
	int result;

	if (!trust)
		return sl_fail(err, SL_ENOMEM, "no memory for the keys");
	trust->config = config;
	result = make_state_dir(config->state_dir, err);
	if (result == 0)
		result = load_local_key(trust, err);
	if (result < 0) {
		free(trust);
		return result;
	}
	refresh(trust);
	*out = trust;
	return 0;
}

void sl_trust_free(struct sl_trust *trust)
{
	if (!trust)
		return;
	free(trust->keys);
	free(trust);
}

bool sl_trust_knows_uid(const struct sl_trust *trust, uint32_t uid)
{
	if (uid == 0 || uid == geteuid())
		return true;
	for (size_t i = 0; i < trust->config->n_allow_uids; i++)
		if (trust->config->allow_uids[i] == uid)
			return true;
	return false;
}

bool sl_trust_knows_key(
	struct sl_trust *trust, const uint8_t key[SL_KEY_SIZE], char *out_who, size_t size)
{
	if (memcmp(key, trust->local_key, SL_KEY_SIZE) == 0) {
		snprintf(out_who, size, "local");
		return true;
	}
	refresh(trust);
	for (size_t i = 0; i < trust->n_keys; i++)
		if (memcmp(key, trust->keys[i].key, SL_KEY_SIZE) == 0) {
			snprintf(out_who, size, "%s", trust->keys[i].who);
			return true;
		}
	return false;
}
