/* SPDX-License-Identifier: MIT */
#include "lua/transfer/body.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "lua/code/chunk.h"
#include "lua/code/prototype.h"
#include "lua/runtime_inside.h"
#include "lua/share/share.h"
#include "lua/state/arena.h"
#include "lua/state/handle.h"

#define BODY_KIND "body"

enum {
	N_KEPT = 8,         /* bodies that a state keeps */
	MOST_BYTES = 16384, /* of a text */
	MOST_NAMES = 256,
};

static const char kept_kind[] = "kept bodies";

/* Their addresses: keys in the registry. */
static char kept_key, witnesses_key;

/*
 * What was found before. An address of a prototype means something as long as
 * one of its closures lives: those from which it was learned are in a weak
 * table beside this, place i's at 2i + 1, its caller at 2i + 2. What is not
 * there any more may have become another one.
 */
struct kept {
	const void *prototype, *caller; /* caller: NULL for one in C */
	struct sl_body *body;           /* shares */
	uint32_t assigned;
};

struct all_kept {
	struct sl_handle handle; /* first; in a userdata of the state */
	struct kept kept[N_KEPT];
	unsigned next; /* the place for the next one */
};

/* ---- life ---- */

static void free_body(struct sl_handle *handle)
{
	struct sl_body *body = (struct sl_body *)handle;

	if (body->account)
		sl_account_release(body->account, body->charged);
	sl_parcel_free(body->parcel);
	free(body);
}

static int append(lua_State *L, const void *data, size_t size, void *buffer)
{
	(void)L;
	return sl_buffer_append(buffer, data, size) ? 0 : 1;
}

static void count_name(void *ctx, struct sl_bytes name)
{
	(void)name;
	++*(size_t *)ctx;
}

static void add_name(void *ctx, struct sl_bytes name)
{
	struct sl_body *body = ctx;

	body->names[body->n_names++] = name; /* lies in our copy of the text */
}

/* Reads the dump of a function. False: it can't be kept. */
static bool fill(struct sl_body *body, struct sl_bytes dump, struct sl_account *account)
{
	size_t n = 0;

	sl_chunk_each_name(dump, count_name, &n);
	if (dump.size > MOST_BYTES || n > MOST_NAMES)
		return false;
	body->parcel = sl_parcel_new((size_t)4 * MOST_BYTES);
	if (!body->parcel || !sl_parcel_copy(body->parcel, dump, &body->text))
		return false;
	body->names = sl_parcel_array(body->parcel, n, sizeof(*body->names));
	if (!body->names)
		return false;
	sl_chunk_each_name(body->text, add_name, body);
	if (!sl_account_charge(account, sl_parcel_size(body->parcel)))
		return false;
	body->account = account;
	body->charged = sl_parcel_size(body->parcel);
	return true;
}

/* The body of the function at @index; NULL: it can't be kept. [-0, +0, -] */
static struct sl_body *new_body(lua_State *L, int index)
{
	struct sl_buffer dump = SL_BUFFER_INIT;
	struct sl_body *body = calloc(1, sizeof(*body));
	lua_Debug info;
	bool ok;

	if (!body)
		return NULL;
	body->handle = (struct sl_handle){.refs = 1, .kind = BODY_KIND, .free = free_body};
	lua_pushvalue(L, index);
	ok = lua_dump(L, append, &dump, 0) == 0 &&
	     fill(body, sl_buffer_bytes(&dump), &sl_runtime_of(L)->account);
	sl_buffer_deinit(&dump);
	lua_getinfo(L, ">u", &info);
	if (ok && info.nups <= SL_BODY_MOST_UPVALUES) {
		body->n_upvalues = info.nups;
		return body;
	}
	sl_handle_unref(&body->handle);
	return NULL;
}

/* ---- what a state keeps ---- */

static void free_kept(struct sl_handle *handle)
{
	struct all_kept *all = (struct all_kept *)handle;

	for (int i = 0; i < N_KEPT; i++)
		if (all->kept[i].body)
			sl_handle_unref(&all->kept[i].body->handle);
	free(all);
}

/* Pushes what this state keeps, and above it the table of witnesses; makes them at first need.
 * [-0, +2, m] */
