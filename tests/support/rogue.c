/* SPDX-License-Identifier: MIT */

/*
 * rogue: a Lua module in C that does to its process what C modules can do.
 */
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int luaopen_rogue(lua_State *L);

/* rogue.fork(): 0 in the new process */
static int l_fork(lua_State *L)
{
	lua_pushinteger(L, fork());
	return 1;
}

/* rogue.exit(status): as a library that gives up */
static int l_exit(lua_State *L)
{
	exit((int)luaL_checkinteger(L, 1));
}

/* rogue.crash() */
static int l_crash(lua_State *L)
{
	(void)L;
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
	return 0;
}

/* rogue.puts(text): past everything that Lua knows of output */
static int l_puts(lua_State *L)
{
	puts(luaL_checkstring(L, 1));
	return 0;
}

/* rogue.write(fd, bytes) */
static int l_write(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 2, &size);

	lua_pushboolean(L, write((int)luaL_checkinteger(L, 1), bytes, size) == (ssize_t)size);
	return 1;
}

int luaopen_rogue(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"fork", l_fork},
		{"exit", l_exit},
		{"crash", l_crash},
		{"puts", l_puts},
		{"write", l_write},
		{NULL, NULL},
	};

	luaL_newlib(L, functions);
	return 1;
}
