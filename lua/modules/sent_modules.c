/* SPDX-License-Identifier: MIT */
#include "lua/modules/sent_modules.h"

#include <lauxlib.h>

#include "lua/state/compiled.h"

static struct sl_bytes text_of(const struct sl_table *module, const char *key)
{
	const struct sl_value *value = sl_table_get(module, key);

	return value && value->kind == SL_VALUE_STRING ? value->string : (struct sl_bytes){0};
}

/* Pushes the function that is the module's text. [-0, +1, e] */
static void load(lua_State *L, struct sl_compiled *compiled, const char *name,
	struct sl_bytes file, struct sl_bytes text)
{
	struct sl_compiled_id id = {
		/* The task's text stays where it is. */
		.number = (uint64_t)(uintptr_t)text.data,
		.size = text.size,
	};

	lua_pushliteral(L, "@");
	lua_pushlstring(L, file.data, file.size);
	lua_concat(L, 2);
	id.file = lua_tostring(L, -1);
	if (!sl_compiled_load(compiled, L, &id)) {
		if (luaL_loadbufferx(L, text.data, text.size, id.file, "t") != LUA_OK)
			luaL_error(L, "error loading module '%s':\n\t%s", name,
				lua_tostring(L, -1));
		sl_compiled_keep(compiled, L, &id);
	}
	lua_remove(L, -2);
}

/* A searcher of package.searchers: f(name) → loader, file; or why not */
static int l_search(lua_State *L)
{
	const struct sl_sent_modules *sent = lua_touserdata(L, lua_upvalueindex(1));
	const struct sl_value *modules = sent->of(L), *module = NULL;
	const char *name = luaL_checkstring(L, 1);
	struct sl_bytes file;

	if (modules && modules->kind == SL_VALUE_TABLE)
		module = sl_table_get(modules->table, name);
	if (!module || module->kind != SL_VALUE_TABLE) {
		lua_pushfstring(L, "no module '%s' was sent with the task", name);
		return 1;
	}
	file = text_of(module->table, "file");
	load(L, sl_compiled_of(L), name, file, text_of(module->table, "text"));
	lua_pushlstring(L, file.data, file.size);
	return 2;
}

void sl_sent_modules_open(lua_State *L, const struct sl_sent_modules *sent)
{
	lua_Integer n;

	lua_getfield(L, -1, "searchers");
	/* Behind the first searcher, which is package.preload's. */
	n = (lua_Integer)lua_rawlen(L, -1);
	for (lua_Integer i = n; i >= 2; i--) {
		lua_rawgeti(L, -1, i);
		lua_rawseti(L, -2, i + 1);
	}
	lua_pushlightuserdata(L, (void *)sent);
	lua_pushcclosure(L, l_search, 1);
	lua_rawseti(L, -2, 2);
	lua_pop(L, 1);
}
