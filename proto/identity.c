/* SPDX-License-Identifier: MIT */
#include "proto/identity.h"

#include <assert.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "proto/key_file.h"
#include "proto/limits.h"

#define PUBLIC_WORD "ed25519"
#define SECRET_WORD "sloth-secret-ed25519"
#define BLANKS " \t\r\n"
#define VARIANT sodium_base64_VARIANT_ORIGINAL
#define ENCODED_SIZE sodium_base64_ENCODED_LEN(SL_KEY_SIZE, VARIANT)

/* What hello signs: this, the agent's name, a NUL, then the fixed-size parts. */
#define HELLO_PREFIX "sloth-hello-1"
#define HELLO_MAX                                                                              \
	(sizeof(HELLO_PREFIX) + SL_MAX_NAME_BYTES + 1 + SL_BOOT_ID_SIZE + 2 * SL_NONCE_SIZE)

_Static_assert(SL_KEY_SIZE == crypto_sign_PUBLICKEYBYTES, "a public key");
_Static_assert(SL_KEY_SIZE == crypto_sign_SEEDBYTES, "a secret key's seed");
_Static_assert(SL_SIGNATURE_SIZE == crypto_sign_BYTES, "a signature");
_Static_assert(sizeof(((struct sl_identity *)0)->secret_key) == crypto_sign_SECRETKEYBYTES,
	"a secret key");

/* Without random numbers nothing that follows is worth anything. */
static void prepare(void)
{
	if (sodium_init() < 0)
		abort();
}

void sl_random(void *out, size_t size)
{
	prepare();
	randombytes_buf(out, size);
}

int sl_identity_generate(struct sl_identity *out, struct sl_error *err)
{
	prepare();
	if (crypto_sign_keypair(out->public_key, out->secret_key))
		return sl_fail(err, SL_ESYSTEM, "cannot make a key pair");
	return 0;
}

void sl_identity_deinit(struct sl_identity *identity)
{
	if (identity)
		sodium_memzero(identity, sizeof(*identity));
}

/* Reads "WORD BASE64" at the beginning of @line. */
static bool parse(const char *line, const char *word, uint8_t out[SL_KEY_SIZE])
{
	uint8_t key[SL_KEY_SIZE];
	const char *at = line + strspn(line, BLANKS), *end;
	size_t n = strlen(word), size;
	bool ok = false;

	if (strncmp(at, word, n) != 0 || !at[n] || !strchr(" \t", at[n]))
		return false;
	at += n + strspn(at + n, " \t");
	n = strcspn(at, BLANKS);
	if (sodium_base642bin(key, sizeof(key), at, n, NULL, &size, &end, VARIANT) == 0 &&
		size == sizeof(key) && end == at + n) {
		memcpy(out, key, sizeof(key));
		ok = true;
	}
	sodium_memzero(key, sizeof(key));
	return ok;
}

int sl_public_key_parse(const char *line, uint8_t out[SL_KEY_SIZE], struct sl_error *err)
{
	if (!parse(line, PUBLIC_WORD, out))
		return sl_fail(err, SL_EINVALID,
			"'%.60s' is no public key: it should read " PUBLIC_WORD
			" BASE64, as sloth keygen writes it",
			line);
	return 0;
}

void sl_public_key_format(const uint8_t key[SL_KEY_SIZE], char *out, size_t size)
{
	char encoded[ENCODED_SIZE];

	sodium_bin2base64(encoded, sizeof(encoded), key, SL_KEY_SIZE, VARIANT);
	snprintf(out, size, "%s %s", PUBLIC_WORD, encoded);
}

int sl_identity_load(const char *path, struct sl_identity *out, struct sl_error *err)
{
	char text[SL_MAX_KEY_FILE_BYTES];
	uint8_t seed[SL_KEY_SIZE];
	int rc = sl_key_file_read_secret(path, text, err);

	prepare();
	if (rc == 0 && !parse(text, SECRET_WORD, seed))
		rc = sl_fail(err, SL_EINVALID,
			"'%s' is no secret key as sloth keygen writes it", path);
	if (rc == 0)
		crypto_sign_seed_keypair(out->public_key, out->secret_key, seed);
	sodium_memzero(text, sizeof(text));
	sodium_memzero(seed, sizeof(seed));
	return rc;
}

