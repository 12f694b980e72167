/* SPDX-License-Identifier: MIT */
#include "controller/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/error.h"
#include "controller/options.h"
#include "proto/identity.h"

bool sl_key_default_path(char *out, size_t size)
{
	char dir[3800];
	int n;

	if (!sl_config_dir(dir, sizeof(dir)))
		return false;
	n = snprintf(out, size, "%s/id_ed25519", dir);
	return n > 0 && (size_t)n < size;
}

int sl_key_find(const char *key_file, struct sl_identity *out, struct sl_error *err)
{
	const char *env = getenv("SLOTH_KEY_FILE");
	char path[4096];
	int rc;

	if (key_file)
		return sl_identity_load(key_file, out, err);
	if (env && env[0])
		return sl_identity_load(env, out, err);
	if (sl_key_default_path(path, sizeof(path))) {
		rc = sl_identity_load(path, out, err);
		if (rc != SL_ENOT_FOUND)
			return rc;
	}
	/* Another user's, mostly: then it is not ours to use, and no mistake. */
	if (access(SL_LOCAL_KEY, R_OK) != 0)
		return SL_KEY_NONE;
	rc = sl_identity_load(SL_LOCAL_KEY, out, err);
	return rc == SL_ENOT_FOUND ? SL_KEY_NONE : rc;
}

char *sl_own_name(char *out, size_t size)
{
	const char *user = getenv("USER");
	char host[100] = "";

	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	snprintf(out, size, "%.60s@%s", user && user[0] ? user : "sloth", host);
	for (char *c = out; *c; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
			*c = '_';
	return out;
}
