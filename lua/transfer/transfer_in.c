/* SPDX-License-Identifier: MIT */

/*
 * The way into a state: nodes of the parcel become tables and functions when
 * they are first met and are filled when their turn comes, without recursion.
 * The marks in the parcel say which number a node has here.
 *
 * It runs in protected mode; what it holds besides is in struct build.
 */

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/task.h"
#include "lua/share/share.h"
#include "lua/state/finalizer.h"
#include "lua/state/handle.h"
#include "lua/state/home.h"
#include "lua/state/names.h"
#include "lua/transfer/transfer.h"

/* The last line of a file on which we believe a function to begin. */
#define LAST_LINE 10000000

/* What building a text function may execute: the few instructions that make the closure. */
#define PRELUDE_INSTRUCTIONS 16

/* Which variable of a function wants what is being made, or led to it: for messages. */
struct need {
	const char *kind; /* "upvalue", "global"; NULL: none, it was asked for itself */
	struct sl_bytes name;
};

struct build {
	lua_State *L;
	const struct sl_value *values;
	size_t n_values;
	struct sl_error error;

	struct sl_value *nodes; /* tables and functions, in the order of their numbers */
	struct need *needs;     /* of the same numbers */
	uint32_t n_nodes, max_nodes;
	struct need need; /* of what is being made now */
	bool has_meta;
	bool is_new;                 /* the state of a goroutine that begins */
	struct sl_bytes agent, task; /* for messages; empty: not known */
};

enum {
	SLOT_BUILD = 1,
	SLOT_NODES, /* table: number → value */
};

static _Noreturn void stop(struct build *build, enum sl_code code, const char *why)
{
	sl_fail(&build->error, code, "%s", why);
	lua_pushnil(build->L);
	lua_error(build->L);
	__builtin_unreachable();
}

/* Gives the node on the top of the stack a number, to be filled later. [-0, +0, m] */
static uint32_t add_node(struct build *build, struct sl_value value)
{
	if (build->n_nodes == build->max_nodes) {
		uint32_t max = build->max_nodes ? build->max_nodes * 2 : 32;
		struct sl_value *nodes = realloc(build->nodes, max * sizeof(*nodes));
		struct need *needs;

		if (!nodes)
			stop(build, SL_ENOMEM, "not enough memory");
		build->nodes = nodes;
		needs = realloc(build->needs, max * sizeof(*needs));
		if (!needs)
			stop(build, SL_ENOMEM, "not enough memory");
		build->needs = needs;
		build->max_nodes = max;
	}
	build->needs[build->n_nodes] = build->need;
	build->nodes[build->n_nodes++] = value;
	lua_pushvalue(build->L, -1);
	lua_rawseti(build->L, SLOT_NODES, build->n_nodes);
	return build->n_nodes;
}

/* ---- functions ---- */

/* Hands lua_load() an empty line for each that comes before the text in its file, then what
 * declares the captured variables, then the text. */
struct source {
	size_t n_lines;
	struct sl_bytes head, text;
};

static const char *read_source(lua_State *L, void *data, size_t *size)
{
	static const char lines[] = "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
				    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n";
	struct source *source = data;
	struct sl_bytes *next = source->head.size > 0 ? &source->head : &source->text;
	struct sl_bytes piece = *next;

	(void)L;
	if (source->n_lines > 0) {
		*size = source->n_lines < sizeof(lines) - 1 ? source->n_lines
		                                            : sizeof(lines) - 1;
		source->n_lines -= *size;
		return lines;
	}
	next->size = 0;
	*size = piece.size;
	return piece.size > 0 ? piece.data : NULL;
}

/* Pushes "local a,b return ". [-0, +1, m] */
static void push_head(lua_State *L, const struct sl_function *function)
{
	luaL_Buffer buffer;

	luaL_buffinit(L, &buffer);
	for (size_t i = 0; i < function->n_upvalues; i++) {
		luaL_addstring(&buffer, i == 0 ? "local " : ",");
		luaL_addlstring(&buffer, function->upvalues[i].name.data,
			function->upvalues[i].name.size);
	}
	luaL_addstring(&buffer, " return ");
	luaL_pushresult(&buffer);
}

static void stop_prelude(lua_State *L, lua_Debug *info)
{
	(void)info;
	luaL_error(L, "the text is not a function");
}

/* Runs the chunk on the top, which makes the function. It may do nothing else: it sees no
 * globals yet and gets a few instructions only. [-1, +1, e] */
