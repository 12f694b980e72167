/* SPDX-License-Identifier: MIT */

/*
 * The module fs.
 */

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <string.h>

#include "common/error.h"
#include "lua/modules/environment.h"
#include "lua/modules/fs.h"
#include "lua/modules/modules.h"
#include "lua/modules/result.h"
#include "lua/runtime_inside.h"

/* A path has no zeros in it. */
static const char *check_path(lua_State *L, int arg)
{
	size_t size;
	const char *path = luaL_checklstring(L, arg, &size);

	luaL_argcheck(L, strlen(path) == size, arg, "a path can't have zeros in it");
	return path;
}

static struct sl_bytes check_bytes(lua_State *L, int arg)
{
	struct sl_bytes bytes;

	bytes.data = luaL_checklstring(L, arg, &bytes.size);
	return bytes;
}

static int answer(lua_State *L, int code, const struct sl_error *err)
{
	if (code != 0)
		return sl_result_fail(L, err);
	lua_pushboolean(L, true);
	return 1;
}

/* fs.read(path) */
static int l_read(lua_State *L)
{
	struct sl_buffer content = SL_BUFFER_INIT;
	struct sl_error err;

	if (sl_fs_read(check_path(L, 1), &content, &err) == 0)
		return sl_result_take(L, &content);
	sl_buffer_deinit(&content);
	return sl_result_fail(L, &err);
}

/* fs.write(path, content) */
static int l_write(lua_State *L)
{
	struct sl_error err;

	return answer(L, sl_fs_write(check_path(L, 1), check_bytes(L, 2), &err), &err);
}

/* fs.append(path, content) */
static int l_append(lua_State *L)
{
	struct sl_error err;

	return answer(L, sl_fs_append(check_path(L, 1), check_bytes(L, 2), &err), &err);
}

/* fs.exists(path) */
static int l_exists(lua_State *L)
{
	struct stat found;

	lua_pushboolean(L, sl_fs_stat(check_path(L, 1), true, &found, NULL) == 0);
	return 1;
}

static const char *type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "link";
	case S_IFIFO:
		return "pipe";
	case S_IFSOCK:
		return "socket";
	default:
		return "device";
	}
}

static void set_integer(lua_State *L, const char *name, lua_Integer value)
{
	lua_pushinteger(L, value);
	lua_setfield(L, -2, name);
}

/* fs.stat(path): of what a symbolic link leads to, or of the link if that is nowhere */
static int l_stat(lua_State *L)
{
	const char *path = check_path(L, 1);
	struct stat found;
	struct sl_error err;

	if (sl_fs_stat(path, false, &found, &err) != 0 &&
		sl_fs_stat(path, true, &found, NULL) != 0)
		return sl_result_fail(L, &err);
	lua_createtable(L, 0, 6);
	lua_pushstring(L, type_of(found.st_mode));
	lua_setfield(L, -2, "type");
	set_integer(L, "size", found.st_size);
	set_integer(L, "mode", found.st_mode & 07777);
	set_integer(L, "uid", found.st_uid);
	set_integer(L, "gid", found.st_gid);
	lua_pushnumber(L, (lua_Number)found.st_mtim.tv_sec + found.st_mtim.tv_nsec / 1e9);
	lua_setfield(L, -2, "mtime");
	return 1;
}

/* fs.mkdir(path) */
static int l_mkdir(lua_State *L)
{
	struct sl_error err;

	return answer(L, sl_fs_mkdir(check_path(L, 1), &err), &err);
}

/* fs.remove(path[, {recursive=}]) */
static int l_remove(lua_State *L)
{
	const char *path = check_path(L, 1);
	bool recursive = false;
	struct sl_error err;

	if (!lua_isnoneornil(L, 2)) {
		luaL_checktype(L, 2, LUA_TTABLE);
		lua_getfield(L, 2, "recursive");
		recursive = lua_toboolean(L, -1);
	}
	return answer(L, sl_fs_remove(path, recursive, &err), &err);
}

/* Names come as terminated strings in a buffer: nothing in between may raise. */
static void collect(void *ctx, const char *name)
{
	sl_buffer_append(ctx, name, strlen(name) + 1);
}

/* f(buffer) → array */
static int l_split(lua_State *L)
{
	const struct sl_buffer *names = lua_touserdata(L, 1);
	lua_Integer n = 0;

	lua_newtable(L);
	for (size_t at = 0; at < names->size; at += strlen(names->data + at) + 1) {
		lua_pushstring(L, names->data + at);
		lua_rawseti(L, -2, ++n);
	}
	return 1;
}

