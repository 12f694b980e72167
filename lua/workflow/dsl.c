/* SPDX-License-Identifier: MIT */
#include "lua/workflow/dsl.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/duration.h"
#include "common/error.h"
#include "common/nearest.h"

#define MAX_NAME_BYTES 256
#define MAX_METHODS 32

/* Their addresses are keys in the registry. */
static char lists_key, words_key, module_key;

/* ---- complaints ---- */

/* The Lua code that is running: fills @info and returns its file; NULL when none is. */
static const char *running_file(lua_State *L, lua_Debug *info)
{
	for (int level = 0; lua_getstack(L, level, info); level++) {
		lua_getinfo(L, "Sl", info);
		if (info->currentline > 0)
			return info->source[0] == '@' ? info->source + 1 : info->short_src;
	}
	return NULL;
}

static int running_line(lua_State *L)
{
	lua_Debug info;

	return running_file(L, &info) ? info.currentline : 0;
}

/* Raises "FILE:LINE: " and @text. */
static _Noreturn void raise(lua_State *L, const char *file, int line, const char *text)
{
	lua_pushfstring(L, "%s:%d: %s", file, line, text);
	lua_error(L);
	__builtin_unreachable();
}

/* The same where Lua code is running now. */
static _Noreturn sl_printf(2, 3) void fail_here(lua_State *L, const char *fmt, ...)
{
	char text[512];
	lua_Debug info;
	const char *file;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	file = running_file(L, &info);
	raise(L, file ? file : "?", file ? info.currentline : 0, text);
}

_Noreturn void sl_dsl_complain(lua_State *L, int index, const char *fmt, ...)
{
	struct sl_dsl_object *object = lua_touserdata(L, index);
	char text[512];
	lua_Debug info;
	const char *file;
	va_list args;
	int n;

	n = snprintf(text, sizeof(text), "%s '%.80s': ", object->kind,
		sl_dsl_string(L, index, "name"));
	va_start(args, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, args);
	va_end(args);
	file = running_file(L, &info);
	if (file)
		raise(L, file, object->at_line, text);
	raise(L, sl_dsl_string(L, index, "file"), object->line, text);
}

/* ---- objects ---- */

struct sl_dsl_object *sl_dsl_object(lua_State *L, int index, const char *kind)
{
	return luaL_testudata(L, index, kind);
}

int sl_dsl_push_field(lua_State *L, int index, const char *name)
{
	int type;

	lua_getiuservalue(L, index, 1);
	type = lua_getfield(L, -1, name);
	lua_remove(L, -2);
	return type;
}

const char *sl_dsl_string(lua_State *L, int index, const char *name)
{
	const char *text =
		sl_dsl_push_field(L, index, name) == LUA_TSTRING ? lua_tostring(L, -1) : "";

	lua_pop(L, 1); /* the field keeps it */
	return text;
}

void sl_dsl_set_field(lua_State *L, const char *name)
{
	bool said = sl_dsl_push_field(L, 1, name) != LUA_TNIL;

	lua_pop(L, 1);
	if (said)
		sl_dsl_complain(L, 1, "its %s is set twice: leave one of them out", name);
	lua_getiuservalue(L, 1, 1);
	lua_insert(L, -2);
	lua_setfield(L, -2, name);
	lua_pop(L, 1);
}

void sl_dsl_push_all(lua_State *L, const char *kind)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &lists_key);
	lua_getfield(L, -1, kind);
	lua_remove(L, -2);
}

/* Pushes the object of @kind that has the name at 1. A list has its objects by name, too: a
 * name is never a number. [-0, +(0|1), m] */
static struct sl_dsl_object *find(lua_State *L, const char *kind)
{
	sl_dsl_push_all(L, kind);
	lua_pushvalue(L, 1);
	if (lua_rawget(L, -2) == LUA_TNIL) {
		lua_pop(L, 2);
		return NULL;
	}
	lua_remove(L, -2);
	return lua_touserdata(L, -1);
}

/* Whether the string at @index can name something. */
static bool is_good_text(lua_State *L, int index)
{
	size_t size;
	const char *text = lua_tolstring(L, index, &size);

	if (size == 0 || size > MAX_NAME_BYTES)
		return false;
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return true;
}

static void check_name(lua_State *L, const char *kind)
{
	const char *call = strcmp(kind, SL_DSL_TASK) == 0 ? "task" : "workflow.define";
	if (lua_type(L, 1) != LUA_TSTRING)
		fail_here(L, "%s: expected a name, got %s: write %s(\"name\")", call,
			luaL_typename(L, 1), call);
	if (!is_good_text(L, 1))
		fail_here(L, "%s: a name has 1 to %d bytes and is on one line", call,
			MAX_NAME_BYTES);
}

