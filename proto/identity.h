/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Identity: Ed25519 keys, and the signature by which a controller shows that it
 * has one. PROTOCOL.md, "Who may".
 *
 * Threads: any.
 */

#include "common/base.h"
#include "proto/message.h"

struct sl_error;

struct sl_identity {
	uint8_t public_key[SL_KEY_SIZE];
	uint8_t secret_key[64]; /* wiped by deinit */
};

/* Makes a new key pair. */
int sl_identity_generate(struct sl_identity *out, struct sl_error *err) sl_must_check;

/* Reads a secret key file. One that others than its owner can read or write is SL_EDENIED; a
 * missing one SL_ENOT_FOUND; one that is something else SL_EINVALID. */
int sl_identity_load(
	const char *path, struct sl_identity *out, struct sl_error *err) sl_must_check;

/* Writes the secret key to @path (0600) and the public one, a line for authorized_keys, to
 * @path.pub with @comment (NULL: none) behind it. Each file is there whole or not at all; one
 * that exists is never written over: SL_EINVALID. */
int sl_identity_save(const struct sl_identity *identity, const char *path, const char *comment,
	struct sl_error *err) sl_must_check;

/* NULL or a zeroed identity is fine. */
void sl_identity_deinit(struct sl_identity *identity);

/* Reads "ed25519 BASE64 [comment]"; blanks around it are free. SL_EINVALID for anything else.
 */
int sl_public_key_parse(
	const char *line, uint8_t out[SL_KEY_SIZE], struct sl_error *err) sl_must_check;

/* "ed25519 BASE64" into @out (at least 64 bytes). */
void sl_public_key_format(const uint8_t key[SL_KEY_SIZE], char *out, size_t size);

/* Signs what hello signs, and checks it. @agent_name has at most SL_MAX_NAME_BYTES, as every
 * decoded one. */
void sl_identity_sign_hello(const struct sl_identity *identity, struct sl_bytes agent_name,
	const uint8_t boot[SL_BOOT_ID_SIZE], const uint8_t agent_nonce[SL_NONCE_SIZE],
	const uint8_t own_nonce[SL_NONCE_SIZE], uint8_t out_sig[SL_SIGNATURE_SIZE]);
bool sl_identity_check_hello(const uint8_t key[SL_KEY_SIZE], struct sl_bytes agent_name,
	const uint8_t boot[SL_BOOT_ID_SIZE], const uint8_t agent_nonce[SL_NONCE_SIZE],
	const uint8_t own_nonce[SL_NONCE_SIZE], const uint8_t sig[SL_SIGNATURE_SIZE]);

/* Random bytes fit for nonces, keys and job ids. */
void sl_random(void *out, size_t size);
