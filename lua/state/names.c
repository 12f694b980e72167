/* SPDX-License-Identifier: MIT */
#include "lua/state/names.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "lua/state/unlisted.h"
#include "lua/transfer/transfer.h"

static char names_key; /* its address: the key in the registry */

struct named {
	lua_CFunction function;
	char *name;
};

struct sl_names {
	struct named *slots; /* open addressing; immutable after new */
	size_t n_slots;      /* a power of two, or 0 */
	size_t n_used;
	char **modules;
	size_t n_modules;
};

static size_t slot_of(const struct sl_names *names, lua_CFunction function)
{
	size_t at = ((uintptr_t)function >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32;

	for (;; at++) {
		struct named *slot = &names->slots[at & (names->n_slots - 1)];

		if (!slot->function || slot->function == function)
			return at & (names->n_slots - 1);
	}
}

static bool grow(struct sl_names *names)
{
	struct sl_names bigger = {.n_slots = names->n_slots ? names->n_slots * 2 : 256};

	bigger.slots = calloc(bigger.n_slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	for (size_t i = 0; i < names->n_slots; i++)
		if (names->slots[i].function)
			bigger.slots[slot_of(&bigger, names->slots[i].function)] =
				names->slots[i];
	free(names->slots);
	names->slots = bigger.slots;
	names->n_slots = bigger.n_slots;
	return true;
}

/* Its name is made of @where, a sign and @name. */
static bool add_function(struct sl_names *names, lua_CFunction function, const char *where,
	const char *sign, const char *name)
{
	struct named *slot;

	if (names->n_used * 2 >= names->n_slots && !grow(names))
		return false;
	slot = &names->slots[slot_of(names, function)];
	if (slot->function)
		return true;
	if (asprintf(&slot->name, "%s%s%s", where, sign, name) < 0)
		return false;
	slot->function = function;
	names->n_used++;
	return true;
}

static bool add_module(struct sl_names *names, const char *name)
{
	char **modules = realloc(names->modules, (names->n_modules + 1) * sizeof(*modules));

	if (!modules)
		return false;
	names->modules = modules;
	modules[names->n_modules] = strdup(name);
	return modules[names->n_modules++] != NULL;
}

/* Learns the functions of the module table on the top. [-0, +0, -] */
static bool add_functions(struct sl_names *names, lua_State *L, const char *module)
{
	bool ok = true, global = strcmp(module, LUA_GNAME) == 0;

	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		if (ok && lua_type(L, -2) == LUA_TSTRING && lua_iscfunction(L, -1))
			ok = add_function(names, lua_tocfunction(L, -1), global ? "" : module,
				global ? "" : ".", lua_tostring(L, -2));
	}
	return ok;
}

static bool add_unlisted(void *names, const char *kind, const luaL_Reg *function)
{
	return add_function(names, function->func, kind, ":", function->name);
}

/* f(names): raises if memory ran out */
static int l_learn(lua_State *L)
{
	struct sl_names *names = lua_touserdata(L, 1);
	bool ok = true;

	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING || !lua_istable(L, -1))
			continue;
		ok = ok && add_module(names, lua_tostring(L, -2)) &&
		     add_functions(names, L, lua_tostring(L, -2));
	}
	/* After the modules: what is shown by one too goes by that name. */
	ok = ok && sl_unlisted_each(add_unlisted, names);
	return ok ? 0 : luaL_error(L, "not enough memory");
}

struct sl_names *sl_names_new(lua_State *L)
{
	struct sl_names *names = calloc(1, sizeof(*names));

	if (!names || !lua_checkstack(L, 4)) {
		free(names);
		return NULL;
	}
	lua_pushcfunction(L, l_learn);
	lua_pushlightuserdata(L, names);
	if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
		lua_pop(L, 1);
		sl_names_free(names);
		return NULL;
	}
	return names;
}

void sl_names_free(struct sl_names *names)
{
	if (!names)
		return;
	for (size_t i = 0; i < names->n_slots; i++)
		free(names->slots[i].name);
	for (size_t i = 0; i < names->n_modules; i++)
		free(names->modules[i]);
	free(names->slots);
	free(names->modules);
	free(names);
}

void sl_names_attach(lua_State *L, const struct sl_names *names)
{
	lua_pushlightuserdata(L, (void *)names);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
}

