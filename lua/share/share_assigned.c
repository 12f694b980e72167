/* SPDX-License-Identifier: MIT */
#include <lauxlib.h>
#include <stdlib.h>

#include "common/buffer.h"
#include "lua/code/chunk.h"
#include "lua/share/share.h"
#include "lua/share/share_parts.h"
#include "lua/state/handle.h"

static char chunks_key; /* its address: the key in the registry */

static int append(lua_State *L, const void *data, size_t size, void *buffer)
{
	(void)L;
	return sl_buffer_append(buffer, data, size) ? 0 : 1;
}

/* A chunk as a handle: given back with the state. */
struct chunk_handle {
	struct sl_handle handle; /* first */
	struct sl_chunk *chunk;
};

#define CHUNK_KIND "chunk"

static void free_chunk(struct sl_handle *handle)
{
	sl_chunk_free(((struct chunk_handle *)handle)->chunk);
	free(handle);
}

static void push_chunks(lua_State *L)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &chunks_key) == LUA_TTABLE)
		return;
	lua_pop(L, 1);
	sl_commons_push_weak(L, "k");
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &chunks_key);
}

/* Pushes a userdata with the chunk of the function on the top. [-0, +1, e] */
static void push_chunk(lua_State *L)
{
	struct sl_buffer buffer = SL_BUFFER_INIT;
	struct chunk_handle *holder = calloc(1, sizeof(*holder));

	if (!holder)
		luaL_error(L, "not enough memory");
	holder->handle = (struct sl_handle){.refs = 1, .kind = CHUNK_KIND, .free = free_chunk};
	lua_dump(L, append, &buffer, 0);
	holder->chunk = sl_chunk_read(sl_buffer_bytes(&buffer));
	sl_buffer_deinit(&buffer);
	sl_handle_push_new(L, &holder->handle);
}

/* What the code of the function at @level does; NULL: not known. It is kept as long as the
 * function. */
static const struct sl_chunk *calling_chunk(lua_State *L, int level)
{
	const struct sl_chunk *chunk;
	lua_Debug info;

	if (!lua_getstack(L, level, &info) || !lua_getinfo(L, "f", &info))
		return NULL;
	if (lua_iscfunction(L, -1)) {
		lua_pop(L, 1);
		return NULL;
	}
	push_chunks(L);
	lua_pushvalue(L, -2);
	if (lua_rawget(L, -2) != LUA_TUSERDATA) {
		lua_pop(L, 1);
		lua_pushvalue(L, -2);
		push_chunk(L);
		lua_pushvalue(L, -2);
		lua_pushvalue(L, -2);
		lua_rawset(L, -5);
		lua_remove(L, -2);
	}
	chunk = ((struct chunk_handle *)sl_handle_at(L, -1))->chunk;
	lua_pop(L, 3);
	return chunk;
}

bool sl_share_may_be_assigned(lua_State *L, int level, int index, int i)
{
	const struct sl_chunk *chunk = calling_chunk(L, level);
	lua_Debug info;

	if (!chunk)
		return true;
	lua_pushvalue(L, index);
	lua_getinfo(L, ">S", &info);
	return sl_chunk_may_assign(chunk, info.linedefined, info.lastlinedefined, i);
}
