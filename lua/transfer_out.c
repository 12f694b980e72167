/* SPDX-License-Identifier: MIT */

/*
 * The way out of a state. A walk in breadth, without recursion: what is
 * reachable becomes a node of the parcel when it is first met, and is filled
 * when its turn comes. Each node remembers how it was reached, so that a value
 * that can't go is named by its way.
 *
 * It runs in protected mode, because Lua may run out of memory at nearly each
 * step; what it holds besides is in struct walk and freed outside.
 */

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "lua/chunk.h"
#include "lua/finalizer.h"
#include "lua/handle.h"
#include "lua/home.h"
#include "lua/json.h"
#include "lua/names.h"
#include "lua/share.h"
#include "lua/transfer.h"

enum step_kind {
	STEP_ROOT,    /* the i-th of the values that were asked for */
	STEP_FIELD,   /* t[label] */
	STEP_KEY,     /* label is a key of t */
	STEP_META,    /* the metatable of t */
	STEP_UPVALUE, /* label names a captured variable */
	STEP_GLOBAL,  /* label names a global that a function uses */
};

struct step {
	enum step_kind kind;
	uint32_t from; /* node; STEP_ROOT: which value */
	struct sl_value label;
};

/* A table or function that has been met. */
struct node {
	struct sl_value value; /* table or function of the parcel */
	struct step step;
};

/* Lua's identity of something → what it became here. */
struct memo {
	const void *key; /* NULL: free */
	union {
		uint32_t node;
		struct sl_cell *cell;
	};
};

struct walk {
	lua_State *L;
	const struct sl_transfer *how;
	const struct sl_names *names;
	struct sl_parcel *parcel;
	const char *what;
	bool numbered; /* the roots are "what #1", "what #2", … */
	size_t n_roots;
	struct sl_value *out;
	struct sl_error error; /* why it stopped, when code is set */

	struct node *nodes;
	uint32_t n_nodes, max_nodes;
	struct memo *memo; /* open addressing */
	size_t n_memo, max_memo;
	struct sl_pair *pairs; /* scratch of the table being filled */
	size_t max_pairs;
	struct sl_buffer chunk; /* scratch: the dump of a function */

	/* The standard modules' tables, and the script's own globals; looked up at first need.
	 */
	const void *modules[32];
	const char *module_names[32];
	int n_modules; /* -1: not yet */
};

/* Stack slots in protected mode. */
enum {
	SLOT_WALK = 1,
	SLOT_VALUES, /* table: node's number → its Lua value */
	SLOT_ROOTS,  /* the first value */
};

static struct sl_value string_value(struct sl_bytes bytes)
{
	return (struct sl_value){.kind = SL_VALUE_STRING, .string = bytes};
}

static _Noreturn void out_of_memory(struct walk *walk)
{
	walk->error.code = SL_ENOMEM;
	lua_pushliteral(walk->L, "not enough memory");
	lua_error(walk->L);
	__builtin_unreachable();
}

/* The parcel is full, or memory is. */
static _Noreturn void no_room(struct walk *walk)
{
	sl_fail(&walk->error, SL_ETOO_LARGE, "cannot send %s %s: too large (%zu bytes so far)",
		walk->what, walk->how->to, sl_parcel_size(walk->parcel));
	lua_pushnil(walk->L);
	lua_error(walk->L);
	__builtin_unreachable();
}

static void *reserve(struct walk *walk, size_t n, size_t size)
{
	void *at = sl_parcel_array(walk->parcel, n, size);

	if (!at)
		no_room(walk);
	return at;
}

static struct sl_bytes copy_bytes(struct walk *walk, struct sl_bytes bytes)
{
	if (!sl_parcel_copy(walk->parcel, bytes, &bytes))
		no_room(walk);
	return bytes;
}

/* ---- naming the way to a value that can't go ---- */

static bool is_identifier(struct sl_bytes text)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (!letter && !(i > 0 && c >= '0' && c <= '9'))
			return false;
	}
	return text.size > 0;
}