static void run_prelude(struct build *build)
{
	lua_State *L = build->L;
	lua_Hook hook = lua_gethook(L);
	int mask = lua_gethookmask(L), count = lua_gethookcount(L);
	int status;

	lua_pushnil(L);
	lua_setupvalue(L, -2, 1);
	lua_sethook(L, stop_prelude, LUA_MASKCOUNT, PRELUDE_INSTRUCTIONS);
	status = lua_pcall(L, 0, 1, 0);
	lua_sethook(L, hook, mask, count);
	if (status == LUA_ERRMEM)
		stop(build, SL_ENOMEM, "not enough memory");
	if (status != LUA_OK || !lua_isfunction(L, -1) || lua_iscfunction(L, -1))
		stop(build, SL_EINVALID, "what should be a function's text is something else");
}

/* Gives the function on the top its globals back. They are one variable for all functions that
 * the chunk made. [-0, +0, -] */
static void set_env(lua_State *L)
{
	const char *name;

	for (int i = 1; (name = lua_getupvalue(L, -1, i)); i++) {
		lua_pop(L, 1);
		if (strcmp(name, "_ENV") != 0)
			continue;
		lua_pushglobaltable(L);
		lua_setupvalue(L, -2, i);
	}
}

/* [-0, +1, e] */
static void compile_text(struct build *build, const struct sl_function *function)
{
	lua_State *L = build->L;
	struct source source = {.text = function->text};

	if (function->line < 1 || function->line > LAST_LINE)
		stop(build, SL_EINVALID, "a function with an impossible line number");
	source.n_lines = function->line - 1;
	lua_pushliteral(L, "@");
	lua_pushlstring(L, function->file.data, function->file.size);
	lua_concat(L, 2);
	push_head(L, function);
	source.head.data = lua_tolstring(L, -1, &source.head.size);
	if (lua_load(L, read_source, &source, lua_tostring(L, -2), "t") != LUA_OK)
		stop(build, SL_EINVALID, lua_tostring(L, -1));
	run_prelude(build);
	set_env(L);
	lua_replace(L, -3);
	lua_pop(L, 1);
}

/* [-0, +1, e] */
static void load_binary(struct build *build, const struct sl_function *function)
{
	if (luaL_loadbufferx(build->L, function->text.data, function->text.size, "=?", "b") !=
		LUA_OK)
		stop(build, SL_ENOMEM, lua_tostring(build->L, -1));
}

static void push_function(struct build *build, struct sl_function *function)
{
	if (function->mark) {
		lua_rawgeti(build->L, SLOT_NODES, function->mark);
		return;
	}
	if (function->binary)
		load_binary(build, function);
	else
		compile_text(build, function);
	function->mark = add_node(
		build, (struct sl_value){.kind = SL_VALUE_FUNCTION, .function = function});
}

/* ---- one value ---- */

static void push_table(struct build *build, struct sl_table *table)
{
	if (table->mark) {
		lua_rawgeti(build->L, SLOT_NODES, table->mark);
		return;
	}
	if (table->share && sl_share_push(build->L, table->share))
		return; /* it is here already */
	lua_createtable(build->L, table->n_array, table->n_pairs);
	table->mark =
		add_node(build, (struct sl_value){.kind = SL_VALUE_TABLE, .table = table});
}

/* A text that a peer chose, for "%.*s". */
#define SHORT(bytes) (int)((bytes).size < 80 ? (bytes).size : 80), (bytes).data

/* " (needed by upvalue 'conf' of task 'x')" */
static void write_need(const struct build *build, char *out, size_t size)
{
	const struct need *need = &build->need;
	char task[100] = "";

	out[0] = '\0';
	if (!need->kind)
		return;
	if (build->task.size > 0)
		snprintf(task, sizeof(task), " of task '%.*s'", SHORT(build->task));
	snprintf(out, size, " (needed by %s '%.*s'%s)", need->kind, SHORT(need->name), task);
}

/* The name and why it isn't here are on the top. That no place has the module takes Lua a list
 * of places to say. */
static _Noreturn void stop_missing(struct build *build)
{
	const char *name = lua_tostring(build->L, -2), *why = lua_tostring(build->L, -1);
	char needed[240], place[100] = "here", text[500], module[101], d;
	bool missing;

	write_need(build, needed, sizeof(needed));
	if (build->agent.size > 0)
		snprintf(place, sizeof(place), "on %.*s", SHORT(build->agent));
	missing =
		why && sscanf(why, "module '%100[^']' not foun%c", module, &d) == 2 && d == 'd';
	/* Lua was asked for "a.b" as a module after module "a" was found to have no b. */
	if (missing && strchr(name, '.') && strcmp(module, name) == 0)
		snprintf(text, sizeof(text), "'%.100s' is not %s%s", name, place, needed);
	else if (missing)
		snprintf(text, sizeof(text), "module '%s' is not installed %s%s", module, place,
			needed);
	else
		snprintf(text, sizeof(text), "'%.100s' is not %s%s: %.160s", name, place,
			needed, why ? why : "nothing is called that");
	stop(build, SL_EINVALID, text);
}