static int save_public(const struct sl_identity *identity, const char *path,
	const char *comment, struct sl_error *err)
{
	char text[SL_MAX_KEY_FILE_BYTES], key[64];
	int n;

	sl_public_key_format(identity->public_key, key, sizeof(key));
	n = snprintf(text, sizeof(text), "%s%s%s\n", key, comment ? " " : "",
		comment ? comment : "");
	if (n >= (int)sizeof(text) || strchr(text, '\n') != text + n - 1)
		return sl_fail(err, SL_EINVALID, "the key's comment must be one short line");
	return sl_key_file_create(path, text, 0644, err);
}

static int save_secret(
	const struct sl_identity *identity, const char *path, struct sl_error *err)
{
	char text[sizeof(SECRET_WORD) + ENCODED_SIZE + 1], encoded[ENCODED_SIZE];
	uint8_t seed[SL_KEY_SIZE];
	int rc;

	crypto_sign_ed25519_sk_to_seed(seed, identity->secret_key);
	sodium_bin2base64(encoded, sizeof(encoded), seed, sizeof(seed), VARIANT);
	snprintf(text, sizeof(text), "%s %s\n", SECRET_WORD, encoded);
	rc = sl_key_file_create(path, text, 0600, err);
	sodium_memzero(text, sizeof(text));
	sodium_memzero(encoded, sizeof(encoded));
	sodium_memzero(seed, sizeof(seed));
	return rc;
}

/* The public key first: a secret one that is there has its public one beside it. */
int sl_identity_save(const struct sl_identity *identity, const char *path, const char *comment,
	struct sl_error *err)
{
	char public_path[PATH_MAX];
	int rc;

	if (snprintf(public_path, sizeof(public_path), "%s.pub", path) >=
		(int)sizeof(public_path))
		return sl_fail(err, SL_EINVALID, "the path '%.80s...' is too long", path);
	rc = save_public(identity, public_path, comment, err);
	if (rc)
		return rc;
	rc = save_secret(identity, path, err);
	if (rc)
		unlink(public_path);
	return rc;
}

/* Returns how many bytes of @out hello signs. */
static size_t hello_text(struct sl_bytes agent_name, const uint8_t boot[SL_BOOT_ID_SIZE],
	const uint8_t agent_nonce[SL_NONCE_SIZE], const uint8_t own_nonce[SL_NONCE_SIZE],
	uint8_t out[HELLO_MAX])
{
	const struct {
		const void *data;
		size_t size;
	} parts[] = {{HELLO_PREFIX, sizeof(HELLO_PREFIX)}, /* with its NUL */
		{agent_name.data, agent_name.size}, {"", 1}, {boot, SL_BOOT_ID_SIZE},
		{agent_nonce, SL_NONCE_SIZE}, {own_nonce, SL_NONCE_SIZE}};
	size_t n = 0;

	assert(agent_name.size <= SL_MAX_NAME_BYTES);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].size > 0)
			memcpy(out + n, parts[i].data, parts[i].size);
		n += parts[i].size;
	}
	return n;
}

void sl_identity_sign_hello(const struct sl_identity *identity, struct sl_bytes agent_name,
	const uint8_t boot[SL_BOOT_ID_SIZE], const uint8_t agent_nonce[SL_NONCE_SIZE],
	const uint8_t own_nonce[SL_NONCE_SIZE], uint8_t out_sig[SL_SIGNATURE_SIZE])
{
	uint8_t text[HELLO_MAX];
	size_t n = hello_text(agent_name, boot, agent_nonce, own_nonce, text);

	prepare();
	crypto_sign_detached(out_sig, NULL, text, n, identity->secret_key);
}

bool sl_identity_check_hello(const uint8_t key[SL_KEY_SIZE], struct sl_bytes agent_name,
	const uint8_t boot[SL_BOOT_ID_SIZE], const uint8_t agent_nonce[SL_NONCE_SIZE],
	const uint8_t own_nonce[SL_NONCE_SIZE], const uint8_t sig[SL_SIGNATURE_SIZE])
{
	uint8_t text[HELLO_MAX];
	size_t n = hello_text(agent_name, boot, agent_nonce, own_nonce, text);

	prepare();
	return crypto_sign_verify_detached(sig, text, n, key) == 0;
}