static struct all_kept *push_kept(lua_State *L)
{
	struct sl_handle *handle;
	struct all_kept *all;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key);
	handle = sl_handle_at(L, -1);
	if (handle && handle->kind == kept_kind &&
		lua_rawgetp(L, LUA_REGISTRYINDEX, &witnesses_key) == LUA_TTABLE)
		return (struct all_kept *)handle;
	all = calloc(1, sizeof(*all));
	if (!all) {
		luaL_error(L, "not enough memory");
		__builtin_unreachable();
	}
	all->handle = (struct sl_handle){.refs = 1, .kind = kept_kind, .free = free_kept};
	sl_handle_push_new(L, &all->handle);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &kept_key);
	lua_createtable(L, 2 * N_KEPT, 0);
	lua_createtable(L, 0, 1);
	lua_pushliteral(L, "v");
	lua_setfield(L, -2, "__mode");
	lua_setmetatable(L, -2);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &witnesses_key);
	return all;
}

/* Whether the witness @i, of the table of witnesses on the top, is still there. */
static bool lives(lua_State *L, int i)
{
	bool alive = lua_rawgeti(L, -1, i) == LUA_TFUNCTION;

	lua_pop(L, 1);
	return alive;
}

/* The kept body of @prototype as @caller sends it; the witnesses are on the top. [-0, +0, -] */
static struct kept *look_up(
	lua_State *L, struct all_kept *all, const void *prototype, const void *caller)
{
	for (int i = 0; i < N_KEPT; i++) {
		struct kept *kept = &all->kept[i];

		if (kept->prototype != prototype || kept->caller != caller)
			continue;
		if (lives(L, 2 * i + 1) && (!caller || lives(L, 2 * i + 2)))
			return kept;
		kept->prototype = NULL;
	}
	return NULL;
}

static uint32_t assigned_upvalues(lua_State *L, int index, int n)
{
	uint32_t assigned = 0;

	for (int i = 0; i < n; i++)
		if (sl_share_may_be_assigned(L, 1, index, i + 1))
			assigned |= UINT32_C(1) << i;
	return assigned;
}

/* Reads the function at @index, called from the one at @caller, and keeps what came of it; the
 * witnesses are on the top. NULL: it can't be kept. [-0, +0, e] */
static struct kept *learn(lua_State *L, struct all_kept *all, int index, int caller)
{
	int place = (int)(all->next % N_KEPT);
	struct kept *kept = &all->kept[place];
	struct sl_body *body = new_body(L, index), *old = kept->body;

	if (!body)
		return NULL;
	*kept = (struct kept){.body = body};
	if (old)
		sl_handle_unref(&old->handle);
	lua_pushvalue(L, index);
	lua_rawseti(L, -2, 2 * place + 1);
	lua_pushvalue(L, caller);
	lua_rawseti(L, -2, 2 * place + 2);
	kept->assigned = assigned_upvalues(L, index, body->n_upvalues);
	kept->caller = sl_prototype_of(L, caller);
	kept->prototype = sl_prototype_of(L, index);
	all->next++;
	return kept;
}

/* Pushes the function that called ours; nil if there is none. [-0, +1, -] */
static void push_caller(lua_State *L)
{
	lua_Debug info;

	if (lua_getstack(L, 1, &info))
		lua_getinfo(L, "f", &info);
	else
		lua_pushnil(L);
}

struct sl_body *sl_body_find(lua_State *L, int index, uint32_t *assigned)
{
	const void *prototype = sl_prototype_of(L, index);
	int top = lua_gettop(L);
	struct all_kept *all;
	struct kept *kept;

	if (!prototype)
		return NULL;
	luaL_checkstack(L, 16, NULL);
	push_caller(L);
	all = push_kept(L);
	kept = look_up(L, all, prototype, sl_prototype_of(L, top + 1));
	if (!kept)
		kept = learn(L, all, index, top + 1);
	lua_settop(L, top);
	if (!kept)
		return NULL;
	*assigned = kept->assigned;
	return kept->body;
}

void sl_body_push(lua_State *L, const struct sl_body *body)
{
	if (luaL_loadbufferx(L, body->text.data, body->text.size, "=?", "b") != LUA_OK)
		lua_error(L);
}
