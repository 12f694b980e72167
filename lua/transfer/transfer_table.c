/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "lua/transfer/transfer_walk.h"

static struct sl_pair *add_pair(struct sl_walk *walk, size_t n)
{
	if (n == walk->max_pairs) {
		size_t max = n ? n * 2 : 64;
		struct sl_pair *pairs = realloc(walk->pairs, max * sizeof(*pairs));

		if (!pairs)
			sl_walk_out_of_memory(walk);
		walk->pairs = pairs;
		walk->max_pairs = max;
	}
	return &walk->pairs[n];
}

/* t[1…n] as long as there are values; @self is the node, at @index its table. */
static void fill_array(struct sl_walk *walk, uint32_t self, int index, struct sl_table *table)
{
	lua_State *L = walk->L;
	size_t n = lua_rawlen(L, index);

	table->array = sl_walk_reserve(walk, n, sizeof(*table->array));
	for (size_t i = 1; i <= n; i++) {
		struct sl_step step = {.kind = SL_STEP_FIELD,
			.from = self,
			.label = {.kind = SL_VALUE_INTEGER, .integer = (int64_t)i}};
		bool hole = lua_rawgeti(L, index, (lua_Integer)i) == LUA_TNIL;

		if (!hole)
			table->array[i - 1] = sl_walk_take(walk, index + 1, &step);
		lua_pop(L, 1);
		if (hole)
			break; /* what lies behind it goes with the pairs */
		table->n_array = i;
	}
}

static bool in_array(lua_State *L, int index, size_t n)
{
	return n > 0 && lua_isinteger(L, index) &&
	       (lua_Unsigned)lua_tointeger(L, index) - 1 < n;
}

static void fill_pairs(struct sl_walk *walk, uint32_t self, int index, struct sl_table *table)
{
	lua_State *L = walk->L;
	size_t n = 0;

	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		struct sl_step step = {.kind = SL_STEP_KEY, .from = self};
		struct sl_pair pair;

		if (in_array(L, index + 1, table->n_array))
			continue;
		pair.key = sl_walk_take(walk, index + 1, &step);
		step.kind = SL_STEP_FIELD;
		step.label = pair.key;
		pair.value = sl_walk_take(walk, index + 2, &step);
		*add_pair(walk, n++) = pair;
	}
	if (n == 0)
		return;
	table->pairs = sl_walk_reserve(walk, n, sizeof(*table->pairs));
	memcpy(table->pairs, walk->pairs, n * sizeof(*table->pairs));
	table->n_pairs = n;
}

void sl_walk_fill_table(struct sl_walk *walk, uint32_t self, int index)
{
	struct sl_table *table = walk->nodes[self].value.table;
	struct sl_step step = {.kind = SL_STEP_META, .from = self};
	lua_State *L = walk->L;

	fill_array(walk, self, index, table);
	fill_pairs(walk, self, index, table);
	if (lua_getmetatable(L, index)) {
		struct sl_value meta = sl_walk_take(walk, index + 1, &step);

		if (meta.kind != SL_VALUE_TABLE)
			sl_walk_cannot_send(walk, &step, "a standard module as metatable");
		table->meta = meta.table;
		lua_pop(L, 1);
	}
}
