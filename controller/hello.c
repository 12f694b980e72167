/* SPDX-License-Identifier: MIT */
#include "controller/hello.h"

#include <string.h>

#include "common/error.h"
#include "controller/key.h"
#include "proto/identity.h"

static int say(const struct sl_identity *identity, const struct sl_reply *challenge,
	struct sl_buffer *out, struct sl_error *err)
{
	struct sl_request hello = {.op = SL_OP_HELLO};
	char name[200];

	hello.hello.name = sl_bytes_of(sl_own_name(name, sizeof(name)));
	hello.hello.version = sl_bytes_of(SL_VERSION);
	if (challenge) {
		hello.hello.signed_ = true;
		sl_random(hello.hello.nonce, sizeof(hello.hello.nonce));
		memcpy(hello.hello.key, identity->public_key, sizeof(hello.hello.key));
		sl_identity_sign_hello(identity, challenge->hello.name, challenge->hello.boot,
			challenge->hello.nonce, hello.hello.nonce, hello.hello.sig);
	}
	return sl_request_encode(&hello, out, err);
}

int sl_hello_begin(struct sl_hello *hello, struct sl_buffer *out, struct sl_error *err)
{
	*hello = (struct sl_hello){0};
	return say(NULL, NULL, out, err);
}

int sl_hello_take(struct sl_hello *hello, const char *name, const struct sl_identity *identity,
	const struct sl_reply *reply, struct sl_buffer *out, struct sl_error *err)
{
	int rc;

	if (reply->ok)
		return SL_HELLO_WELCOME;
	if (reply->code == SL_EBUSY)
		return SL_HELLO_BUSY;
	if (reply->code != SL_EHELLO || hello->signed_)
		return sl_fail(err, SL_EDENIED, "%.80s refused us: %.*s", name,
			(int)(reply->msg.size < 300 ? reply->msg.size : 300),
			reply->msg.data ? reply->msg.data : "");
	if (!identity)
		return sl_fail(err, SL_EDENIED,
			"%.80s wants a key and there is none: make one with sloth keygen and "
			"put its public half into authorized_keys there, or give --key-file",
			name);
	hello->signed_ = true;
	rc = say(identity, reply, out, err);
	return rc ? rc : SL_HELLO_SAY;
}
