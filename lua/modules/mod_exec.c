/* SPDX-License-Identifier: MIT */

/*
 * exec: runs commands; and os.execute, which is one of its uses.
 */

#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "lua/modules/deaths.h"
#include "lua/modules/modules.h"
#include "lua/modules/options.h"
#include "lua/modules/process.h"
#include "lua/modules/result.h"
#include "lua/runtime_inside.h"

enum {
	MAX_WORDS = 100000 /* of a command */
};

/* Slots of a call: what it was given, then what of it must stay alive. */
enum {
	SLOT_COMMAND = 1,
	SLOT_OPTIONS,
	SLOT_TEXTS,   /* strings that C points to */
	SLOT_PROCESS, /* once it runs */
	SLOT_RUN,     /* struct run */
	N_SLOTS = SLOT_RUN,
};

/* One call of exec.run(), in a userdata. */
struct run {
	struct sl_process *process; /* borrowed from SLOT_PROCESS */
	int64_t started_ns;
	int64_t deadline_ns; /* 0: none; of its death once it was killed */
	bool streams, timed_out;
	bool full; /* for the sink */
};

/* ---- what is asked for ---- */

/* Keeps the string on the top in SLOT_TEXTS and takes it off. [-1, +0, m] */
static const char *keep_text(lua_State *L)
{
	const char *text = lua_tostring(L, -1);

	lua_rawseti(L, SLOT_TEXTS, (lua_Integer)lua_rawlen(L, SLOT_TEXTS) + 1);
	return text;
}

static bool is_text(lua_State *L, int index)
{
	size_t size;
	const char *text;

	if (!lua_isstring(L, index))
		return false;
	lua_pushvalue(L, index); /* a number is changed into a string: not the caller's */
	text = lua_tolstring(L, -1, &size);
	size -= strlen(text);
	lua_pop(L, 1);
	return size == 0;
}

static const char **new_list(lua_State *L, size_t n)
{
	const char **list = lua_newuserdatauv(L, (n + 1) * sizeof(*list), 0);

	lua_rawseti(L, SLOT_TEXTS, (lua_Integer)lua_rawlen(L, SLOT_TEXTS) + 1);
	list[n] = NULL;
	return list;
}

/* An argv from a table of words. */
static const char *const *take_words(lua_State *L)
{
	size_t n = lua_rawlen(L, SLOT_COMMAND);
	const char **argv;

	luaL_argcheck(L, n > 0, SLOT_COMMAND, "a command without words");
	luaL_argcheck(L, n <= MAX_WORDS, SLOT_COMMAND, "too many words");
	argv = new_list(L, n);
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(L, SLOT_COMMAND, (lua_Integer)i + 1);
		if (!is_text(L, -1))
			luaL_argerror(L, SLOT_COMMAND,
				lua_pushfstring(
					L, "word %d is not text without zeros", (int)i + 1));
		argv[i] = keep_text(L);
	}
	return argv;
}

/* @line for the shell, or as the only word. */
static const char *const *take_line(lua_State *L, bool shell)
{
	const char **argv = new_list(L, shell ? 4 : 1);

	luaL_argcheck(L, is_text(L, SLOT_COMMAND), SLOT_COMMAND, "has a zero in it");
	lua_pushvalue(L, SLOT_COMMAND);
	argv[shell ? 3 : 0] = keep_text(L);
	if (shell) {
		argv[0] = "sh";
		argv[1] = "-c";
		argv[2] = "--";
	}
	return argv;
}

static const char *const *take_argv(lua_State *L)
{
	bool is_line = lua_type(L, SLOT_COMMAND) == LUA_TSTRING;
	bool shell = sl_options_flag(L, SLOT_OPTIONS, "shell", is_line);

	luaL_argexpected(
		L, is_line || lua_istable(L, SLOT_COMMAND), SLOT_COMMAND, "string or table");
	if (is_line)
		return take_line(L, shell);
	luaL_argcheck(L, !shell, SLOT_OPTIONS, "shell: the shell wants a string, not words");
	return take_words(L);
}

/* The change that the pair on the top says: "NAME=value", or "NAME" for one that is not to be
 * there. [-0, +0, v] */
static const char *take_change(lua_State *L)
{
	bool removes = lua_isboolean(L, -1) && !lua_toboolean(L, -1);

	if (lua_type(L, -2) != LUA_TSTRING || !is_text(L, -2) || lua_rawlen(L, -2) == 0 ||
		strchr(lua_tostring(L, -2), '=') || (!removes && !is_text(L, -1)))
		luaL_argerror(L, SLOT_OPTIONS,
			"env: names with texts expected, or false to remove one");
	if (removes) {
		lua_pushvalue(L, -2);
		return keep_text(L);
	}
	lua_pushvalue(L, -1);
	lua_pushfstring(L, "%s=%s", lua_tostring(L, -3), lua_tostring(L, -1));
	lua_remove(L, -2);
	return keep_text(L);
}