static void push_named(struct build *build, struct sl_bytes name)
{
	lua_State *L = build->L;

	lua_pushlstring(L, name.data, name.size);
	if (!sl_names_push(L, lua_tostring(L, -1)))
		stop_missing(build);
	lua_remove(L, -2);
}

/* [-0, +1, e] */
static void push(struct build *build, struct sl_value value)
{
	lua_State *L = build->L;

	switch (value.kind) {
	case SL_VALUE_NIL:
		lua_pushnil(L);
		return;
	case SL_VALUE_BOOLEAN:
		lua_pushboolean(L, value.boolean);
		return;
	case SL_VALUE_INTEGER:
		lua_pushinteger(L, value.integer);
		return;
	case SL_VALUE_FLOAT:
		lua_pushnumber(L, value.number);
		return;
	case SL_VALUE_STRING:
		lua_pushlstring(L, value.string.data, value.string.size);
		return;
	case SL_VALUE_TABLE:
		push_table(build, value.table);
		return;
	case SL_VALUE_FUNCTION:
		push_function(build, value.function);
		return;
	case SL_VALUE_NAMED:
		push_named(build, value.string);
		return;
	case SL_VALUE_HANDLE:
		sl_handle_push(L, value.handle);
		return;
	}
}

/* ---- filling what the top of the stack has ---- */

