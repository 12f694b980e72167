/* SPDX-License-Identifier: MIT */

/*
 * A task of a loaded workflow, or a bare chunk, as something to send away.
 */

#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "lua/code/cut.h"
#include "lua/transfer/transfer.h"
#include "lua/workflow/dsl.h"
#include "lua/workflow/needs.h"
#include "lua/workflow/workflow_parts.h"

struct pack {
	struct sl_workflow *workflow;
	const struct sl_workflow_entry *entry;
	struct sl_needs *needs;
	struct sl_parcel *parcel;
	struct sl_task task;
	int code;
	struct sl_error *err;
};

static int out_of_memory(struct sl_error *err)
{
	return sl_fail(err, SL_ENOMEM, "out of memory, or the task is too large");
}

static int copy_text(struct pack *pack, const char *text, struct sl_bytes *out)
{
	if (*text != '\0' && !sl_parcel_copy(pack->parcel, sl_bytes_of(text), out))
		return out_of_memory(pack->err);
	return 0;
}

/* Cuts a function, and notes which modules its text requires. */
static int cut(void *ctx, lua_State *L, int index, struct sl_parcel *parcel,
	struct sl_function *out, struct sl_error *err)
{
	struct pack *pack = ctx;
	int rc = sl_cutter_cut(pack->workflow->cutter, L, index, parcel, out, err);

	return rc < 0 ? rc : sl_needs_scan(pack->needs, out->text, err);
}

/* Takes the value at the top of the stack; an empty table is as good as nothing. */
static int take_value(struct pack *pack, const char *what, struct sl_value *out)
{
	const struct sl_workflow_task *task = &pack->entry->task;
	lua_State *L = pack->workflow->L;
	struct sl_transfer how = {
		.to = "to an agent", .cut = cut, .ctx = pack, .refuse = sl_dsl_refuse};
	struct sl_error why;
	int rc;

	if (lua_istable(L, -1)) {
		lua_pushnil(L);
		if (!lua_next(L, -2)) {
			lua_pop(L, 1);
			return 0;
		}
		lua_pop(L, 2);
	}
	rc = sl_transfer_out(L, -1, what, &how, pack->parcel, out, &why);
	lua_pop(L, 1);
	if (rc < 0)
		return sl_fail(pack->err, rc, "%s:%d: task '%s': %s", task->file, task->line,
			task->name, why.text);
	return 0;
}

/* Adds the pairs of the table at the top, if it is one, to the table under it. [-1, +0, m] */
static void merge(lua_State *L)
{
	if (lua_istable(L, -1)) {
		for (lua_pushnil(L); lua_next(L, -2);) {
			lua_pushvalue(L, -2);
			lua_insert(L, -2);
			lua_rawset(L, -5);
		}
	}
	lua_pop(L, 1);
}

/* What the file gives, then what the command line gives. */
static int take_params(struct pack *pack)
{
	lua_State *L = pack->workflow->L;

	lua_newtable(L);
	sl_dsl_push_field(L, 2, "params");
	merge(L);
	lua_rawgeti(L, LUA_REGISTRYINDEX, pack->workflow->params_ref);
	merge(L);
	return take_value(pack, "params", &pack->task.params);
}

static int take_values(struct pack *pack)
{
	lua_State *L = pack->workflow->L;

	lua_pushglobaltable(L);
	lua_pushliteral(L, "values");
	lua_rawget(L, -2);
	lua_remove(L, -2);
	if (!lua_istable(L, -1)) {
		lua_pop(L, 1);
		return 0;
	}
	return take_value(pack, "values", &pack->task.values);
}

static int take_field(
	struct pack *pack, const char *field, const char *what, struct sl_value *out)
{
	sl_dsl_push_field(pack->workflow->L, 2, field);
	return take_value(pack, what, out);
}

/* The task object is at 2. */
static int take_task(struct pack *pack)
{
	lua_State *L = pack->workflow->L;
	const struct sl_dsl_object *object = lua_touserdata(L, 2);
	struct sl_task *task = &pack->task;
	int rc = copy_text(pack, pack->entry->task.name, &task->name);

	task->timeout_ms = (uint64_t)object->timeout_ms;
	task->limits.memory_bytes = object->memory_bytes;
	task->limits.processes = object->processes;
	task->limits.files = object->files;
	if (rc == 0)
		rc = copy_text(pack, sl_dsl_string(L, 2, "user"), &task->user);
	if (rc == 0)
		rc = copy_text(pack, sl_dsl_string(L, 2, "workdir"), &task->workdir);
	if (rc == 0)
		rc = take_field(pack, "command", "its function", &task->function);
	if (rc == 0)
		rc = take_field(pack, "env", "env", &task->env);
	if (rc == 0)
		rc = take_params(pack);
	if (rc == 0)
		rc = take_values(pack);
	if (rc == 0)
		rc = sl_needs_give(pack->needs, pack->parcel, &task->modules, pack->err);
	return rc;
}