static void write_label(struct sl_buffer *way, struct sl_value label, bool first)
{
	switch (label.kind) {
	case SL_VALUE_STRING:
		if (is_identifier(label.string))
			sl_buffer_printf(way, "%s%.*s", first ? "" : ".",
				(int)label.string.size, label.string.data);
		else
			sl_buffer_printf(
				way, "[\"%.*s\"]", (int)label.string.size, label.string.data);
		break;
	case SL_VALUE_INTEGER:
		sl_buffer_printf(way, "[%lld]", (long long)label.integer);
		break;
	case SL_VALUE_FLOAT:
		sl_buffer_printf(way, "[%.14g]", label.number);
		break;
	case SL_VALUE_BOOLEAN:
		sl_buffer_printf(way, "[%s]", label.boolean ? "true" : "false");
		break;
	default:
		sl_buffer_printf(way, "[?]");
	}
}

static void write_step(struct sl_buffer *way, const struct step *step)
{
	bool first = way->size == 0;

	if (step->kind == STEP_META)
		sl_buffer_printf(way, "%s<metatable>", first ? "" : ".");
	else if (step->kind == STEP_KEY)
		sl_buffer_printf(way, "%s<key>", first ? "" : ".");
	else if (step->kind != STEP_ROOT)
		write_label(way, step->label, first);
}

/* Writes the steps that lead to @last, the first one first; returns that one. */
static const struct step *write_way(
	struct walk *walk, struct sl_buffer *way, const struct step *last)
{
	enum {
		MOST = 64
	};
	const struct step *steps[MOST], *first = last;
	size_t n = 0;

	for (const struct step *s = last; s->kind != STEP_ROOT;
		s = &walk->nodes[s->from].step) {
		steps[n++ % MOST] = s;
		first = s;
	}
	if (n > MOST)
		sl_buffer_printf(way, "…");
	for (size_t i = n; i > 0 && n - i < MOST; i--)
		write_step(way, steps[(n > MOST ? i - 1 + n - MOST : i - 1) % MOST]);
	return first;
}

static uint32_t root_of(struct walk *walk, const struct step *step)
{
	while (step->kind != STEP_ROOT)
		step = &walk->nodes[step->from].step;
	return step->from;
}

static _Noreturn void cannot_send(struct walk *walk, const struct step *step, const char *why)
{
	struct sl_buffer way = SL_BUFFER_INIT;
	const struct step *first = write_way(walk, &way, step);
	char what[64];

	if (first->kind == STEP_UPVALUE)
		snprintf(what, sizeof(what), "upvalue");
	else if (first->kind == STEP_GLOBAL)
		snprintf(what, sizeof(what), "global");
	else if (walk->numbered)
		snprintf(what, sizeof(what), "%s #%u", walk->what, root_of(walk, step) + 1);
	else
		snprintf(what, sizeof(what), "%s", walk->what);

	sl_fail(&walk->error, SL_EINVALID, "cannot send %s%s%.*s%s %s: %s", what,
		way.size > 0 ? " '" : "", (int)way.size, way.size > 0 ? way.data : "",
		way.size > 0 ? "'" : "", walk->how->to, why);
	sl_buffer_deinit(&way);
	lua_pushnil(walk->L);
	lua_error(walk->L);
	__builtin_unreachable();
}

/* ---- what has been met ---- */

static struct memo *memo_find(struct walk *walk, const void *key)
{
	size_t at = ((uintptr_t)key >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 20;

	for (;; at++) {
		struct memo *memo = &walk->memo[at & (walk->max_memo - 1)];

		if (!memo->key || memo->key == key)
			return memo;
	}
}

static void memo_grow(struct walk *walk)
{
	struct memo *old = walk->memo;
	size_t n_old = walk->max_memo;
	size_t n = n_old ? n_old * 4 : 64;
	struct memo *bigger = calloc(n, sizeof(*bigger));

	if (!bigger)
		out_of_memory(walk);
	walk->memo = bigger;
	walk->max_memo = n;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].key)
			*memo_find(walk, old[i].key) = old[i];
	free(old);
}

/* The memo of @key; a fresh one has no key yet, and the caller gives it one. */
static struct memo *memo_of(struct walk *walk, const void *key)
{
	if (walk->n_memo * 2 >= walk->max_memo)
		memo_grow(walk);
	return memo_find(walk, key);
}

