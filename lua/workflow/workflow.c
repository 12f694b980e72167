/* SPDX-License-Identifier: MIT */
#include "lua/workflow/workflow.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "lua/code/cut.h"
#include "lua/code/source.h"
#include "lua/transfer/transfer.h"
#include "lua/workflow/dsl.h"
#include "lua/workflow/stand_in.h"
#include "lua/workflow/workflow_parts.h"

#define MAX_CALLERS 3

struct load {
	struct sl_workflow *workflow;
	const struct sl_workflow_args *args;
	const struct sl_source *source;
};

/* ---- the state ---- */

/* require() looks beside the workflow file first. [-0, +0, e] */
static void extend_package_path(lua_State *L, const char *path)
{
	const char *slash = strrchr(path, '/');

	lua_getglobal(L, "package");
	lua_getfield(L, -1, "path");
	if (slash)
		lua_pushlstring(L, path, (size_t)(slash - path));
	else
		lua_pushliteral(L, ".");
	lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", lua_tostring(L, -1),
		lua_tostring(L, -1), lua_tostring(L, -2));
	lua_setfield(L, -4, "path");
	lua_pop(L, 3);
}

/* [-0, +1, e] */
static void push_params(lua_State *L, const struct sl_workflow_args *args)
{
	struct sl_error err;

	lua_newtable(L);
	for (size_t i = 0; i < args->n_params; i++) {
		if (sl_transfer_in(L, &args->params[i].key, 1, &err) < 0 ||
			sl_transfer_in(L, &args->params[i].value, 1, &err) < 0)
			luaL_error(L, "%s", err.text);
		lua_rawset(L, -3);
	}
}

/* [-0, +0, e] */
static void define_globals(struct sl_workflow *workflow, const struct sl_workflow_args *args)
{
	lua_State *L = workflow->L;
	struct sl_error err;

	push_params(L, args);
	lua_pushvalue(L, -1);
	workflow->params_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_setglobal(L, "params");

	if (args->values.kind == SL_VALUE_NIL)
		lua_newtable(L);
	else if (sl_transfer_in(L, &args->values, 1, &err) < 0)
		luaL_error(L, "%s", err.text);
	lua_setglobal(L, "values");
}

/* f(load) */
static int l_furnish(lua_State *L)
{
	struct load *load = lua_touserdata(L, 1);

	luaL_openlibs(L);
	lua_register(L, "print", sl_stand_in_print);
	sl_dsl_open(L, load->args->words);
	/* What comes after this is the file's own, or found in package.loaded. */
	sl_transfer_learn_names(L);
	sl_stand_in_open(L);
	extend_package_path(L, load->workflow->path);
	define_globals(load->workflow, load->args);
	return 0;
}

/* ---- running the file ---- */

/* What require() says of a module that isn't there goes on with each file that it is not: the
 * text at the top becomes what that means. [-1, +1, m] */
static void shorten_not_found(lua_State *L)
{
	static const char colon[] = "' not found:", list[] = "' not found:\n\tno field";
	const char *message = lua_tostring(L, -1), *at = strstr(message, list);

	if (!at)
		return;
	lua_pushlstring(L, message, (size_t)(at - message) + strlen(colon));
	lua_pushliteral(L, " it is neither beside the workflow file nor installed here for Lua "
			   "5.4");
	lua_concat(L, 2);
	lua_replace(L, -2);
}

/* The message with the place that raised it in front, if it has none, and who called that
 * behind it. */
static int l_explain(lua_State *L)
{
	const char *message;
	lua_Debug info;
	int n = 0;

	luaL_tolstring(L, 1, NULL);
	shorten_not_found(L);
	message = lua_tostring(L, -1);
	for (int level = 1; n <= MAX_CALLERS && lua_getstack(L, level, &info); level++) {
		lua_getinfo(L, "Sl", &info);
		if (info.currentline <= 0)
			continue;
		if (n++ > 0)
			lua_pushfstring(L, "%s, called from %s:%d", lua_tostring(L, -1),
				info.short_src, info.currentline);
		else if (!strstr(message, info.short_src))
			lua_pushfstring(
				L, "%s:%d: %s", info.short_src, info.currentline, message);
	}
	return 1;
}

/* f(load) */
static int l_collect(lua_State *L)
{
	struct load *load = lua_touserdata(L, 1);

	sl_workflow_collect(load->workflow, load->args);
	return 0;
}

/* Takes the message from the top. */
static int fail_with_message(lua_State *L, int status, struct sl_error *err)
{
	const char *text = lua_tostring(L, -1);
	int code = status == LUA_ERRMEM ? SL_ENOMEM : SL_EINVALID;

	sl_fail(err, code, "%s", text ? text : "an error without a message");
	lua_pop(L, 1);
	return code;
}

