/* SPDX-License-Identifier: MIT */
#include "lua/state/unlisted.h"

#include <string.h>

#include "lua/modules/modules.h"
#include "lua/sync/channel.h"
#include "lua/sync/channel_calls.h"
#include "lua/sync/primitives.h"

/* Beside the methods of the primitives. */
static const struct {
	const char *kind;
	const luaL_Reg *functions;
} others[] = {
	{SL_CHANNEL_KIND, sl_channel_unlisted},
	{"http", sl_http_unlisted},
};

static bool each_of(const char *kind, const luaL_Reg *functions,
	bool (*fn)(void *ctx, const char *kind, const luaL_Reg *function), void *ctx)
{
	for (; functions->name; functions++)
		if (!fn(ctx, kind, functions))
			return false;
	return true;
}

bool sl_unlisted_each(
	bool (*fn)(void *ctx, const char *kind, const luaL_Reg *function), void *ctx)
{
	const char *kind;

	for (size_t i = 0; (kind = sl_primitive_kind(i)) != NULL; i++)
		if (!each_of(kind, sl_primitive_methods(kind), fn, ctx))
			return false;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!each_of(others[i].kind, others[i].functions, fn, ctx))
			return false;
	return true;
}

struct search {
	const char *name, *colon;
	lua_CFunction found;
};

static bool look_at(void *ctx, const char *kind, const luaL_Reg *function)
{
	struct search *search = ctx;
	size_t size = (size_t)(search->colon - search->name);

	if (strlen(kind) == size && memcmp(kind, search->name, size) == 0 &&
		strcmp(function->name, search->colon + 1) == 0)
		search->found = function->func;
	return !search->found;
}

lua_CFunction sl_unlisted_find(const char *name)
{
	struct search search = {.name = name, .colon = strchr(name, ':')};

	if (search.colon)
		sl_unlisted_each(look_at, &search);
	return search.found;
}