static void fill_table(struct build *build, const struct sl_table *table)
{
	lua_State *L = build->L;

	for (size_t i = 0; i < table->n_array; i++) {
		push(build, table->array[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	for (size_t i = 0; i < table->n_pairs; i++) {
		push(build, table->pairs[i].key);
		push(build, table->pairs[i].value);
		lua_rawset(L, -3);
	}
	if (table->meta) {
		push_table(build, table->meta);
		lua_pop(L, 1);
		build->has_meta = true;
	}
}

/* Makes upvalue @i of the function on the top, which has @number, the variable @cell. */
static void join(struct build *build, uint32_t number, int i, struct sl_cell *cell)
{
	lua_State *L = build->L;

	if (cell->mark_function) {
		lua_rawgeti(L, SLOT_NODES, cell->mark_function);
		lua_upvaluejoin(L, -2, i, -1, (int)cell->mark_index);
		lua_pop(L, 1);
		return;
	}
	cell->mark_function = number;
	cell->mark_index = (uint32_t)i;
	push(build, cell->value);
	lua_setupvalue(L, -2, i);
}

static struct sl_upvalue *find_upvalue(const struct sl_function *function, const char *name)
{
	for (size_t i = 0; i < function->n_upvalues; i++)
		if (sl_bytes_equal(function->upvalues[i].name, sl_bytes_of(name)))
			return &function->upvalues[i];
	return NULL;
}

/* A text's captured variables are found by name. */
static void fill_text(struct build *build, uint32_t number, const struct sl_function *function)
{
	const char *name;

	for (int i = 1; (name = lua_getupvalue(build->L, -1, i)); i++) {
		struct sl_upvalue *upvalue = find_upvalue(function, name);

		lua_pop(build->L, 1);
		if (!upvalue)
			continue;
		build->need = (struct need){"upvalue", upvalue->name};
		join(build, number, i, upvalue->cell);
	}
}

/* Globals that come along don't replace what is here. */
static void fill_globals(struct build *build, const struct sl_function *function)
{
	lua_State *L = build->L;

	lua_pushglobaltable(L);
	for (size_t i = 0; i < function->n_globals; i++) {
		if (function->globals[i].key.kind == SL_VALUE_STRING)
			build->need = (struct need){"global", function->globals[i].key.string};
		push(build, function->globals[i].key);
		lua_pushvalue(L, -1);
		if (lua_rawget(L, -3) == LUA_TNIL) {
			lua_pop(L, 1);
			push(build, function->globals[i].value);
			lua_rawset(L, -3);
		} else {
			lua_pop(L, 2);
		}
	}
	lua_pop(L, 1);
}

static void fill_function(
	struct build *build, uint32_t number, const struct sl_function *function)
{
	if (function->binary)
		for (size_t i = 0; i < function->n_upvalues; i++)
			join(build, number, (int)i + 1, function->upvalues[i].cell);
	else
		fill_text(build, number, function);
	if (function->n_globals > 0)
		fill_globals(build, function);
}

/* The metatable on the top has a __gc. */
static void note_finalizer(lua_State *L)
{
	sl_home_note_finalizer(L);
	sl_finalizer_guard(L, -1);
}

/* Metatables come last: __gc counts only if it is there when the metatable is set. */
static void set_metatables(struct build *build)
{
	lua_State *L = build->L;

	for (uint32_t i = 0; i < build->n_nodes; i++) {
		struct sl_value *node = &build->nodes[i];

		if (node->kind != SL_VALUE_TABLE || !node->table->meta)
			continue;
		lua_rawgeti(L, SLOT_NODES, i + 1);
		lua_rawgeti(L, SLOT_NODES, node->table->meta->mark);
		if (sl_table_get(node->table->meta, "__gc"))
			note_finalizer(L);
		lua_setmetatable(L, -2);
		lua_pop(L, 1);
	}
}

/* The copies of a new goroutine begin as what they are now. */
static void attach_shared(struct build *build, uint32_t number, struct sl_value node)
{
	lua_State *L = build->L;
	const struct sl_function *function = node.function;

	if (node.kind == SL_VALUE_TABLE) {
		if (node.table->share)
			sl_share_attach_table(L, -1, node.table->share);
		return;
	}
	for (size_t i = 0; i < function->n_upvalues; i++) {
		const struct sl_cell *cell = function->upvalues[i].cell;

		if (cell->share && cell->mark_function == number && cell->mark_index == i + 1)
			sl_share_attach_upvalue(L, -1, (int)i + 1, cell->share);
	}
	for (size_t i = 0; function->global_shares && i < function->n_globals; i++)
		if (function->global_shares[i])
			sl_share_attach_global(L, function->globals[i].key.string.data,
				function->global_shares[i]);
}

/* f(build, nil) → values */
static int l_build(lua_State *L)
{
	struct build *build = lua_touserdata(L, SLOT_BUILD);

	lua_createtable(L, 8, 0);
	lua_replace(L, SLOT_NODES);
	luaL_checkstack(L, (int)build->n_values + LUA_MINSTACK, "too many values");
	for (size_t i = 0; i < build->n_values; i++)
		push(build, build->values[i]);
	for (uint32_t i = 0; i < build->n_nodes; i++) {
		lua_rawgeti(L, SLOT_NODES, i + 1);
		build->need = build->needs[i];
		if (build->nodes[i].kind == SL_VALUE_TABLE)
			fill_table(build, build->nodes[i].table);
		else
			fill_function(build, i + 1, build->nodes[i].function);
		lua_pop(L, 1);
	}
	if (build->has_meta)
		set_metatables(build);
	for (uint32_t i = 0; build->is_new && i < build->n_nodes; i++) {
		lua_rawgeti(L, SLOT_NODES, i + 1);
		attach_shared(build, i + 1, build->nodes[i]);
		lua_pop(L, 1);
	}
	return (int)build->n_values;
}

static void clear_marks(struct build *build)
{
	for (uint32_t i = 0; i < build->n_nodes; i++) {
		struct sl_value *node = &build->nodes[i];

		if (node->kind == SL_VALUE_TABLE) {
			node->table->mark = 0;
			continue;
		}
		node->function->mark = 0;
		for (size_t u = 0; u < node->function->n_upvalues; u++)
			node->function->upvalues[u].cell->mark_function = 0;
	}
}

static int build_protected(struct build *build)
{
	lua_State *L = build->L;
	int status;

	if (build->n_values > 100000 || !lua_checkstack(L, (int)build->n_values + 8))
		return sl_fail(
			&build->error, SL_ETOO_LARGE, "too many values: %zu", build->n_values);
	lua_pushcfunction(L, l_build);
	lua_pushlightuserdata(L, build);
	lua_pushnil(L);
	status = lua_pcall(L, 2, (int)build->n_values, 0);
	if (status == LUA_OK)
		return 0;
	if (build->error.code == SL_OK)
		sl_fail(&build->error, status == LUA_ERRMEM ? SL_ENOMEM : SL_EINVALID, "%s",
			lua_isstring(L, -1) ? lua_tostring(L, -1) : "failed");
	lua_pop(L, 1);
	return build->error.code;
}

static int transfer_in(struct build build, struct sl_error *err)
{
	int code;

	code = build_protected(&build);
	clear_marks(&build);
	free(build.nodes);
	free(build.needs);
	if (code != 0 && err)
		*err = build.error;
	return code;
}

int sl_transfer_in(lua_State *L, const struct sl_value *values, size_t n, struct sl_error *err)
{
	return transfer_in((struct build){.L = L, .values = values, .n_values = n}, err);
}

int sl_transfer_in_new(
	lua_State *L, const struct sl_value *values, size_t n, struct sl_error *err)
{
	return transfer_in(
		(struct build){.L = L, .values = values, .n_values = n, .is_new = true}, err);
}

int sl_transfer_in_task(lua_State *L, const struct sl_value *values, size_t n,
	const struct sl_task *task, struct sl_error *err)
{
	return transfer_in((struct build){.L = L,
				   .values = values,
				   .n_values = n,
				   .agent = task->meta.agent,
				   .task = task->name},
		err);
}