/* The object at the top, by its number and its name. [-0, +0, m] */
static void append_to_list(lua_State *L, const char *kind)
{
	sl_dsl_push_all(L, kind);
	lua_pushvalue(L, -2);
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
	lua_pushvalue(L, 1);
	lua_pushvalue(L, -3);
	lua_rawset(L, -3);
	lua_pop(L, 1);
}

struct sl_dsl_object *sl_dsl_new(lua_State *L, const char *kind)
{
	struct sl_dsl_object *object;
	lua_Debug info;
	const char *file;

	check_name(L, kind);
	object = find(L, kind);
	if (object)
		fail_here(L,
			"there is a %s '%.80s' already, from %s:%d: give one of them another "
			"name",
			kind, lua_tostring(L, 1), sl_dsl_string(L, -1, "file"), object->line);

	object = lua_newuserdatauv(L, sizeof(*object), 1);
	*object = (struct sl_dsl_object){.kind = kind, .line = running_line(L)};
	object->at_line = object->line;
	lua_newtable(L);
	file = running_file(L, &info);
	lua_pushstring(L, file ? file : "?");
	lua_setfield(L, -2, "file");
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "name");
	lua_setiuservalue(L, -2, 1);
	luaL_setmetatable(L, kind);
	append_to_list(L, kind);
	return object;
}

/* ---- arguments ---- */

void sl_dsl_check_text(lua_State *L, int index, const char *what)
{
	if (lua_type(L, index) != LUA_TSTRING)
		sl_dsl_complain(
			L, 1, "%s: expected a string, got %s", what, luaL_typename(L, index));
	if (!is_good_text(L, index))
		sl_dsl_complain(
			L, 1, "%s: expected 1 to %d bytes on one line", what, MAX_NAME_BYTES);
}

int64_t sl_dsl_duration(lua_State *L, int index, const char *what)
{
	struct sl_error err;
	int64_t ms = 0;
	int rc;

	if (lua_type(L, index) == LUA_TNUMBER)
		rc = sl_duration_from_seconds(lua_tonumber(L, index), &ms, &err);
	else if (lua_type(L, index) == LUA_TSTRING)
		rc = sl_duration_parse(lua_tostring(L, index), &ms, &err);
	else
		sl_dsl_complain(L, 1,
			"%s: expected a duration, got %s: write \"500ms\", \"30s\", \"5m\" or "
			"a "
			"number of seconds",
			what, luaL_typename(L, index));
	if (rc < 0)
		sl_dsl_complain(L, 1, "%s: %s", what, err.text);
	if (ms == 0)
		sl_dsl_complain(L, 1,
			"%s: it must be longer than nothing; leave it out for "
			"no limit",
			what);
	return ms;
}

void sl_dsl_check_keys(lua_State *L, int index, const char *what, const char *example)
{
	if (!lua_istable(L, index))
		sl_dsl_complain(L, 1, "%s: expected a table, got %s: write %s", what,
			luaL_typename(L, index), example);
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
		if (lua_type(L, -2) != LUA_TSTRING)
			sl_dsl_complain(L, 1, "%s: its keys are names, found a %s: write %s",
				what, luaL_typename(L, -2), example);
}

uint64_t sl_dsl_count(lua_State *L, const char *what, uint64_t least, uint64_t most)
{
	int exact = 0;
	lua_Integer n = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &exact) : 0;

	if (!exact || n < 0 || (uint64_t)n < least || (uint64_t)n > most)
		sl_dsl_complain(L, 1, "%s: expected a whole number from %llu to %llu", what,
			(unsigned long long)least, (unsigned long long)most);
	return (uint64_t)n;
}

_Noreturn void sl_dsl_unknown_key(
	lua_State *L, const char *what, const char *key, const char *const *keys)
{
	const char *nearest = sl_nearest(key, keys);

	if (nearest)
		sl_dsl_complain(L, 1, "%s: unknown key '%.40s'; did you mean '%s'?", what, key,
			nearest);
	sl_dsl_complain(L, 1, "%s: unknown key '%.40s'", what, key);
}

void sl_dsl_need(lua_State *L, unsigned word, const char *name)
{
	unsigned words;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &words_key);
	words = (unsigned)lua_tointeger(L, -1);
	lua_pop(L, 1);
	if (word & ~words)
		sl_dsl_complain(L, 1, "%s is not supported by this version", name);
}

/* ---- methods ---- */

static const struct sl_dsl_method *methods_of(const char *kind)
{
	return strcmp(kind, SL_DSL_TASK) == 0 ? sl_dsl_task_methods : sl_dsl_workflow_methods;
}