const struct sl_names *sl_names_of(lua_State *L)
{
	const struct sl_names *names;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
	names = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return names;
}

const char *sl_names_function(const struct sl_names *names, lua_State *L, int index)
{
	lua_CFunction function = lua_tocfunction(L, index);

	if (!names || !function || !names->n_slots)
		return NULL;
	return names->slots[slot_of(names, function)].name;
}

bool sl_names_is_module(const struct sl_names *names, const char *name)
{
	for (size_t i = 0; names && i < names->n_modules; i++)
		if (strcmp(names->modules[i], name) == 0)
			return true;
	return false;
}

/* Looks in the module table at the top for the value at @index; on success pushes
 * "module.name". [-0, +(0|1), m] */
static bool search_module(lua_State *L, const char *module, int index)
{
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING || !lua_rawequal(L, -1, index))
			continue;
		lua_pushfstring(L, "%s.%s", module, lua_tostring(L, -2));
		lua_replace(L, -3);
		lua_pop(L, 1);
		return true;
	}
	return false;
}

bool sl_names_search(lua_State *L, int index)
{
	int top = lua_gettop(L);
	bool found = false;

	index = lua_absindex(L, index);
	luaL_checkstack(L, 8, "names");
	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	for (lua_pushnil(L); !found && lua_next(L, top + 1); lua_settop(L, top + 2)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			continue;
		if (lua_rawequal(L, -1, index))
			lua_pushvalue(L, -2);
		else if (!lua_istable(L, -1) || strcmp(lua_tostring(L, -2), LUA_GNAME) == 0 ||
			 !search_module(L, lua_tostring(L, -2), index))
			continue; /* _G: what a script puts there is its own */
		lua_replace(L, top + 1);
		found = true;
		break;
	}
	lua_settop(L, found ? top + 1 : top);
	return found;
}

/* [-0, +(0|1), m] */
static bool push_loaded(lua_State *L, const char *name)
{
	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushstring(L, name);
	if (lua_rawget(L, -2) != LUA_TNIL) {
		lua_remove(L, -2);
		return true;
	}
	lua_pop(L, 2);
	return false;
}

/* Pushes the module, or why it isn't here. [-0, +1, e] */
static bool push_module(lua_State *L, const char *name)
{
	if (push_loaded(L, name))
		return true;
	lua_getglobal(L, "require");
	lua_pushstring(L, name);
	return lua_pcall(L, 1, 1, 0) == LUA_OK;
}

/* Replaces the table on the top by its field, which is looked up as a script would: a module
 * may be filled by that. [-1, +(0|1), e] */
static bool take_field(lua_State *L, const char *name)
{
	if (!lua_istable(L, -1)) {
		lua_pop(L, 1);
		return false;
	}
	if (lua_getfield(L, -1, name) != LUA_TNIL) {
		lua_remove(L, -2);
		return true;
	}
	lua_pop(L, 2);
	return false;
}

bool sl_names_push(lua_State *L, const char *name)
{
	const char *dot = strrchr(name, '.');
	lua_CFunction unlisted;

	if (push_loaded(L, name))
		return true;
	unlisted = sl_unlisted_find(name);
	if (unlisted) {
		lua_pushcfunction(L, unlisted);
		return true;
	}
	if (!dot) {
		lua_pushglobaltable(L);
		return take_field(L, name) || push_module(L, name);
	}
	lua_pushlstring(L, name, dot - name);
	if (!push_module(L, lua_tostring(L, -1))) {
		lua_remove(L, -2);
		return false;
	}
	lua_remove(L, -2);
	return take_field(L, dot + 1) || push_module(L, name);
}

static int l_free_names(lua_State *L)
{
	sl_names_free(*(struct sl_names **)lua_touserdata(L, 1));
	return 0;
}

void sl_transfer_learn_names(lua_State *L)
{
	struct sl_names **box = lua_newuserdatauv(L, sizeof(*box), 0);

	*box = NULL;
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, l_free_names);
	lua_setfield(L, -2, "__gc");
	lua_setmetatable(L, -2);
	*box = sl_names_new(L);
	if (!*box)
		luaL_error(L, "not enough memory");
	sl_names_attach(L, *box);
	luaL_ref(L, LUA_REGISTRYINDEX);
}