/* What the command's environment has other than the task's; NULL for nothing. */
static const char *const *take_env(lua_State *L)
{
	const char **env;
	size_t n = 0;

	if (!sl_options_push(L, SLOT_OPTIONS, "env"))
		return NULL;
	if (!lua_istable(L, -1))
		sl_options_bad(L, SLOT_OPTIONS, "env", "table");
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		n++;
	env = new_list(L, n);
	n = 0;
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		env[n++] = take_change(L);
	lua_pop(L, 1);
	return env;
}

/* ---- what comes of it ---- */

static void set_text(lua_State *L, const char *name, struct sl_bytes text)
{
	lua_pushlstring(L, text.size > 0 ? text.data : "", text.size);
	lua_setfield(L, -2, name);
}

static void push_signal(lua_State *L, int signum)
{
	const char *name = sigabbrev_np(signum);

	if (name)
		lua_pushfstring(L, "SIG%s", name);
	else
		lua_pushfstring(L, "signal %d", signum);
}

static int push_result(lua_State *L, const struct run *run)
{
	struct sl_process_end end = sl_process_end(run->process);
	int64_t took_ns = sl_clock_monotonic_ns() - run->started_ns;
	bool truncated = false;

	lua_createtable(L, 0, 9);
	set_text(L, "stdout", sl_process_kept(run->process, 1, &truncated));
	set_text(L, "stderr", sl_process_kept(run->process, 2, &truncated));
	lua_pushinteger(L, end.exit_code);
	lua_setfield(L, -2, "exit_code");
	if (end.signum != 0) {
		push_signal(L, end.signum);
		lua_setfield(L, -2, "signal");
	}
	lua_pushboolean(L, end.signum == 0 && end.exit_code == 0 && !run->timed_out);
	lua_setfield(L, -2, "success");
	lua_pushnumber(L, (lua_Number)took_ns / 1e6);
	lua_setfield(L, -2, "duration_ms");
	lua_pushboolean(L, run->timed_out);
	lua_setfield(L, -2, "timed_out");
	lua_pushboolean(L, truncated);
	lua_setfield(L, -2, "truncated");
	return 1;
}

/* A program that isn't there is what a shell makes of it. */
static int push_missing(lua_State *L, const struct sl_error *err)
{
	lua_createtable(L, 0, 7);
	set_text(L, "stdout", sl_bytes_of(""));
	set_text(L, "stderr", sl_bytes_of(err->text));
	lua_pushinteger(L, err->code == SL_ENOT_FOUND ? 127 : 126);
	lua_setfield(L, -2, "exit_code");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "success");
	lua_pushnumber(L, 0);
	lua_setfield(L, -2, "duration_ms");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "timed_out");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "truncated");
	return 1;
}

static bool put(void *ctx, int stream, struct sl_bytes text)
{
	lua_State *L = ctx;

	return sl_runtime_emit_out(sl_runtime_of(L), stream, sl_goroutine_of(L)->id, text);
}

static void kill_it(struct run *run)
{
	sl_process_kill(run->process);
	run->timed_out = true;
	run->deadline_ns = sl_clock_monotonic_ns() + SL_DEATHS_NS;
}

/* One step, or two when it has been killed and doesn't end. */
static enum sl_process_step step(struct run *run, const struct sl_process_sink *sink)
{
	bool expired = run->deadline_ns && sl_clock_monotonic_ns() >= run->deadline_ns;
	enum sl_process_step result;

	if (expired && !run->timed_out) {
		kill_it(run);
		expired = false;
	}
	result = sl_process_step(run->process, sink);
	if (result != SL_PROCESS_WAIT || !expired)
		return result;
	sl_process_give_up(run->process);
	return sl_process_step(run->process, sink);
}

static void tell_remains(lua_State *L, const struct run *run)
{
	char text[200];

	if (sl_process_remains(run->process, text, sizeof(text)))
		sl_runtime_emit_log(sl_runtime_of(L), SL_LOG_WARNING, sl_goroutine_of(L)->id,
			sl_bytes_of(text), NULL);
}

/* Slots as above. */
static int go_on(lua_State *L, int status, lua_KContext ctx)
{
	struct run *run = lua_touserdata(L, SLOT_RUN);
	struct sl_process_sink sink = {put, L};
	uint64_t mark = sl_runtime_drain_mark(sl_runtime_of(L));

	(void)status;
	switch (step(run, run->streams ? &sink : NULL)) {
	case SL_PROCESS_OVER:
		tell_remains(L, run);
		return push_result(L, run);
	case SL_PROCESS_FULL:
		return sl_runtime_wait_drained_to(
			L, mark, run->timed_out ? 0 : run->deadline_ns, ctx, go_on);
	case SL_PROCESS_WAIT:
		break;
	}
	sl_goroutine_prepare(L, &sl_process_wait_kind, run->process, run->deadline_ns);
	return sl_goroutine_wait(L, ctx, go_on);
}

