/* SPDX-License-Identifier: MIT */
#include "lua/modules/mod_popen.h"

#include <ctype.h>
#include <errno.h>
#include <lauxlib.h>
#include <stdatomic.h>
#include <string.h>

#include "common/error.h"
#include "lua/modules/modules.h"
#include "lua/modules/pipe.h"
#include "lua/runtime_inside.h"

/* More is not read ahead: the rest comes as it is taken. */
#define MAX_AHEAD ((size_t)16 << 20)

/* Longest numeral that Lua reads. */
#define MAX_NUMERAL 200

struct popen_file {
	luaL_Stream stream; /* first: what io knows of it */
	struct sl_pipe *pipe;
	bool by_file; /* the FILE has been read: it may keep something */
};

/* Its end without close(): the variable is gone, or the goroutine. */
static int l_drop(lua_State *L)
{
	struct popen_file *file = lua_touserdata(L, 1);

	sl_pipe_free(sl_steal(file->pipe), atomic_load(&sl_goroutine_of(L)->stopping));
	lua_pushboolean(L, true);
	return 1;
}

/* NULL if it is another one, or closed. */
static struct popen_file *file_at(lua_State *L, int index)
{
	struct popen_file *file = luaL_testudata(L, index, LUA_FILEHANDLE);

	return file && file->stream.closef == l_drop ? file : NULL;
}

static struct popen_file *file_of(lua_State *L)
{
	return file_at(L, 1);
}

bool sl_popen_is(lua_State *L, int index)
{
	return file_at(L, index) != NULL;
}

/* Pushes a file without a pipe. [-0, +1, m] */
static struct popen_file *push_file(lua_State *L)
{
	struct popen_file *file = lua_newuserdatauv(L, sizeof(*file), 0);

	*file = (struct popen_file){.pipe = NULL};
	luaL_setmetatable(L, LUA_FILEHANDLE);
	return file;
}

static int opened(struct popen_file *file)
{
	file->stream.f = sl_pipe_file(file->pipe);
	file->stream.closef = l_drop;
	return 1;
}

int sl_popen(lua_State *L)
{
	const char *command = luaL_checkstring(L, 1);
	const char *mode = luaL_optstring(L, 2, "r");
	struct sl_runtime *runtime = sl_runtime_of(L);
	struct sl_pipe_ask ask = {command, mode[0] == 'w', runtime->environment};
	struct popen_file *file;
	struct sl_error err;

	luaL_argcheck(
		L, (mode[0] == 'r' || mode[0] == 'w') && mode[1] == '\0', 2, "invalid mode");
	file = push_file(L);
	if (sl_pipe_open(runtime->reactor, &ask, &file->pipe, &err) == 0)
		return opened(file);
	luaL_pushfail(L);
	lua_pushfstring(L, "%s: %s", command, err.text);
	lua_pushinteger(L, err.code);
	return 3;
}

/* ---- named pipes ---- */

bool sl_popen_is_pipe(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TSTRING && sl_pipe_is_at(lua_tostring(L, index));
}

int sl_popen_named(lua_State *L, const char *path, const char *mode)
{
	struct popen_file *file = push_file(L);
	struct sl_error err;
	int code;

	if (mode[1] == '+')
		code = sl_fail(&err, SL_EINVALID,
			"%s: a pipe can be read or be written to, not both", path);
	else
		code = sl_pipe_open_named(
			sl_runtime_of(L)->reactor, path, mode[0] != 'r', &file->pipe, &err);
	if (code == 0)
		return opened(file);
	luaL_pushfail(L);
	lua_pushstring(L, err.text);
	lua_pushinteger(L, code);
	return 3;
}

/* ---- reading: enough is fetched first, then the standard function reads it ---- */

/* Where a numeral that begins at @at or behind spaces ends; -1: that isn't seen yet. */
static ssize_t end_of_numeral(struct sl_bytes text, size_t at)
{
	size_t begin;

	while (at < text.size && isspace((unsigned char)text.data[at]))
		at++;
	for (begin = at; at < text.size && at - begin < MAX_NUMERAL; at++)
		if (!isalnum((unsigned char)text.data[at]) && !strchr("+-.", text.data[at]))
			return (ssize_t)at;
	return at - begin >= MAX_NUMERAL ? (ssize_t)at : -1;
}

/* Where what the format at @index reads from @at ends; -1: that isn't there yet. */
static ssize_t end_of_format(lua_State *L, int index, struct sl_bytes text, size_t at)
{
	const char *format, *end;
	lua_Integer n;

	if (lua_type(L, index) == LUA_TNUMBER) {
		n = lua_tointeger(L, index);
		if (n < 1)
			n = 1;
		return (size_t)n <= text.size - at ? (ssize_t)(at + (size_t)n) : -1;
	}
	format = lua_isnoneornil(L, index) ? "l" : luaL_checkstring(L, index);
	if (*format == '*')
		format++;
	switch (*format) {
	case 'n':
		return end_of_numeral(text, at);
	case 'a':
		return -1;
	case 'l':
	case 'L':
		end = at < text.size ? memchr(text.data + at, '\n', text.size - at) : NULL;
		return end ? end + 1 - text.data : -1;
	default:
		return (ssize_t)at; /* an error, which is told in its turn */
	}
}

static bool has_enough(lua_State *L, const struct sl_pipe *pipe)
{
	struct sl_bytes text = sl_pipe_ahead(pipe);
	int n = lua_gettop(L);
	ssize_t at = 0;

	if (text.size > MAX_AHEAD)
		return true;
	for (int i = 2; i <= n && at >= 0; i++)
		at = end_of_format(L, i, text, (size_t)at);
	return (n > 1 ? at : end_of_format(L, n + 1, text, 0)) >= 0;
}

