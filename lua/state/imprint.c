/* SPDX-License-Identifier: MIT */
#include "lua/state/imprint.h"

#include <lauxlib.h>
#include <pthread.h>
#include <string.h>

/* A larger one is not worth its memory. */
#define MOST_BYTES ((size_t)1 << 20)

/* ---- what Lua 5.4 has in memory ---- */

struct value {
	uint64_t bits; /* integer, float's bits or address */
	unsigned char type;
};

struct node {
	uint64_t bits; /* of the value */
	unsigned char type, key_type;
	int next;
	uint64_t key;
};

struct table {
	void *next;
	unsigned char type, marked, flags, log2_nodes;
	unsigned n_array; /* or a hint below it */
	struct value *array;
	struct node *nodes;
};

struct string {
	void *next;
	unsigned char type, marked, extra, short_size;
	unsigned hash;
	size_t long_size; /* of a long one only */
	char text[];
};

enum {
	IS_HINT = 0x80, /* in flags: n_array is one */
	VARIANT = 0x0f, /* of a type: without */
	TYPE_FALSE = LUA_TBOOLEAN,
	TYPE_TRUE = LUA_TBOOLEAN | 0x10,
	TYPE_INTEGER = LUA_TNUMBER,
	TYPE_FLOAT = LUA_TNUMBER | 0x10,
	TYPE_SHORT = LUA_TSTRING | 0x40,
	TYPE_LONG = LUA_TSTRING | 0x50,
};

#define HALF UINT64_C(0x3fe0000000000000) /* 0.5 */

static const struct table *table_at(lua_State *L, int index)
{
	return lua_topointer(L, index);
}

static size_t count_nodes(const struct table *table)
{
	return (size_t)1 << table->log2_nodes;
}

static size_t count_array(const struct table *table)
{
	size_t n = table->n_array;

	if (!(table->flags & IS_HINT) || (n & (n - 1)) == 0)
		return n;
	return (size_t)1 << (64 - __builtin_clzl(n));
}

/* ---- is it so? ---- */

static bool is_string(lua_State *L, int index, unsigned char type)
{
	const struct string *string = lua_topointer(L, index);
	size_t size;
	const char *text = lua_tolstring(L, index, &size);

	return string->type == (type & 0x3f) && string->text == text &&
	       (type == TYPE_SHORT ? string->short_size == size : string->long_size == size);
}

/* Leaves a table and two strings that are keys of it on the stack. [-0, +3, m] */
static void make_sample(lua_State *L)
{
	lua_createtable(L, 3, 4);
	lua_pushliteral(L, "short");
	lua_pushliteral(L, "a text that is longer than those of which Lua has one only");
	for (int i = 2; i <= 3; i++) {
		lua_pushvalue(L, i);
		lua_pushinteger(L, 22 * i);
		lua_rawset(L, 1);
	}
	lua_pushinteger(L, 88);
	lua_rawseti(L, 1, 1000);
	lua_pushnumber(L, 0.5);
	lua_pushinteger(L, 99);
	lua_rawset(L, 1);
	lua_pushinteger(L, 11);
	lua_rawseti(L, 1, 1);
	lua_pushboolean(L, true);
	lua_rawseti(L, 1, 2);
	lua_pushnumber(L, 0.5);
	lua_rawseti(L, 1, 3);
}

static bool has_node(
	const struct table *table, uint64_t key, unsigned char key_type, uint64_t bits)
{
	for (size_t i = 0; i < count_nodes(table); i++) {
		const struct node *node = &table->nodes[i];

		if (node->key == key && node->key_type == key_type)
			return node->type == TYPE_INTEGER && node->bits == bits;
	}
	return false;
}

static bool looks_right(lua_State *L)
{
	const struct table *table = table_at(L, 1);
	const struct value *array = table->array;

	return table->log2_nodes == 2 && count_array(table) == 3 && array[0].bits == 11 &&
	       array[0].type == TYPE_INTEGER && array[1].type == TYPE_TRUE &&
	       array[2].type == TYPE_FLOAT && is_string(L, 2, TYPE_SHORT) &&
	       is_string(L, 3, TYPE_LONG) &&
	       has_node(table, (uintptr_t)lua_topointer(L, 2), TYPE_SHORT, 44) &&
	       has_node(table, (uintptr_t)lua_topointer(L, 3), TYPE_LONG, 66) &&
	       has_node(table, 1000, TYPE_INTEGER, 88) && has_node(table, HALF, TYPE_FLOAT, 99);
}

static bool is_known; /* immutable once learned */

static void learn(void)
{
	lua_State *L = luaL_newstate();

	_Static_assert(sizeof(struct value) == 16 && sizeof(struct node) == 24, "Lua 5.4");
	if (!L)
		return;
	make_sample(L);
	is_known = looks_right(L);
	lua_close(L);
}

/* ---- imprints ---- */

/* First the values of the array, then the nodes. */
struct sl_imprint {
	size_t n_array;
	unsigned char log2_nodes;
	_Alignas(8) char bytes[];
};

static size_t array_bytes(size_t n)
{
	return n * sizeof(struct value);
}

static size_t node_bytes(unsigned log2_nodes)
{
	return sizeof(struct node) << log2_nodes;
}