/* Makes @value, for the Lua value at @index, a node that will be filled. */
static struct sl_value add_node(struct walk *walk, struct memo *memo, int index,
	struct sl_value value, const struct step *step)
{
	if (walk->n_nodes == walk->max_nodes) {
		uint32_t max = walk->max_nodes ? walk->max_nodes * 2 : 32;
		struct node *nodes = realloc(walk->nodes, max * sizeof(*nodes));

		if (!nodes)
			out_of_memory(walk);
		walk->nodes = nodes;
		walk->max_nodes = max;
	}
	memo->key = lua_topointer(walk->L, index);
	memo->node = walk->n_nodes;
	walk->n_memo++;
	walk->nodes[walk->n_nodes++] = (struct node){.value = value, .step = *step};
	lua_pushvalue(walk->L, index);
	lua_rawseti(walk->L, SLOT_VALUES, walk->n_nodes);
	return value;
}

/* ---- one value ---- */

static struct sl_value named(struct walk *walk, const char *name)
{
	return (struct sl_value){
		.kind = SL_VALUE_NAMED, .string = copy_bytes(walk, sl_bytes_of(name))};
}

/* What is found in package.loaded goes by name; nil where it is not. */
static struct sl_value search_name(struct walk *walk, int index)
{
	struct sl_value value = {0};

	if (sl_names_search(walk->L, index)) {
		value = named(walk, lua_tostring(walk->L, -1));
		lua_pop(walk->L, 1);
	}
	return value;
}

/* A module that is not standard counts as one in C when it has a function in C of its own. */
static bool is_c_module(struct walk *walk, int index)
{
	lua_State *L = walk->L;

	index = lua_absindex(L, index);
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		if (lua_iscfunction(L, -1) && !sl_names_function(walk->names, L, -1)) {
			lua_pop(L, 2);
			return true;
		}
	}
	return false;
}

static void learn_modules(struct walk *walk)
{
	lua_State *L = walk->L;

	walk->n_modules = 0;
	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		const char *name;

		if (lua_type(L, -2) != LUA_TSTRING || !lua_istable(L, -1))
			continue;
		name = lua_tostring(L, -2);
		if (!sl_names_is_module(walk->names, name) && !is_c_module(walk, -1))
			continue;
		if (walk->n_modules == sizeof(walk->modules) / sizeof(walk->modules[0]))
			continue; /* rare; copied by value */
		walk->modules[walk->n_modules] = lua_topointer(L, -1);
		walk->module_names[walk->n_modules++] = name;
	}
	lua_pop(L, 1);
}

static const char *module_name(struct walk *walk, const void *table)
{
	if (walk->n_modules < 0)
		learn_modules(walk);
	for (int i = 0; i < walk->n_modules; i++)
		if (walk->modules[i] == table)
			return walk->module_names[i];
	return NULL;
}

static struct sl_value take_table(struct walk *walk, int index, const struct step *step)
{
	const void *identity = lua_topointer(walk->L, index);
	struct memo *memo = memo_of(walk, identity);
	struct sl_table *table;
	const char *name;

	if (memo->key)
		return walk->nodes[memo->node].value;
	name = module_name(walk, identity);
	if (name)
		return named(walk, name);
	table = reserve(walk, 1, sizeof(*table));
	if (walk->how->shared)
		table->share = sl_share_number(walk->L, index);
	return add_node(walk, memo, index,
		(struct sl_value){.kind = SL_VALUE_TABLE, .table = table}, step);
}

static struct sl_value take_function(struct walk *walk, int index, const struct step *step);

static struct sl_value take_c_function(struct walk *walk, int index, const struct step *step)
{
	const char *name = sl_names_function(walk->names, walk->L, index);
	struct sl_value value;

	if (sl_finalizer_is_guarded(walk->L, index)) {
		/* The function that is guarded; it stays where it is while the walk goes on. */
		lua_getupvalue(walk->L, index, 1);
		value = take_function(walk, lua_gettop(walk->L), step);
		lua_pop(walk->L, 1);
		return value;
	}
	if (name)
		return named(walk, name);
	value = search_name(walk, index);
	if (value.kind == SL_VALUE_NIL)
		cannot_send(walk, step, "function in C that no module exports");
	return value;
}

static struct sl_value take_function(struct walk *walk, int index, const struct step *step)
{
	struct memo *memo;

	if (lua_iscfunction(walk->L, index))
		return take_c_function(walk, index, step);
	memo = memo_of(walk, lua_topointer(walk->L, index));
	if (memo->key)
		return walk->nodes[memo->node].value;
	return add_node(walk, memo, index,
		(struct sl_value){.kind = SL_VALUE_FUNCTION,
			.function = reserve(walk, 1, sizeof(struct sl_function))},
		step);
}

