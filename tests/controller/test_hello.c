/* SPDX-License-Identifier: MIT */
#include "controller/hello.h"

#include <string.h>

#include "common/error.h"
#include "proto/identity.h"
#include "tests/support/check_main.h"

static struct sl_hello hello;
static struct sl_identity identity;
static struct sl_buffer out;
static struct sl_error err;

/* "Who are you?" */
static struct sl_reply challenge(void)
{
	struct sl_reply reply = {.op = SL_OP_HELLO, .code = SL_EHELLO};

	reply.msg = sl_bytes_of("say hello");
	reply.hello.name = sl_bytes_of("web-01");
	memset(reply.hello.boot, 1, sizeof(reply.hello.boot));
	memset(reply.hello.nonce, 2, sizeof(reply.hello.nonce));
	return reply;
}

static int take(const struct sl_reply *reply, const struct sl_identity *shown)
{
	sl_buffer_clear(&out);
	return sl_hello_take(&hello, "web-01", shown, reply, &out, &err);
}

START_TEST(a_challenge_is_answered_with_a_signature_over_it)
{
	struct sl_reply reply = challenge();
	struct sl_request request;

	ck_assert_int_eq(sl_identity_generate(&identity, &err), 0);
	ck_assert_int_eq(sl_hello_begin(&hello, &out, &err), 0);
	ck_assert_int_eq(sl_request_decode(sl_buffer_bytes(&out), &request, &err), 0);
	ck_assert(!request.hello.signed_);
	ck_assert_int_eq(take(&reply, &identity), SL_HELLO_SAY);
	ck_assert_int_eq(sl_request_decode(sl_buffer_bytes(&out), &request, &err), 0);
	ck_assert(request.hello.signed_);
	ck_assert(sl_identity_check_hello(identity.public_key, reply.hello.name,
		reply.hello.boot, reply.hello.nonce, request.hello.nonce, request.hello.sig));
	reply = (struct sl_reply){.op = SL_OP_HELLO, .ok = true};
	ck_assert_int_eq(take(&reply, &identity), SL_HELLO_WELCOME);
}
END_TEST

START_TEST(a_second_challenge_is_a_refusal)
{
	struct sl_reply reply = challenge();

	ck_assert_int_eq(sl_identity_generate(&identity, &err), 0);
	ck_assert_int_eq(sl_hello_begin(&hello, &out, &err), 0);
	ck_assert_int_eq(take(&reply, &identity), SL_HELLO_SAY);
	ck_assert_int_eq(take(&reply, &identity), SL_EDENIED);
	ck_assert_ptr_nonnull(strstr(err.text, "web-01 refused us: say hello"));
}
END_TEST

START_TEST(without_a_key_it_is_said_how_to_get_one)
{
	struct sl_reply reply = challenge();

	ck_assert_int_eq(sl_hello_begin(&hello, &out, &err), 0);
	ck_assert_int_eq(take(&reply, NULL), SL_EDENIED);
	ck_assert_ptr_nonnull(strstr(err.text, "sloth keygen"));
}
END_TEST

SL_CHECK_MAIN("hello", a_challenge_is_answered_with_a_signature_over_it,
	a_second_challenge_is_a_refusal, without_a_key_it_is_said_how_to_get_one)
