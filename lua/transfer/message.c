/* SPDX-License-Identifier: MIT */
#include "lua/transfer/message.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "common/error.h"
#include "lua/runtime_inside.h"
#include "lua/state/arena.h"
#include "lua/state/plain.h"
#include "lua/transfer/transfer.h"

/* Most that one message may carry. */
#define MAX_BYTES ((size_t)256 << 20)

static int pack(lua_State *L, int index, const char *what, const char *to,
	struct sl_message *message, struct sl_error *err)
{
	struct sl_transfer how = {.to = to, .handles = true, .shared = true};

	if (sl_plain_take(L, index, NULL, &message->value))
		return 0;
	message->parcel = sl_parcel_new(MAX_BYTES);
	if (!message->parcel)
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	return sl_transfer_out(L, index, what, &how, message->parcel, &message->value, err);
}

/* Puts the message's weight into the account. */
static int charge(struct sl_message *message, struct sl_account *account, struct sl_error *err)
{
	size_t size = sizeof(*message);

	if (message->parcel)
		size += sl_parcel_size(message->parcel);
	if (!sl_account_charge(account, size))
		return sl_fail(err, SL_ENOMEM, "not enough memory");
	message->account = account;
	message->charged = size;
	return 0;
}

static void discharge(struct sl_message *message)
{
	if (message->account)
		sl_account_release(message->account, message->charged);
	message->account = NULL;
}

struct sl_message *sl_message_pack(lua_State *L, int index, const char *what, const char *to)
{
	struct sl_account *account = &sl_runtime_of(L)->account;
	struct sl_message *message = calloc(1, sizeof(*message));
	struct sl_error err;

	if (!message) {
		luaL_error(L, "not enough memory");
		__builtin_unreachable();
	}
	if (pack(L, index, what, to, message, &err) != 0 ||
		charge(message, account, &err) != 0) {
		sl_message_free(message);
		luaL_error(L, "%s", err.text);
	}
	return message;
}

int sl_message_push(lua_State *L, const struct sl_message *message, struct sl_error *err)
{
	const struct sl_value *value = &message->value;

	if (value->kind != SL_VALUE_STRING && sl_plain_push(L, value))
		return 0;
	return sl_transfer_in(L, value, 1, err); /* which doesn't raise */
}

void sl_message_deliver(lua_State *L, struct sl_message *message)
{
	struct sl_error err;
	int code;

	discharge(message); /* its weight becomes the state's */
	code = sl_message_push(L, message, &err);
	sl_message_free(message);
	if (code != 0)
		luaL_error(L, "%s", err.text);
}

void sl_message_free(struct sl_message *message)
{
	if (!message)
		return;
	discharge(message);
	sl_parcel_free(message->parcel);
	free(message);
}