static struct sl_value take_handle(
	struct walk *walk, struct sl_handle *handle, const struct step *step)
{
	char why[80];

	if (!walk->how->handles) {
		snprintf(why, sizeof(why), "a %s lives inside its task", handle->kind);
		cannot_send(walk, step, why);
	}
	if (!sl_parcel_hold(walk->parcel, handle))
		no_room(walk);
	return (struct sl_value){.kind = SL_VALUE_HANDLE, .handle = handle};
}

static _Noreturn void cannot_send_userdata(
	struct walk *walk, int index, const struct step *step)
{
	lua_State *L = walk->L;
	luaL_Stream *file = luaL_testudata(L, index, LUA_FILEHANDLE);
	char why[80] = "userdata";

	if (file)
		cannot_send(walk, step, file->closef ? "open file" : "closed file");
	if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
		snprintf(why, sizeof(why), "userdata (%s)", lua_tostring(L, -1));
	cannot_send(walk, step, why);
}

static struct sl_value take_userdata(struct walk *walk, int index, const struct step *step)
{
	struct sl_handle *handle = sl_handle_at(walk->L, index);
	struct sl_value value;

	/* Other modules have the same for their null. */
	if (lua_islightuserdata(walk->L, index) &&
		lua_touserdata(walk->L, index) == SL_JSON_NULL)
		return named(walk, "json.null");
	if (handle)
		return take_handle(walk, handle, step);
	value = search_name(walk, index);
	if (value.kind == SL_VALUE_NIL)
		cannot_send_userdata(walk, index, step);
	return value;
}

static struct sl_value take_string(struct walk *walk, int index)
{
	size_t size;
	const char *data = lua_tolstring(walk->L, index, &size);

	return string_value(copy_bytes(walk, (struct sl_bytes){data, size}));
}

static struct sl_value take_number(struct walk *walk, int index)
{
	if (lua_isinteger(walk->L, index))
		return (struct sl_value){
			.kind = SL_VALUE_INTEGER, .integer = lua_tointeger(walk->L, index)};
	return (struct sl_value){
		.kind = SL_VALUE_FLOAT, .number = lua_tonumber(walk->L, index)};
}

/* The value at @index, which is not relative to the top. */
static struct sl_value take(struct walk *walk, int index, const struct step *step)
{
	switch (lua_type(walk->L, index)) {
	case LUA_TNIL:
		return (struct sl_value){0};
	case LUA_TBOOLEAN:
		return (struct sl_value){
			.kind = SL_VALUE_BOOLEAN, .boolean = lua_toboolean(walk->L, index)};
	case LUA_TNUMBER:
		return take_number(walk, index);
	case LUA_TSTRING:
		return take_string(walk, index);
	case LUA_TTABLE:
		return take_table(walk, index, step);
	case LUA_TFUNCTION:
		return take_function(walk, index, step);
	case LUA_TTHREAD:
		cannot_send(walk, step, "coroutine");
	default:
		return take_userdata(walk, index, step);
	}
}

/* ---- filling a table ---- */

static struct sl_pair *add_pair(struct walk *walk, size_t n)
{
	if (n == walk->max_pairs) {
		size_t max = n ? n * 2 : 64;
		struct sl_pair *pairs = realloc(walk->pairs, max * sizeof(*pairs));

		if (!pairs)
			out_of_memory(walk);
		walk->pairs = pairs;
		walk->max_pairs = max;
	}
	return &walk->pairs[n];
}

