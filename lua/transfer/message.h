/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Message: one Lua value on its way from a goroutine to another, as a parcel that
 * weighs in the task's account until it has arrived.
 *
 * Threads: whoever has it.
 */

#include <lua.h>

#include "common/parcel.h"

struct sl_account;
struct sl_error;

struct sl_message {
	struct sl_message *next; /* whoever keeps it */
	struct sl_account *account;
	struct sl_parcel *parcel; /* NULL: the value is whole without it */
	struct sl_value value;
	size_t charged;
};

/* Packs the value at @index, which @what names: "value". Raises if it can't be sent @to:
 * "through a channel". The caller owns the message. [-0, +0, v] */
struct sl_message *sl_message_pack(lua_State *L, int index, const char *what, const char *to);

/* Pushes the value of @message; on failure nothing is pushed. Raises nothing, and runs nothing
 * of the script's. A message is for one at a time. [-0, +1|0, -] */
int sl_message_push(
	lua_State *L, const struct sl_message *message, struct sl_error *err) sl_must_check;

/* Pushes the value or raises, and takes the message in both cases. [-0, +1, v] */
void sl_message_deliver(lua_State *L, struct sl_message *message);

/* NULL is fine. */
void sl_message_free(struct sl_message *message);
