/* SPDX-License-Identifier: MIT */
#include "lua/modules/mod_io.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lua/modules/mod_popen.h"
#include "lua/modules/modules.h"
#include "lua/runtime_inside.h"
#include "lua/schedule/scheduler.h"
#include "lua/state/home.h"

/* ---- stdout and stderr: two streams of the process whose bytes become events ---- */

static FILE *streams[3];
static __thread bool output_full; /* the last event was more than the host wants */

static ssize_t write_event(void *cookie, const char *data, size_t size)
{
	int stream = cookie == &streams[2] ? 2 : 1;
	struct sl_worker *worker = sl_worker_self();
	struct sl_goroutine *goroutine = worker ? atomic_load(&worker->running) : NULL;

	if (goroutine && size > 0)
		output_full |= sl_runtime_emit_out(goroutine->runtime, stream, goroutine->id,
			(struct sl_bytes){data, size});
	return (ssize_t)size;
}

static void open_streams(void)
{
	static const cookie_io_functions_t functions = {.write = write_event};

	for (int i = 1; i <= 2; i++) {
		streams[i] = fopencookie(&streams[i], "w", functions);
		if (streams[i])
			setvbuf(streams[i], NULL, _IONBF, 0);
	}
}

void sl_io_flush(void)
{
	for (int i = 1; i <= 2; i++)
		if (streams[i])
			fflush(streams[i]);
}

/* Makes io.stdout or io.stderr, in the table on the top, one of ours. [-0, +0, m] */
static void redirect(lua_State *L, const char *name, FILE *file)
{
	luaL_Stream *stream;

	lua_getfield(L, -1, name);
	stream = luaL_testudata(L, -1, LUA_FILEHANDLE);
	if (stream && file)
		stream->f = file;
	lua_pop(L, 1);
}

/* ---- writing ---- */

static lua_CFunction std_write, std_read, std_close, std_file_write, std_file_read,
	std_file_lines, std_file_close, std_file_leave;

/* Whether @index is one of our streams. */
static FILE *our_stream(lua_State *L, int index)
{
	luaL_Stream *stream = luaL_testudata(L, index, LUA_FILEHANDLE);

	if (!stream || !stream->closef || (stream->f != streams[1] && stream->f != streams[2]))
		return NULL;
	return stream->f;
}

/* Writes the arguments from @first on in one piece, as one event. The stream is at @index, and
 * is what write() returns. */
static int write_joined(lua_State *L, FILE *file, int index, int first)
{
	uint64_t mark = sl_runtime_drain_mark(sl_runtime_of(L));
	int n = lua_gettop(L);
	const char *text;
	size_t size;
	luaL_Buffer buffer;

	luaL_buffinit(L, &buffer);
	for (int i = first; i <= n; i++) {
		luaL_checkstring(L, i);
		lua_pushvalue(L, i);
		luaL_addvalue(&buffer);
	}
	luaL_pushresult(&buffer);
	text = lua_tolstring(L, -1, &size);
	output_full = false;
	fwrite(text, 1, size, file);
	lua_pushvalue(L, index);
	if (!output_full)
		return 1;
	return sl_runtime_wait_drained(L, mark, 1);
}

/* io.write(...) */
static int l_write(lua_State *L)
{
	FILE *file;

	lua_getfield(L, LUA_REGISTRYINDEX, "_IO_output");
	lua_insert(L, 1);
	file = our_stream(L, 1);
	if (file)
		return write_joined(L, file, 1, 2);
	if (sl_popen_is(L, 1))
		return sl_popen_write(L, std_file_write);
	lua_remove(L, 1);
	return std_write(L);
}

/* file:write(...) */
static int l_file_write(lua_State *L)
{
	FILE *file = our_stream(L, 1);

	return file ? write_joined(L, file, 1, 2) : sl_popen_write(L, std_file_write);
}

/* ---- the methods that files of popen()'s do in their own way ---- */

/* file:read(...) */
static int l_file_read(lua_State *L)
{
	return sl_popen_read(L, std_file_read);
}

/* file:lines(...) */
static int l_file_lines(lua_State *L)
{
	return sl_popen_lines(L, std_file_lines, l_file_read);
}

/* file:close() */
static int l_file_close(lua_State *L)
{
	return sl_popen_close(L, std_file_close);
}

/* Puts the default file, "_IO_input" or "_IO_output", in front of the arguments if it is one of
 * popen()'s. [-0, +(0|1), -] */
static bool insert_default(lua_State *L, const char *name)
{
	lua_getfield(L, LUA_REGISTRYINDEX, name);
	if (!sl_popen_is(L, -1)) {
		lua_pop(L, 1);
		return false;
	}
	lua_insert(L, 1);
	return true;
}

/* io.read(...) */
static int l_read(lua_State *L)
{
	return insert_default(L, "_IO_input") ? sl_popen_read(L, std_file_read) : std_read(L);
}

/* io.close([file]) */
static int l_close(lua_State *L)
{
	if (lua_isnone(L, 1))
		insert_default(L, "_IO_output");
	return sl_popen_close(L, std_close);
}

/* __close */
static int l_file_leave(lua_State *L)
{
	return sl_popen_close(L, std_file_leave);
}