static void define_process(lua_State *L)
{
	if (luaL_getmetatable(L, SL_PROCESS_KIND) == LUA_TNIL)
		sl_handle_define(L, SL_PROCESS_KIND, NULL);
	lua_pop(L, 1);
}

/* Starts what is asked for and puts it into its slot. */
static int begin(
	lua_State *L, const struct sl_process_ask *ask, struct run *run, struct sl_error *err)
{
	struct sl_runtime *runtime = sl_runtime_of(L);
	int code;

	define_process(L);
	code = sl_process_new(runtime->reactor, &runtime->account, ask, &run->process, err);
	if (code != 0)
		return code;
	sl_handle_push_new(L, sl_process_handle(run->process));
	lua_replace(L, SLOT_PROCESS);
	return 0;
}

static struct run *new_run(lua_State *L)
{
	struct run *run = lua_newuserdatauv(L, sizeof(*run), 0);

	lua_replace(L, SLOT_RUN);
	*run = (struct run){.started_ns = sl_clock_monotonic_ns()};
	return run;
}

static void make_slots(lua_State *L)
{
	lua_settop(L, N_SLOTS);
	lua_newtable(L);
	lua_replace(L, SLOT_TEXTS);
}

/* exec.run(command[, options]) */
static int l_run(lua_State *L)
{
	static const char *const known[] = {
		"workdir", "env", "stdin", "timeout", "user", "shell", "stream", NULL};
	struct sl_process_ask ask = {.environment = sl_runtime_of(L)->environment};
	struct sl_launch_user user;
	struct sl_error err;
	const char *user_name;
	struct run *run;
	int64_t timeout_ms;
	int code = 0;

	luaL_argexpected(L, lua_type(L, 1) == LUA_TSTRING || lua_istable(L, 1), SLOT_COMMAND,
		"string or table");
	make_slots(L);
	sl_options_check(L, SLOT_OPTIONS, known);
	run = new_run(L);
	ask.argv = take_argv(L);
	ask.env = take_env(L);
	ask.workdir = sl_options_text(L, SLOT_OPTIONS, "workdir");
	ask.input = sl_options_bytes(L, SLOT_OPTIONS, "stdin");
	timeout_ms = sl_options_time_ms(L, SLOT_OPTIONS, "timeout", 0);
	run->streams = sl_options_flag(L, SLOT_OPTIONS, "stream", true);
	user_name = sl_options_text(L, SLOT_OPTIONS, "user");
	if (user_name)
		code = sl_launch_find_user(user_name, &user, &err);
	if (code != 0)
		return sl_result_fail(L, &err);
	ask.user = user_name ? &user : NULL;
	code = begin(L, &ask, run, &err);
	if (code == SL_ENOT_FOUND || code == SL_EDENIED)
		return push_missing(L, &err);
	if (code != 0)
		return sl_result_fail(L, &err);
	if (timeout_ms > 0)
		run->deadline_ns = run->started_ns + timeout_ms * INT64_C(1000000);
	return go_on(L, LUA_OK, 0);
}

int sl_open_exec(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"run", l_run},
		{NULL, NULL},
	};

	luaL_newlib(L, functions);
	return 1;
}

/* ---- os.execute ---- */

int sl_exec_push_end(lua_State *L, struct sl_process_end end)
{
	if (end.signum == 0 && end.exit_code == 0)
		lua_pushboolean(L, true);
	else
		luaL_pushfail(L);
	lua_pushstring(L, end.signum == 0 ? "exit" : "signal");
	lua_pushinteger(L, end.signum == 0 ? end.exit_code : end.signum);
	return 3;
}

static int executed(lua_State *L, int status, lua_KContext ctx)
{
	struct run *run = lua_touserdata(L, SLOT_RUN);

	(void)status;
	if (sl_process_step(run->process, NULL) == SL_PROCESS_OVER)
		return sl_exec_push_end(L, sl_process_end(run->process));
	sl_goroutine_prepare(L, &sl_process_wait_kind, run->process, 0);
	return sl_goroutine_wait(L, ctx, executed);
}

int sl_exec_os_execute(lua_State *L)
{
	struct sl_process_ask ask = {
		.inherits = true, .environment = sl_runtime_of(L)->environment};
	struct sl_error err;
	struct run *run;

	if (lua_isnoneornil(L, SLOT_COMMAND)) {
		lua_pushboolean(L, access("/bin/sh", X_OK) == 0);
		return 1;
	}
	luaL_checkstring(L, SLOT_COMMAND);
	make_slots(L);
	lua_pushnil(L);
	lua_replace(L, SLOT_OPTIONS);
	run = new_run(L);
	ask.argv = take_line(L, true);
	if (begin(L, &ask, run, &err) == 0)
		return executed(L, LUA_OK, 0);
	luaL_pushfail(L);
	lua_pushstring(L, err.text);
	lua_pushinteger(L, err.code);
	return 3;
}
