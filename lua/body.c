/* SPDX-License-Identifier: MIT */
#include "lua/body.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "lua/arena.h"
#include "lua/chunk.h"
#include "lua/handle.h"
#include "lua/prototype.h"
#include "lua/runtime_inside.h"
#include "lua/share.h"

#define BODY_KIND "body"

enum {
	N_KEPT = 8,         /* bodies that a state keeps */
	MOST_BYTES = 16384, /* of a text */
	MOST_NAMES = 256,
};

static char kept_key; /* its address: the key in the registry */

/*
 * What was found before. An address of a prototype means something as long as
 * one of its closures lives: those from which it was learned are in a weak
 * table beside this. What is not there any more may have become another one.
 */
struct kept {
	const void *prototype, *caller; /* caller: NULL for one in C */
	struct sl_body *body;           /* its userdata has the reference */
	uint32_t assigned;
};

struct all_kept {
	struct kept kept[N_KEPT];
	unsigned next; /* the place for the next one */
};

/* Fields of the table in the registry. */
enum {
	FIELD_KEPT = 1,  /* userdata: struct all_kept */
	FIELD_WITNESSES, /* weak: 2i + 1 → function, 2i + 2 → caller */
	FIELD_BODIES,    /* + i → userdata of the body */
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

/* Pushes the body of the function at @index as a userdata; NULL, and nil pushed, if it can't be
 * kept. [-0, +1, e] */
static struct sl_body *push_new(lua_State *L, int index)
{
	struct sl_buffer dump = SL_BUFFER_INIT;
	struct sl_body *body = calloc(1, sizeof(*body));
	bool ok = body != NULL;
	lua_Debug info;

	lua_pushvalue(L, index);
	ok = ok && lua_dump(L, append, &dump, 0) == 0 &&
	     fill(body, sl_buffer_bytes(&dump), &sl_runtime_of(L)->account);
	sl_buffer_deinit(&dump);
	lua_getinfo(L, ">u", &info);
	if (!ok || info.nups > SL_BODY_MOST_UPVALUES) {
		if (body)
			free_body(&body->handle);
		lua_pushnil(L);
		return NULL;
	}
	body->n_upvalues = info.nups;
	body->handle = (struct sl_handle){.refs = 1, .kind = BODY_KIND, .free = free_body};
	sl_handle_push_new(L, &body->handle);
	return body;
}

/* ---- what a state keeps ---- */

/* Pushes the table; makes it at first need. [-0, +1, m] */
static void push_kept(lua_State *L)
{
	struct all_kept *all;

	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key) == LUA_TTABLE)
		return;
	lua_pop(L, 1);
	lua_createtable(L, FIELD_BODIES + N_KEPT, 0);
	all = lua_newuserdatauv(L, sizeof(*all), 0);
	memset(all, 0, sizeof(*all));
	lua_rawseti(L, -2, FIELD_KEPT);
	lua_createtable(L, 2 * N_KEPT, 0);
	lua_createtable(L, 0, 1);
	lua_pushliteral(L, "v");
	lua_setfield(L, -2, "__mode");
	lua_setmetatable(L, -2);
	lua_rawseti(L, -2, FIELD_WITNESSES);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &kept_key);
}

/* Whether the witness @i, of the table of witnesses on the top, is still there. */
static bool lives(lua_State *L, int i)
{
	bool alive = lua_rawgeti(L, -1, i) == LUA_TFUNCTION;

	lua_pop(L, 1);
	return alive;
}

/* The kept body of @prototype as @caller sends it; the table is on the top. [-0, +0, -] */
static struct kept *look_up(
	lua_State *L, struct all_kept *all, const void *prototype, const void *caller)
{
	struct kept *found = NULL;

	lua_rawgeti(L, -1, FIELD_WITNESSES);
	for (int i = 0; i < N_KEPT && !found; i++) {
		struct kept *kept = &all->kept[i];

		if (kept->prototype != prototype || kept->caller != caller)
			continue;
		if (lives(L, 2 * i + 1) && (!caller || lives(L, 2 * i + 2)))
			found = kept;
		else
			kept->prototype = NULL;
	}
	lua_pop(L, 1);
	return found;
}

static uint32_t assigned_upvalues(lua_State *L, int index, int n)
{
	uint32_t assigned = 0;

	for (int i = 0; i < n; i++)
		if (sl_share_may_be_assigned(L, 1, index, i + 1))
			assigned |= UINT32_C(1) << i;
	return assigned;
}

/* Reads the function at @index, whose caller is below the table on the top, and keeps what came
 * of it. NULL: it can't be kept. [-0, +0, e] */
static struct kept *learn(lua_State *L, struct all_kept *all, int index)
{
	int table = lua_gettop(L), place = (int)(all->next % N_KEPT);
	struct kept *kept = &all->kept[place];
	struct sl_body *body = push_new(L, index);

	if (!body) {
		lua_pop(L, 1);
		return NULL;
	}
	kept->prototype = NULL;
	lua_rawseti(L, table, FIELD_BODIES + place); /* what was there is garbage */
	lua_rawgeti(L, table, FIELD_WITNESSES);
	lua_pushvalue(L, index);
	lua_rawseti(L, -2, 2 * place + 1);
	lua_pushvalue(L, table - 1);
	lua_rawseti(L, -2, 2 * place + 2);
	lua_pop(L, 1);
	*kept = (struct kept){
		.caller = sl_prototype_of(L, table - 1),
		.body = body,
		.assigned = assigned_upvalues(L, index, body->n_upvalues),
	};
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
	push_kept(L);
	lua_rawgeti(L, -1, FIELD_KEPT);
	all = lua_touserdata(L, -1);
	lua_pop(L, 1);
	kept = look_up(L, all, prototype, sl_prototype_of(L, top + 1));
	if (!kept)
		kept = learn(L, all, index);
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
