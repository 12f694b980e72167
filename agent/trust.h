/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Trust: who may give the agent work: on ipc by uid, elsewhere by key. The keys
 * are the local one, made in the state directory at the first start, and those
 * of authorized_keys, which is read again when it has changed.
 *
 * Threads: the loop's.
 */

#include "common/base.h"
#include "proto/message.h"

struct sl_error;
struct sl_trust;

struct sl_trust_config {
	const char *state_dir; /* made with mode 0700 if it isn't there */
	const char *authorized_keys;
	const char *agent_name; /* goes into the local key's comment */
	const uint32_t *allow_uids;
	size_t n_allow_uids;
};

/* @config is borrowed until free. */
int sl_trust_new(const struct sl_trust_config *config, struct sl_trust **out,
	struct sl_error *err) sl_must_check;
void sl_trust_free(struct sl_trust *trust);
SL_DEFINE_CLEANUP(struct sl_trust *, sl_trust_free);

/* Root, the agent's own user, and those of allow_uids. */
bool sl_trust_knows_uid(const struct sl_trust *trust, uint32_t uid);

/* Writes to @out_who what stands behind the key in its file. Reads that if it has changed;
 * lines in it that are no keys are logged and skipped. */
bool sl_trust_knows_key(
	struct sl_trust *trust, const uint8_t key[SL_KEY_SIZE], char *out_who, size_t size);