static int call_protected(
	lua_State *L, lua_CFunction function, struct load *load, struct sl_error *err)
{
	int status;

	lua_pushcfunction(L, function);
	lua_pushlightuserdata(L, load);
	status = lua_pcall(L, 1, 0, 0);
	return status == LUA_OK ? 0 : fail_with_message(L, status, err);
}

static int run_file(struct load *load, struct sl_error *err)
{
	struct sl_workflow *workflow = load->workflow;
	lua_State *L = workflow->L;
	struct sl_bytes text = sl_source_text(load->source);
	struct sl_buffer name = SL_BUFFER_INIT;
	int status = LUA_ERRMEM;

	lua_pushcfunction(L, l_explain);
	if (sl_buffer_printf(&name, "@%s", workflow->path))
		status = luaL_loadbufferx(L, text.data, text.size, name.data, "t");
	else
		lua_pushliteral(L, "out of memory");
	sl_buffer_deinit(&name);
	if (status == LUA_OK)
		status = lua_pcall(L, 0, 0, 1);
	if (status != LUA_OK)
		return fail_with_message(L, status, err);
	lua_settop(L, 0);
	return 0;
}

/* Reads the file; the cutter keeps its text, for it may change. */
static int read_source(struct load *load, struct sl_error *err)
{
	struct sl_source *source;
	int rc = sl_source_read(load->workflow->path, &source, err);

	if (rc < 0)
		return rc;
	load->source = source;
	rc = sl_cutter_add(load->workflow->cutter, load->workflow->path, source, err);
	if (rc == 0 && *sl_source_text(source).data == LUA_SIGNATURE[0])
		rc = sl_fail(err, SL_EINVALID,
			"%s: it is compiled Lua: a workflow is sent as text, from its text",
			load->workflow->path);
	return rc;
}

static int load_file(struct load *load, struct sl_error *err)
{
	struct sl_workflow *workflow = load->workflow;
	int rc = read_source(load, err);

	if (rc == 0)
		rc = call_protected(workflow->L, l_furnish, load, err);
	if (rc == 0)
		rc = run_file(load, err);
	if (rc == 0)
		rc = call_protected(workflow->L, l_collect, load, err);
	return rc;
}

int sl_workflow_load(const char *path, const struct sl_workflow_args *args,
	struct sl_workflow **out, struct sl_error *err)
{
	sl_cleanup(sl_workflow_freep) struct sl_workflow *workflow =
		calloc(1, sizeof(*workflow));
	struct load load = {.workflow = workflow, .args = args};
	int rc;

	if (!workflow)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	workflow->asked_ref = LUA_NOREF;
	workflow->object_ref = LUA_NOREF;
	workflow->path = strdup(path);
	workflow->cutter = sl_cutter_new();
	workflow->L = luaL_newstate();
	if (!workflow->path || !workflow->cutter || !workflow->L)
		return sl_fail(err, SL_ENOMEM, "out of memory");
	rc = load_file(&load, err);
	if (rc == 0)
		*out = sl_steal(workflow);
	return rc;
}

static void free_entry(struct sl_workflow_entry *entry)
{
	free(entry->targets);
	free(entry->depends_on);
}

void sl_workflow_free(struct sl_workflow *workflow)
{
	if (!workflow)
		return;
	for (size_t i = 0; i < workflow->n_entries; i++)
		free_entry(&workflow->entries[i]);
	free(workflow->entries);
	free(workflow->asked);
	if (workflow->L)
		lua_close(workflow->L);
	sl_cutter_free(workflow->cutter);
	free(workflow->path);
	free(workflow);
}

/* ---- what it has ---- */

const char *sl_workflow_name(const struct sl_workflow *workflow)
{
	return workflow->name;
}

const char *sl_workflow_description(const struct sl_workflow *workflow)
{
	return workflow->description;
}

const char *sl_workflow_version(const struct sl_workflow *workflow)
{
	return workflow->version;
}

int64_t sl_workflow_timeout_ms(const struct sl_workflow *workflow)
{
	return workflow->config.timeout_ms;
}

struct sl_workflow_config sl_workflow_config(const struct sl_workflow *workflow)
{
	return workflow->config;
}

size_t sl_workflow_n_tasks(const struct sl_workflow *workflow)
{
	return workflow->n_entries;
}

const struct sl_workflow_task *sl_workflow_task(const struct sl_workflow *workflow, size_t i)
{
	return &workflow->entries[i].task;
}