static int take_names(lua_State *L, struct sl_buffer *names, int code, struct sl_error *err)
{
	int status;

	if (code == 0 && names->failed)
		code = sl_fail(err, SL_ENOMEM, "not enough memory");
	if (code != 0) {
		sl_buffer_deinit(names);
		return sl_result_fail(L, err);
	}
	lua_pushcfunction(L, l_split);
	lua_pushlightuserdata(L, names);
	status = lua_pcall(L, 1, 1, 0);
	sl_buffer_deinit(names);
	return status == LUA_OK ? 1 : lua_error(L);
}

/* fs.list(path) */
static int l_list(lua_State *L)
{
	struct sl_buffer names = SL_BUFFER_INIT;
	const char *path = check_path(L, 1);
	struct sl_error err;

	return take_names(L, &names, sl_fs_list(path, collect, &names, &err), &err);
}

/* fs.glob(pattern) */
static int l_glob(lua_State *L)
{
	struct sl_buffer names = SL_BUFFER_INIT;
	const char *pattern = check_path(L, 1);
	struct sl_error err;

	return take_names(L, &names, sl_fs_glob(pattern, collect, &names, &err), &err);
}

/* fs.copy(from, to) */
static int l_copy(lua_State *L)
{
	struct sl_error err;

	return answer(L, sl_fs_copy(check_path(L, 1), check_path(L, 2), &err), &err);
}

/* fs.rename(from, to) */
static int l_rename(lua_State *L)
{
	struct sl_error err;

	return answer(L, sl_fs_rename(check_path(L, 1), check_path(L, 2), &err), &err);
}

/* fs.tmp(): a new directory */
static int l_tmp(lua_State *L)
{
	struct sl_buffer place = SL_BUFFER_INIT;
	char path[PATH_MAX];
	struct sl_error err;
	int code;

	if (!sl_environment_get(sl_runtime_of(L)->environment, "TMPDIR", &place) ||
		place.size == 0)
		sl_buffer_append(&place, "/tmp", 4);
	sl_buffer_append(&place, "", 1);
	code = place.failed ? sl_fail(&err, SL_ENOMEM, "not enough memory")
	                    : sl_fs_tmp(place.data, path, sizeof(path), &err);
	sl_buffer_deinit(&place);
	if (code != 0)
		return sl_result_fail(L, &err);
	lua_pushstring(L, path);
	return 1;
}

/* ---- paths as text ---- */

static size_t without_slashes(const char *path, size_t size)
{
	while (size > 1 && path[size - 1] == '/')
		size--;
	return size;
}

/* Where the last part of the path begins. */
static size_t last_part(const char *path, size_t size)
{
	while (size > 0 && path[size - 1] != '/')
		size--;
	return size;
}

/* fs.basename(path) */
static int l_basename(lua_State *L)
{
	const char *path = check_path(L, 1);
	size_t size = without_slashes(path, strlen(path));
	size_t at = size == 1 ? 0 : last_part(path, size);

	lua_pushlstring(L, path + at, size - at);
	return 1;
}

/* fs.dirname(path) */
static int l_dirname(lua_State *L)
{
	const char *path = check_path(L, 1);
	size_t at = last_part(path, without_slashes(path, strlen(path)));

	if (at == 0)
		lua_pushstring(L, path[0] == '/' ? "/" : ".");
	else
		lua_pushlstring(L, path, without_slashes(path, at));
	return 1;
}

/* fs.join(part, ...): a part that begins with a slash begins anew */
static int l_join(lua_State *L)
{
	int n = lua_gettop(L), first = 1;
	const char *last = "";
	luaL_Buffer text;

	for (int i = 1; i <= n; i++)
		if (check_path(L, i)[0] == '/')
			first = i;
	luaL_buffinit(L, &text);
	for (int i = first; i <= n; i++) {
		const char *part = lua_tostring(L, i);

		if (part[0] == '\0')
			continue;
		if (last[0] != '\0' && last[strlen(last) - 1] != '/')
			luaL_addchar(&text, '/');
		luaL_addstring(&text, part);
		last = part;
	}
	luaL_pushresult(&text);
	return 1;
}

int sl_open_fs(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"append", l_append},
		{"basename", l_basename},
		{"copy", l_copy},
		{"dirname", l_dirname},
		{"exists", l_exists},
		{"glob", l_glob},
		{"join", l_join},
		{"list", l_list},
		{"mkdir", l_mkdir},
		{"read", l_read},
		{"remove", l_remove},
		{"rename", l_rename},
		{"stat", l_stat},
		{"tmp", l_tmp},
		{"write", l_write},
		{NULL, NULL},
	};

	luaL_newlib(L, functions);
	return 1;
}