/* f(pack) */
static int l_pack(lua_State *L)
{
	struct pack *pack = lua_touserdata(L, 1);

	lua_rawgeti(L, LUA_REGISTRYINDEX, pack->entry->ref);
	pack->code = take_task(pack);
	return 0;
}

int sl_workflow_pack(struct sl_workflow *workflow, size_t i, struct sl_parcel *parcel,
	struct sl_task *out, struct sl_error *err)
{
	struct pack pack = {.workflow = workflow,
		.entry = &workflow->entries[i],
		.parcel = parcel,
		.err = err};
	lua_State *L = workflow->L;
	int status;

	pack.needs = sl_needs_new(L, workflow->path);
	if (!pack.needs)
		return out_of_memory(err);
	lua_pushcfunction(L, l_pack);
	lua_pushlightuserdata(L, &pack);
	status = lua_pcall(L, 1, 0, 0);
	sl_needs_free(pack.needs);
	if (status != LUA_OK) {
		lua_pop(L, 1);
		return out_of_memory(err);
	}
	if (pack.code == 0)
		*out = pack.task;
	return pack.code;
}

/* ---- a bare chunk ---- */

/* Compiles @text and throws the result away. The message has FILE:LINE. */
static int check_syntax(const char *file, struct sl_bytes text, struct sl_error *err)
{
	struct sl_buffer name = SL_BUFFER_INIT;
	lua_State *L = luaL_newstate();
	int rc = 0;

	if (!L || !sl_buffer_printf(&name, "@%s", file))
		rc = out_of_memory(err);
	else if (luaL_loadbufferx(L, text.data, text.size, name.data, "t") != LUA_OK)
		rc = sl_fail(err, SL_EINVALID, "%s", lua_tostring(L, -1));
	sl_buffer_deinit(&name);
	if (L)
		lua_close(L);
	return rc;
}

/* The body must be a chunk by itself, so that none can end the function around it early. */
static int wrap(
	const char *chunk, const char *file, struct sl_buffer *text, struct sl_error *err)
{
	int rc = check_syntax(file, sl_bytes_of(chunk), err);

	if (rc < 0)
		return rc;
	sl_buffer_printf(text, "return function(this, params, deps, ...) %s\nend", chunk);
	if (text->failed)
		return out_of_memory(err);
	return check_syntax(file, sl_buffer_bytes(text), err);
}

static int fill_chunk(struct sl_bytes text, const char *file, const char *name,
	struct sl_parcel *parcel, struct sl_task *out, struct sl_error *err)
{
	struct sl_function *function = sl_parcel_alloc(parcel, sizeof(*function));
	struct sl_task task = {.function = {.kind = SL_VALUE_FUNCTION, .function = function}};

	if (!function || !sl_parcel_copy(parcel, text, &function->text) ||
		!sl_parcel_copy(parcel, sl_bytes_of(file), &function->file) ||
		!sl_parcel_copy(parcel, sl_bytes_of(name), &task.name))
		return out_of_memory(err);
	function->line = 1;
	*out = task;
	return 0;
}

/* Modules that lie beside the chunk's file, if it is one. */
static int add_modules(struct sl_bytes text, const char *file, struct sl_parcel *parcel,
	struct sl_task *task, struct sl_error *err)
{
	sl_cleanup(sl_needs_freep) struct sl_needs *needs = NULL;
	lua_State *L;
	int rc;

	if (access(file, F_OK) != 0)
		return 0;
	L = luaL_newstate();
	needs = L ? sl_needs_new(L, file) : NULL;
	rc = needs ? sl_needs_scan(needs, text, err) : out_of_memory(err);
	if (rc == 0)
		rc = sl_needs_give(needs, parcel, &task->modules, err);
	if (L)
		lua_close(L);
	return rc;
}

int sl_workflow_pack_chunk(const char *chunk, const char *file, const char *name,
	struct sl_parcel *parcel, struct sl_task *out, struct sl_error *err)
{
	static const size_t n_return = sizeof("return ") - 1;
	struct sl_buffer text = SL_BUFFER_INIT;
	struct sl_task task;
	int rc;

	if (*chunk == LUA_SIGNATURE[0])
		return sl_fail(
			err, SL_EINVALID, "%s: it is compiled Lua: what is sent is text", file);
	/* The first line of a script that can be run by itself. */
	if (*chunk == '#')
		chunk += strcspn(chunk, "\n");
	rc = wrap(chunk, file, &text, err);
	if (rc == 0)
		rc = fill_chunk((struct sl_bytes){text.data + n_return, text.size - n_return},
			file, name, parcel, &task, err);
	if (rc == 0)
		rc = add_modules(sl_buffer_bytes(&text), file, parcel, &task, err);
	if (rc == 0)
		*out = task;
	sl_buffer_deinit(&text);
	return rc;
}
