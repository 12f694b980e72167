/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Key: which key this controller shows to agents, and where it is.
 *
 * Threads: one.
 */

#include "common/base.h"

struct sl_error;
struct sl_identity;

/* Where the agent of this machine keeps the key that it trusts. */
#define SL_LOCAL_KEY "/var/lib/sloth-agent/local.key"

enum {
	SL_KEY_NONE = 1, /* there is none: good enough where the agent knows our uid */
};

/* Looks at @key_file (--key-file, may be NULL), SLOTH_KEY_FILE, id_ed25519 in the configuration
 * directory, and the key of this machine's agent. The first that is there counts; one that was
 * named must be. Returns 0, SL_KEY_NONE, or what is wrong with it. */
int sl_key_find(
	const char *key_file, struct sl_identity *out, struct sl_error *err) sl_must_check;

/* Where sloth keygen puts a key. False when there is no home. */
bool sl_key_default_path(char *out, size_t size);

/* "USER@HOST": what agents and people know this controller by. Printable ASCII. Returns @out.
 */
char *sl_own_name(char *out, size_t size);
