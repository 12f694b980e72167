/* SPDX-License-Identifier: MIT */
#include "lua/modules/module_files.h"

#include <lauxlib.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "lua/state/compiled.h"

enum {
	PACKAGE = 1, /* upvalues of the searcher */
	SEARCHPATH,
	LUA_FILES = 2, /* which of the searchers it is, from 1 */
};

/* A file that was written just now may be written once more within one tick of its clock. */
#define SETTLED_NS INT64_C(2000000000)

static int64_t nanoseconds(struct timespec time)
{
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* Which text @file has now. False: that can't be told, or may not stay so. */
static bool identify(const char *file, struct sl_compiled_id *out)
{
	struct stat st;

	if (stat(file, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	*out = (struct sl_compiled_id){
		.file = file,
		.device = st.st_dev,
		.number = st.st_ino,
		.size = (uint64_t)st.st_size,
		.written_ns = nanoseconds(st.st_mtim),
		.changed_ns = nanoseconds(st.st_ctim),
	};
	return out->written_ns + SETTLED_NS < sl_clock_wall_us() * 1000;
}

/* Pushes the function or a message. Bytecode that somebody has put there is loaded as Lua does
 * it, and not kept: what is kept was compiled here. [-0, +1, m] */
static bool read_file(lua_State *L, const char *file, bool *out_is_text)
{
	*out_is_text = luaL_loadfilex(L, file, "t") == LUA_OK;
	if (*out_is_text)
		return true;
	if (luaL_loadfilex(L, file, "b") == LUA_OK) {
		lua_remove(L, -2);
		return true;
	}
	lua_pop(L, 1);
	return false;
}

/* [-0, +1, e] */
static void load(lua_State *L, struct sl_compiled *compiled, const char *name, const char *file)
{
	struct sl_compiled_id before, after;
	bool known = identify(file, &before), is_text;

	if (known && sl_compiled_load(compiled, L, &before))
		return;
	if (!read_file(L, file, &is_text))
		luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, file,
			lua_tostring(L, -1));
	if (known && is_text && identify(file, &after) && sl_compiled_same(&before, &after))
		sl_compiled_keep(compiled, L, &after);
}

/* A searcher of package.searchers: f(name) → loader, file; or why not */
static int l_search(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	lua_pushvalue(L, lua_upvalueindex(SEARCHPATH));
	lua_pushstring(L, name);
	lua_getfield(L, lua_upvalueindex(PACKAGE), "path");
	if (!lua_isstring(L, -1))
		return luaL_error(L, "'package.path' must be a string");
	lua_call(L, 2, 2);
	if (lua_isnil(L, -2))
		return 1;
	lua_pop(L, 1);
	load(L, sl_compiled_of(L), name, lua_tostring(L, -1));
	lua_insert(L, -2);
	return 2;
}

void sl_module_files_open(lua_State *L)
{
	lua_getfield(L, -1, "searchers");
	lua_pushvalue(L, -2);
	lua_getfield(L, -3, "searchpath");
	lua_pushcclosure(L, l_search, 2);
	lua_rawseti(L, -2, LUA_FILES);
	lua_pop(L, 1);
}