static _Noreturn void unknown_method(lua_State *L, struct sl_dsl_object *object)
{
	const struct sl_dsl_method *methods = methods_of(object->kind);
	const char *names[MAX_METHODS] = {0};
	const char *word, *nearest = NULL;

	for (size_t i = 0; methods[i].name && i < MAX_METHODS - 1; i++)
		names[i] = methods[i].name;
	word = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
	nearest = sl_nearest(word, names);
	if (nearest)
		sl_dsl_complain(
			L, 1, "unknown method '%.40s'; did you mean '%s'?", word, nearest);
	sl_dsl_complain(L, 1, "unknown method '%.40s'", word);
}

/* object:method(…) → object */
static int l_method(lua_State *L)
{
	const struct sl_dsl_method *method = lua_touserdata(L, lua_upvalueindex(1));
	const char *kind = lua_tostring(L, lua_upvalueindex(2));
	struct sl_dsl_object *object = luaL_testudata(L, 1, kind);

	if (!object)
		fail_here(L, "%s: call it with a colon: a_%s:%s(…)", method->name, kind,
			method->name);
	if (lua_gettop(L) > method->n_arguments + 1)
		sl_dsl_complain(L, 1, "%s: too many arguments, it takes %d", method->name,
			method->n_arguments);
	if (object->order > 0)
		sl_dsl_complain(
			L, 1, "%s: it is built already: build() comes last", method->name);
	lua_settop(L, 3);
	method->set(L);
	lua_settop(L, 1);
	return 1;
}

/* object.method */
static int l_index(lua_State *L)
{
	struct sl_dsl_object *object = lua_touserdata(L, 1);
	const struct sl_dsl_method *method = methods_of(object->kind);
	const char *word = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

	object->at_line = running_line(L);
	while (method->name && strcmp(method->name, word) != 0)
		method++;
	if (!method->name)
		unknown_method(L, object);
	sl_dsl_need(L, method->set ? method->word : ~0U, method->name);
	lua_pushlightuserdata(L, (void *)method);
	lua_pushstring(L, object->kind);
	lua_pushcclosure(L, l_method, 2);
	return 1;
}

static int l_newindex(lua_State *L)
{
	struct sl_dsl_object *object = lua_touserdata(L, 1);

	object->at_line = running_line(L);
	sl_dsl_complain(L, 1, "its fields can't be assigned: say a_%s:%s(…)", object->kind,
		lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "method");
}

static int l_tostring(lua_State *L)
{
	struct sl_dsl_object *object = lua_touserdata(L, 1);

	lua_pushfstring(L, "%s '%s'", object->kind, sl_dsl_string(L, 1, "name"));
	return 1;
}

void sl_dsl_call(lua_State *L, int index, const char *name)
{
	index = lua_absindex(L, index);
	lua_getfield(L, index, name);
	lua_pushvalue(L, index);
	lua_rotate(L, -3, -1);
	lua_call(L, 2, 0);
}

/* ---- the words themselves ---- */

static bool is_word(lua_State *L, int index)
{
	lua_CFunction function = lua_tocfunction(L, index);
	bool is_module;

	if (!lua_istable(L, index))
		return function && (function == sl_dsl_l_task || function == sl_dsl_l_define ||
					   function == l_method);
	index = lua_absindex(L, index);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &module_key);
	is_module = lua_rawequal(L, -1, index);
	lua_pop(L, 1);
	return is_module;
}

const char *sl_dsl_refuse(lua_State *L, int index)
{
	if (is_word(L, index))
		return "it defines tasks, which is done when the file is loaded, and not by a "
		       "task that runs";
	if (sl_dsl_object(L, index, SL_DSL_TASK))
		return "it is a task of this file, which stays here: what it returned is in "
		       "deps, by its name";
	if (sl_dsl_object(L, index, SL_DSL_WORKFLOW))
		return "it is a workflow of this file, which stays here";
	return NULL;
}

static void define_kind(lua_State *L, const char *kind)
{
	static const luaL_Reg events[] = {
		{"__index", l_index},
		{"__newindex", l_newindex},
		{"__tostring", l_tostring},
		{NULL, NULL},
	};

	luaL_newmetatable(L, kind);
	luaL_setfuncs(L, events, 0);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);

	lua_rawgetp(L, LUA_REGISTRYINDEX, &lists_key);
	lua_newtable(L);
	lua_setfield(L, -2, kind);
	lua_pop(L, 1);
}

void sl_dsl_open(lua_State *L, unsigned words)
{
	lua_pushinteger(L, words);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &words_key);
	lua_newtable(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &lists_key);
	define_kind(L, SL_DSL_TASK);
	define_kind(L, SL_DSL_WORKFLOW);

	lua_register(L, "task", sl_dsl_l_task);
	lua_newtable(L);
	lua_pushcfunction(L, sl_dsl_l_define);
	lua_setfield(L, -2, "define");
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, "workflow");
	lua_pop(L, 1);
	lua_setglobal(L, "workflow");
}