/* t[1…n] as long as there are values; @self is the node, at @index its table. */
static void fill_array(struct walk *walk, uint32_t self, int index, struct sl_table *table)
{
	lua_State *L = walk->L;
	size_t n = lua_rawlen(L, index);

	table->array = reserve(walk, n, sizeof(*table->array));
	for (size_t i = 1; i <= n; i++) {
		struct step step = {.kind = STEP_FIELD,
			.from = self,
			.label = {.kind = SL_VALUE_INTEGER, .integer = (int64_t)i}};
		bool hole = lua_rawgeti(L, index, (lua_Integer)i) == LUA_TNIL;

		if (!hole)
			table->array[i - 1] = take(walk, index + 1, &step);
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

static void fill_pairs(struct walk *walk, uint32_t self, int index, struct sl_table *table)
{
	lua_State *L = walk->L;
	size_t n = 0;

	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		struct step step = {.kind = STEP_KEY, .from = self};
		struct sl_pair pair;

		if (in_array(L, index + 1, table->n_array))
			continue;
		pair.key = take(walk, index + 1, &step);
		step.kind = STEP_FIELD;
		step.label = pair.key;
		pair.value = take(walk, index + 2, &step);
		*add_pair(walk, n++) = pair;
	}
	if (n == 0)
		return;
	table->pairs = reserve(walk, n, sizeof(*table->pairs));
	memcpy(table->pairs, walk->pairs, n * sizeof(*table->pairs));
	table->n_pairs = n;
}

static void fill_table(struct walk *walk, uint32_t self, int index)
{
	struct sl_table *table = walk->nodes[self].value.table;
	struct step step = {.kind = STEP_META, .from = self};
	lua_State *L = walk->L;

	fill_array(walk, self, index, table);
	fill_pairs(walk, self, index, table);
	if (lua_getmetatable(L, index)) {
		struct sl_value meta = take(walk, index + 1, &step);

		if (meta.kind != SL_VALUE_TABLE)
			cannot_send(walk, &step, "a standard module as metatable");
		table->meta = meta.table;
		lua_pop(L, 1);
	}
}

/* ---- filling a function ---- */

static int append_chunk(lua_State *L, const void *data, size_t size, void *buffer)
{
	(void)L;
	return sl_buffer_append(buffer, data, size) ? 0 : 1;
}

static void dump(struct walk *walk, int index)
{
	lua_pushvalue(walk->L, index);
	sl_buffer_clear(&walk->chunk);
	if (lua_dump(walk->L, append_chunk, &walk->chunk, 0) != 0)
		out_of_memory(walk);
	lua_pop(walk->L, 1);
}

static void fill_code(struct walk *walk, uint32_t self, int index)
{
	struct sl_function *function = walk->nodes[self].value.function;
	struct sl_error why = {0};

	dump(walk, index);
	if (walk->how->cut) {
		if (walk->how->cut(walk->how->ctx, walk->L, index, walk->parcel, function,
			    &why) != 0) {
			struct step step = walk->nodes[self].step;

			cannot_send(walk, &step, why.text);
		}
		return;
	}
	function->binary = true; /* it says itself where it was written */
	function->text = copy_bytes(walk, sl_buffer_bytes(&walk->chunk));
}

/* Whether the upvalue on the top is the standard _ENV, which a text finds by itself. */
static bool is_plain_env(lua_State *L, const char *name)
{
	bool same;

	if (strcmp(name, "_ENV") != 0)
		return false;
	lua_pushglobaltable(L);
	same = lua_rawequal(L, -1, -2);
	lua_pop(L, 1);
	return same;
}

static struct sl_cell *take_cell(struct walk *walk, int index, int n, const struct step *step)
{
	void *identity = lua_upvalueid(walk->L, index, n);
	struct memo *memo = memo_of(walk, identity);
	struct sl_cell *cell = memo->cell;

	if (memo->key)
		return cell;
	cell = reserve(walk, 1, sizeof(*cell));
	memo->key = identity;
	memo->cell = cell;
	walk->n_memo++;
	cell->value = take(walk, index + 1, step);
	return cell;
}

static int count_upvalues(lua_State *L, int index)
{
	lua_Debug info;

	lua_pushvalue(L, index);
	lua_getinfo(L, ">u", &info);
	return info.nups;
}

static void fill_upvalues(struct walk *walk, uint32_t self, int index)
{
	struct sl_function *function = walk->nodes[self].value.function;
	int n = count_upvalues(walk->L, index);

	function->upvalues = reserve(walk, n, sizeof(*function->upvalues));
	for (int i = 1; i <= n; i++) {
		const char *name = lua_getupvalue(walk->L, index, i);
		struct sl_upvalue *upvalue = &function->upvalues[function->n_upvalues];

		if (function->binary || !is_plain_env(walk->L, name)) {
			struct step step = {.kind = STEP_UPVALUE, .from = self};

			upvalue->name = copy_bytes(walk, sl_bytes_of(name));
			step.label = string_value(upvalue->name);
			upvalue->cell = take_cell(walk, index, i, &step);
			function->n_upvalues++;
		}
		lua_pop(walk->L, 1);
	}
}

/* ---- the script's own globals ---- */

/* Whether the global called @name, with the value on the top, is something that the script
 * made. [-0, +0, -] */
static bool is_own_global(struct walk *walk, struct sl_bytes name)
{
	lua_State *L = walk->L;
	bool standard;

	if (lua_iscfunction(L, -1))
		return !sl_names_function(walk->names, L, -1);
	if (lua_isstring(L, -1))
		return !sl_bytes_equal(name, sl_bytes_of("_VERSION"));
	if (!lua_istable(L, -1))
		return true;
	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushlstring(L, name.data, name.size);
	lua_rawget(L, -2);
	standard = lua_rawequal(L, -1, -3);
	lua_pop(L, 2);
	return !standard;
}

/* The globals of one function, found by the names in its code. */
struct found {
	struct walk *walk;
	int globals; /* stack slot of _G; above it the names found so far, in a table */
	size_t n;
};

static void find_global(void *ctx, struct sl_bytes name)
{
	struct found *found = ctx;
	lua_State *L = found->walk->L;

	lua_pushlstring(L, name.data, name.size);
	lua_pushvalue(L, -1);
	if (lua_rawget(L, found->globals) != LUA_TNIL && is_own_global(found->walk, name)) {
		if (found->n++ == 0) {
			lua_newtable(L);
			lua_replace(L, found->globals + 1);
		}
		lua_rawset(L, found->globals + 1);
	} else {
		lua_pop(L, 2);
	}
}

static void fill_globals(struct walk *walk, uint32_t self, int index)
{
	struct sl_function *function = walk->nodes[self].value.function;
	struct found found = {.walk = walk, .globals = index + 1};
	lua_State *L = walk->L;

	lua_pushglobaltable(L);
	lua_pushnil(L);
	sl_chunk_each_name(sl_buffer_bytes(&walk->chunk), find_global, &found);
	if (found.n > 0) {
		function->globals = reserve(walk, found.n, sizeof(*function->globals));
		for (lua_pushnil(L); lua_next(L, index + 2); lua_pop(L, 1)) {
			struct step step = {.kind = STEP_GLOBAL, .from = self};
			struct sl_pair *pair = &function->globals[function->n_globals];

			pair->key = take_string(walk, index + 3);
			step.label = pair->key;
			pair->value = take(walk, index + 4, &step);
			function->n_globals++;
		}
	}
	lua_settop(L, index);
}

static void fill_function(struct walk *walk, uint32_t self, int index)
{
	fill_code(walk, self, index);
	fill_globals(walk, self, index);
	fill_upvalues(walk, self, index);
}

/* ---- what a new goroutine shares ---- */

static void share_upvalues(struct walk *walk, struct sl_function *function, int index)
{
	struct sl_share **share = walk->how->share;

	for (size_t i = 0; i < function->n_upvalues; i++) {
		struct sl_cell *cell = function->upvalues[i].cell;

		if (!cell->share)
			cell->share =
				sl_share_capture_upvalue(walk->L, index, (int)i + 1, share);
	}
}

static void share_globals(struct walk *walk, struct sl_function *function)
{
	size_t n = function->n_globals;

	if (n == 0)
		return;
	function->global_shares = reserve(walk, n, sizeof(uint64_t));
	for (size_t i = 0; i < n; i++)
		if (function->globals[i].value.kind != SL_VALUE_FUNCTION)
			function->global_shares[i] = sl_share_capture_global(walk->L,
				function->globals[i].key.string.data, walk->how->share);
}

/* The first @n nodes are what the function of the new goroutine captured. */
static void share_captured(struct walk *walk, uint32_t n)
{
	lua_State *L = walk->L;

	for (uint32_t i = 0; i < n; i++) {
		struct sl_value value = walk->nodes[i].value;
		int index = lua_gettop(L) + 1;

		lua_rawgeti(L, SLOT_VALUES, i + 1);
		if (value.kind == SL_VALUE_TABLE) {
			value.table->share = sl_share_capture_table(L, index, walk->how->share);
		} else {
			share_upvalues(walk, value.function, index);
			share_globals(walk, value.function);
		}
		lua_settop(L, index - 1);
	}
}

/* Fills the nodes from the @i-th on, and those that are met on the way. */
static uint32_t fill_nodes(struct walk *walk, uint32_t i)
{
	lua_State *L = walk->L;

	for (; i < walk->n_nodes; i++) {
		int index = lua_gettop(L) + 1;

		lua_rawgeti(L, SLOT_VALUES, i + 1);
		if (walk->nodes[i].value.kind == SL_VALUE_TABLE)
			fill_table(walk, i, index);
		else
			fill_function(walk, i, index);
		lua_settop(L, index - 1);
	}
	return i;
}

/* f(walk, values, roots…) */
static int l_walk(lua_State *L)
{
	struct walk *walk = lua_touserdata(L, SLOT_WALK);

	struct sl_value *out = reserve(walk, walk->n_roots, sizeof(*out));
	uint32_t n_filled = 0, n_captured = 0;

	lua_createtable(L, 8, 0);
	lua_replace(L, SLOT_VALUES);
	for (size_t i = 0; i < walk->n_roots; i++) {
		struct step step = {.kind = STEP_ROOT, .from = (uint32_t)i};

		out[i] = take(walk, SLOT_ROOTS + (int)i, &step);
		if (i == 0 && walk->how->share)
			n_captured = n_filled = fill_nodes(walk, 0);
	}
	fill_nodes(walk, n_filled);
	if (walk->how->share)
		share_captured(walk, n_captured);
	memcpy(walk->out, out, walk->n_roots * sizeof(*out));
	return 0;
}

static int walk_protected(struct walk *walk, int first)
{
	lua_State *L = walk->L;
	int status;

	first = lua_absindex(L, first);
	if (walk->n_roots > 100000 || !lua_checkstack(L, (int)walk->n_roots + 32))
		return sl_fail(&walk->error, SL_ETOO_LARGE, "cannot send %s %s: %zu values",
			walk->what, walk->how->to, walk->n_roots);
	lua_pushcfunction(L, l_walk);
	lua_pushlightuserdata(L, walk);
	lua_pushnil(L);
	for (size_t i = 0; i < walk->n_roots; i++)
		lua_pushvalue(L, first + (int)i);

	status = lua_pcall(L, (int)walk->n_roots + 2, 0, 0);
	if (status == LUA_OK)
		return 0;
	if (walk->error.code == SL_OK || walk->error.code == SL_ENOMEM)
		sl_fail(&walk->error, status == LUA_ERRMEM ? SL_ENOMEM : SL_EINVALID,
			"cannot send %s %s: %s", walk->what, walk->how->to,
			lua_isstring(L, -1) ? lua_tostring(L, -1) : "failed");
	lua_pop(L, 1);
	return walk->error.code;
}

static int walk_all(struct walk *walk, int first, struct sl_error *err)
{
	lua_State *L = walk->L;
	bool careful = sl_home_may_finalize(L) && lua_gc(L, LUA_GCISRUNNING);
	int code;

	/* A finalizer could change what is being walked. To stop the collector has a price: it
	 * forgets what credit it had, and works at each of the next allocations. */
	if (careful)
		lua_gc(L, LUA_GCSTOP);
	code = walk_protected(walk, first);
	if (careful)
		lua_gc(L, LUA_GCRESTART);

	free(walk->nodes);
	free(walk->memo);
	free(walk->pairs);
	sl_buffer_deinit(&walk->chunk);
	if (code != 0 && err)
		*err = walk->error;
	return code;
}

static struct walk walk_of(
	lua_State *L, const char *what, const struct sl_transfer *how, struct sl_parcel *parcel)
{
	return (struct walk){.L = L,
		.how = how,
		.names = sl_names_of(L),
		.parcel = parcel,
		.what = what,
		.n_modules = -1};
}

int sl_transfer_out(lua_State *L, int index, const char *what, const struct sl_transfer *how,
	struct sl_parcel *parcel, struct sl_value *out, struct sl_error *err)
{
	struct walk walk = walk_of(L, what, how, parcel);
	struct sl_value value = {0};
	int code;

	walk.n_roots = 1;
	walk.out = &value;
	code = walk_all(&walk, index, err);
	if (code == 0)
		*out = value;
	return code;
}

int sl_transfer_out_many(lua_State *L, int first, size_t n, const char *what,
	const struct sl_transfer *how, struct sl_parcel *parcel, struct sl_value *out,
	struct sl_error *err)
{
	struct walk walk = walk_of(L, what, how, parcel);

	if (n == 0)
		return 0;
	walk.n_roots = n;
	walk.numbered = true;
	walk.out = out;
	return walk_all(&walk, first, err);
}