/* What the only format asks for, a line ('l' or 'L') or some bytes ('b'); 0: anything else. */
static char simple_format(lua_State *L)
{
	const char *format;

	if (lua_gettop(L) > 2)
		return 0;
	if (lua_isnone(L, 2))
		return 'l';
	if (lua_type(L, 2) == LUA_TNUMBER)
		return lua_isinteger(L, 2) && lua_tointeger(L, 2) > 0 ? 'b' : 0;
	format = luaL_checkstring(L, 2);
	if (*format == '*')
		format++;
	return *format == 'l' || *format == 'L' ? *format : 0;
}

/* Pushes what is asked for, when it is all there: the standard function asks the FILE for each
 * byte of a line. */
static bool read_ahead(lua_State *L, struct popen_file *file)
{
	char kind = file->by_file ? 0 : simple_format(L);
	struct sl_bytes text = sl_pipe_ahead(file->pipe);
	ssize_t end = kind ? end_of_format(L, 2, text, 0) : -1;

	if (end < 0)
		return false;
	/* First: what runs when memory is collected may read, too. */
	sl_pipe_take(file->pipe, (size_t)end);
	lua_pushlstring(L, text.data, (size_t)end - (kind == 'l'));
	return true;
}

static int read_on(lua_State *L, int status, lua_KContext standard)
{
	struct popen_file *file = file_of(L);
	enum sl_pipe_answer answer = SL_PIPE_OK;

	(void)status;
	while (file && answer == SL_PIPE_OK && !has_enough(L, file->pipe))
		answer = sl_pipe_fetch(file->pipe);
	if (answer != SL_PIPE_WAIT) {
		if (file && read_ahead(L, file))
			return 1;
		if (file)
			file->by_file = true;
		return ((lua_CFunction)standard)(L);
	}
	sl_goroutine_prepare(L, &sl_pipe_wait_kind, file->pipe, 0);
	return sl_goroutine_wait(L, standard, read_on);
}

int sl_popen_read(lua_State *L, lua_CFunction standard)
{
	struct popen_file *file = file_of(L);

	if (!file || sl_pipe_writes(file->pipe))
		return standard(L);
	return read_on(L, LUA_OK, (lua_KContext)standard);
}

/* The iterator of lines(): upvalues are the function read, how many arguments, and those. */
static int l_next(lua_State *L)
{
	int n = (int)lua_tointeger(L, lua_upvalueindex(2));

	lua_settop(L, 0);
	luaL_checkstack(L, n, "too many arguments");
	for (int i = 0; i < n; i++)
		lua_pushvalue(L, lua_upvalueindex(3 + i));
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

int sl_popen_lines(lua_State *L, lua_CFunction standard, lua_CFunction read)
{
	int n = lua_gettop(L);

	if (!file_of(L))
		return standard(L);
	luaL_argcheck(L, n <= 250, 252, "too many arguments");
	lua_pushcfunction(L, read);
	lua_pushinteger(L, n);
	lua_rotate(L, 1, 2);
	lua_pushcclosure(L, l_next, n + 2);
	return 1;
}

/* ---- writing ---- */

/* How far it is: which argument, and how much of it. */
#define PLACE(arg, at) (((lua_KContext)(arg) << 40) | (lua_KContext)(at))

static int write_on(lua_State *L, int status, lua_KContext place)
{
	struct popen_file *file = file_of(L);
	int arg = (int)(place >> 40);
	size_t at = (size_t)(place & ((INT64_C(1) << 40) - 1)), n;

	(void)status;
	if (!file)
		return luaL_error(L, "attempt to use a closed file");
	for (; arg <= lua_gettop(L); arg++, at = 0) {
		struct sl_bytes text;

		text.data = lua_tolstring(L, arg, &text.size);
		while (at < text.size) {
			struct sl_bytes rest = {text.data + at, text.size - at};
			enum sl_pipe_answer answer = sl_pipe_put(file->pipe, rest, &n);

			if (answer == SL_PIPE_END)
				return luaL_fileresult(L, 0, NULL);
			if (answer == SL_PIPE_OK) {
				at += n;
				continue;
			}
			sl_goroutine_prepare(L, &sl_pipe_wait_kind, file->pipe, 0);
			return sl_goroutine_wait(L, PLACE(arg, at), write_on);
		}
	}
	lua_pushvalue(L, 1);
	return 1;
}

int sl_popen_write(lua_State *L, lua_CFunction standard)
{
	struct popen_file *file = file_of(L);
	int n = lua_gettop(L);

	if (!file || !sl_pipe_writes(file->pipe))
		return standard(L);
	for (int i = 2; i <= n; i++)
		luaL_checkstring(L, i);
	return write_on(L, LUA_OK, PLACE(2, 0));
}

/* ---- closing ---- */

static int close_on(lua_State *L, int status, lua_KContext ctx)
{
	struct popen_file *file = file_of(L);
	struct sl_process_end end;
	bool named;

	(void)status;
	if (!file)
		return luaL_error(L, "attempt to use a closed file");
	if (sl_pipe_close(file->pipe, &end) == SL_PIPE_WAIT) {
		sl_goroutine_prepare(L, &sl_pipe_wait_kind, file->pipe, 0);
		return sl_goroutine_wait(L, ctx, close_on);
	}
	file->stream.closef = NULL; /* what io takes for closed */
	named = sl_pipe_is_named(file->pipe);
	sl_pipe_free(sl_steal(file->pipe), false);
	if (!named)
		return sl_exec_push_end(L, end);
	lua_pushboolean(L, true);
	return 1;
}

int sl_popen_close(lua_State *L, lua_CFunction standard)
{
	return file_of(L) ? close_on(L, LUA_OK, 0) : standard(L);
}