/* ---- opening: an open file must be closed when its state goes ---- */

#define OPENS(name)                                                                            \
	static lua_CFunction std_##name;                                                       \
	static int l_##name(lua_State *L)                                                      \
	{                                                                                      \
		sl_home_of(L)->has_finalizers = true;                                          \
		return std_##name(L);                                                          \
	}

OPENS(tmpfile)

static lua_CFunction std_input, std_lines, std_open, std_output;

/* [rwa]%+?b*, as the standard function has it. */
static bool is_mode(const char *mode)
{
	if (*mode == '\0' || !strchr("rwa", *mode))
		return false;
	mode += mode[1] == '+' ? 2 : 1;
	return mode[strspn(mode, "b")] == '\0';
}

/* io.open(name[, mode]) */
static int l_open(lua_State *L)
{
	const char *mode = luaL_optstring(L, 2, "r");

	sl_home_of(L)->has_finalizers = true;
	if (is_mode(mode) && sl_popen_is_pipe(L, 1))
		return sl_popen_named(L, lua_tostring(L, 1), mode);
	return std_open(L);
}

/* Where the first argument is the name of a pipe: makes it the open pipe, or raises. */
static bool replace_name(lua_State *L, const char *mode)
{
	if (!sl_popen_is_pipe(L, 1))
		return false;
	if (sl_popen_named(L, lua_tostring(L, 1), mode) != 1)
		luaL_error(L, "%s", lua_tostring(L, -2));
	lua_replace(L, 1);
	return true;
}

/* io.input([file or name]) */
static int l_input(lua_State *L)
{
	sl_home_of(L)->has_finalizers = true;
	replace_name(L, "r");
	return std_input(L);
}

/* io.output([file or name]) */
static int l_output(lua_State *L)
{
	sl_home_of(L)->has_finalizers = true;
	replace_name(L, "w");
	return std_output(L);
}

/* io.lines([name, ...]) */
static int l_lines(lua_State *L)
{
	sl_home_of(L)->has_finalizers = true;
	if (replace_name(L, "r")) {
		lua_pushvalue(L, 1);
		lua_insert(L, 1);
		lua_pushcfunction(L, l_file_lines);
		lua_insert(L, 2);
		lua_call(L, lua_gettop(L) - 2, 1);
		lua_pushnil(L);
		lua_pushnil(L);
		lua_pushvalue(L, 1);
		return 4; /* the loop closes the last one */
	}
	if (lua_isnoneornil(L, 1) && insert_default(L, "_IO_input")) {
		if (lua_gettop(L) > 1)
			lua_remove(L, 2); /* the name, nil */
		return sl_popen_lines(L, std_file_lines, l_file_read);
	}
	return std_lines(L);
}

/* io.popen(command[, mode]) */
static int l_popen(lua_State *L)
{
	sl_home_of(L)->has_finalizers = true;
	return sl_popen(L);
}

static const struct {
	const char *name;
	lua_CFunction function;
	lua_CFunction *standard;
} replaced[] = {
	{"close", l_close, &std_close},
	{"input", l_input, &std_input},
	{"lines", l_lines, &std_lines},
	{"open", l_open, &std_open},
	{"output", l_output, &std_output},
	{"read", l_read, &std_read},
	{"tmpfile", l_tmpfile, &std_tmpfile},
	{"write", l_write, &std_write},
};

/* Standard Lua's own functions are the same in each state: the first one is asked. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local lua_State *asked;

static lua_CFunction standard(lua_State *L, const char *name)
{
	lua_CFunction function;

	lua_getfield(L, -1, name);
	function = lua_tocfunction(L, -1);
	lua_pop(L, 1);
	return function;
}

/* The table io is on the top. */
static void ask(void)
{
	for (size_t i = 0; i < sizeof(replaced) / sizeof(replaced[0]); i++)
		*replaced[i].standard = standard(asked, replaced[i].name);
	luaL_getmetatable(asked, LUA_FILEHANDLE);
	std_file_leave = standard(asked, "__close");
	lua_getfield(asked, -1, "__index");
	std_file_close = standard(asked, "close");
	std_file_lines = standard(asked, "lines");
	std_file_read = standard(asked, "read");
	std_file_write = standard(asked, "write");
	lua_pop(asked, 2);
	open_streams();
}

int sl_open_io(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"close", l_file_close},
		{"lines", l_file_lines},
		{"read", l_file_read},
		{"write", l_file_write},
		{NULL, NULL},
	};

	luaopen_io(L);
	asked = L;
	pthread_once(&once, ask);
	for (size_t i = 0; i < sizeof(replaced) / sizeof(replaced[0]); i++) {
		lua_pushcfunction(L, replaced[i].function);
		lua_setfield(L, -2, replaced[i].name);
	}
	lua_pushcfunction(L, l_popen);
	lua_setfield(L, -2, "popen");
	redirect(L, "stdout", streams[1]);
	redirect(L, "stderr", streams[2]);

	luaL_getmetatable(L, LUA_FILEHANDLE);
	lua_pushcfunction(L, l_file_leave);
	lua_setfield(L, -2, "__close");
	lua_getfield(L, -1, "__index");
	luaL_setfuncs(L, methods, 0);
	lua_pop(L, 2);
	return 1;
}