size_t sl_imprint_size(lua_State *L, int index)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const struct table *table = table_at(L, index);
	size_t n;

	pthread_once(&once, learn);
	if (!is_known || table->log2_nodes > 24)
		return 0;
	n = array_bytes(count_array(table)) + node_bytes(table->log2_nodes);
	return n <= MOST_BYTES ? sizeof(struct sl_imprint) + n : 0;
}

void sl_imprint_take(struct sl_imprint *imprint, lua_State *L, int index)
{
	const struct table *table = table_at(L, index);
	size_t n = count_array(table);

	imprint->n_array = n;
	imprint->log2_nodes = table->log2_nodes;
	if (n > 0)
		memcpy(imprint->bytes, table->array, array_bytes(n));
	memcpy(imprint->bytes + array_bytes(n), table->nodes, node_bytes(table->log2_nodes));
}

bool sl_imprint_fits(const struct sl_imprint *imprint, lua_State *L, int index)
{
	const struct table *table = table_at(L, index);

	return imprint->log2_nodes == table->log2_nodes &&
	       imprint->n_array == count_array(table);
}

bool sl_imprint_is_same(const struct sl_imprint *imprint, lua_State *L, int index)
{
	const struct table *table = table_at(L, index);
	size_t n = array_bytes(imprint->n_array);

	return sl_imprint_fits(imprint, L, index) &&
	       memcmp(imprint->bytes + n, table->nodes, node_bytes(table->log2_nodes)) == 0 &&
	       (n == 0 || memcmp(imprint->bytes, table->array, n) == 0);
}

/* ---- changes ---- */

/* So many values or nodes are passed over at once if they are what they were. */
enum {
	BLOCK = 32
};

struct visit {
	lua_State *L;
	void (*fn)(void *ctx, lua_State *L);
	void *ctx;
};

static void push_string(lua_State *L, uint64_t address, unsigned char type)
{
	const struct string *string = (const struct string *)(uintptr_t)address;

	lua_pushlstring(
		L, string->text, type == TYPE_SHORT ? string->short_size : string->long_size);
}

/* Visits the key of @node, which has a value; false: it is one that can't be pushed. */
static bool visit_key(const struct visit *visit, struct node node)
{
	lua_State *L = visit->L;
	double number;

	switch (node.key_type) {
	case TYPE_FALSE:
	case TYPE_TRUE:
		lua_pushboolean(L, node.key_type == TYPE_TRUE);
		break;
	case TYPE_INTEGER:
		lua_pushinteger(L, (lua_Integer)node.key);
		break;
	case TYPE_FLOAT:
		memcpy(&number, &node.key, sizeof(number));
		lua_pushnumber(L, number);
		break;
	case TYPE_SHORT:
	case TYPE_LONG:
		push_string(L, node.key, node.key_type);
		break;
	default:
		return false;
	}
	visit->fn(visit->ctx, L);
	lua_pop(L, 1);
	return true;
}

static bool has_value(const struct node *node)
{
	return (node->type & VARIANT) != LUA_TNIL;
}

static void visit_array(
	const struct visit *visit, const struct sl_imprint *imprint, const struct table *table)
{
	const struct value *was = (const struct value *)imprint->bytes;

	for (size_t i = 0; i < imprint->n_array; i++) {
		if (i % BLOCK == 0 && i + BLOCK <= imprint->n_array &&
			memcmp(&was[i], &table->array[i], BLOCK * sizeof(*was)) == 0) {
			i += BLOCK - 1;
			continue;
		}
		if (memcmp(&was[i], &table->array[i], sizeof(*was)) == 0)
			continue;
		lua_pushinteger(visit->L, (lua_Integer)i + 1);
		visit->fn(visit->ctx, visit->L);
		lua_pop(visit->L, 1);
	}
}

/* A node that differs may have had one key and have another now. */
static bool visit_nodes(
	const struct visit *visit, const struct sl_imprint *imprint, const struct table *table)
{
	const char *nodes = imprint->bytes + array_bytes(imprint->n_array);

	for (size_t i = 0; i < count_nodes(table); i++) {
		struct node was, is;

		if (i % BLOCK == 0 && i + BLOCK <= count_nodes(table) &&
			memcmp(nodes + i * sizeof(was), &table->nodes[i],
				BLOCK * sizeof(was)) == 0) {
			i += BLOCK - 1;
			continue;
		}
		if (memcmp(nodes + i * sizeof(was), &table->nodes[i], sizeof(was)) == 0)
			continue;
		memcpy(&was, nodes + i * sizeof(was), sizeof(was));
		if (has_value(&was) && !visit_key(visit, was))
			return false;
		is = table->nodes[i];
		if (has_value(&is) &&
			(!has_value(&was) || is.key != was.key ||
				is.key_type != was.key_type) &&
			!visit_key(visit, is))
			return false;
	}
	return true;
}

bool sl_imprint_each_change(const struct sl_imprint *imprint, lua_State *L, int index,
	void (*fn)(void *ctx, lua_State *L), void *ctx)
{
	const struct table *table = table_at(L, index);
	const struct visit visit = {L, fn, ctx};

	if (!sl_imprint_fits(imprint, L, index))
		return false;
	visit_array(&visit, imprint, table);
	return visit_nodes(&visit, imprint, table);
}
