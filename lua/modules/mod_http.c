/* SPDX-License-Identifier: MIT */

/*
 * The module http.
 */

#include <ctype.h>
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "lua/modules/http.h"
#include "lua/modules/json.h"
#include "lua/modules/modules.h"
#include "lua/modules/options.h"
#include "lua/modules/result.h"
#include "lua/runtime_inside.h"

#define DEFAULT_TIMEOUT_MS 30000
#define DEFAULT_MAX_BODY ((lua_Integer)64 << 20)

#define RESPONSE "http response"
#define HEADERS "http headers"

enum {
	SLOT_TEXTS = 4, /* behind the arguments: strings that C points to */
};

/* What a call is about. */
struct call {
	struct sl_http_ask ask;
	int options; /* which argument they are */
	bool has_json;
};

/* ---- what is asked for ---- */

/* Keeps the string on the top and takes it off. [-1, +0, m] */
static struct sl_bytes keep_text(lua_State *L)
{
	struct sl_bytes text;

	text.data = lua_tolstring(L, -1, &text.size);
	lua_rawseti(L, SLOT_TEXTS, (lua_Integer)lua_rawlen(L, SLOT_TEXTS) + 1);
	return text;
}

static bool is_token(const char *text)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (const char *at = text; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr(others, *at))
			return false;
	return text[0] != '\0';
}

static bool fits_in_a_line(struct sl_bytes text)
{
	for (size_t i = 0; i < text.size; i++)
		if (memchr("\r\n", text.data[i], 3))
			return false;
	return true;
}

/* Pushes the line for the header whose name and value are on the top. [-0, +1, v] */
static void push_header(lua_State *L, int arg)
{
	const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
	struct sl_bytes value = {"", 0};
	bool without = lua_isboolean(L, -1) && !lua_toboolean(L, -1);

	if (!is_token(name) || (!without && !lua_isstring(L, -1)))
		luaL_argerror(
			L, arg, "headers: names with texts expected, or false not to send one");
	lua_pushvalue(L, -1);
	if (!without)
		value.data = lua_tolstring(L, -1, &value.size);
	if (!fits_in_a_line(value))
		luaL_argerror(L, arg,
			lua_pushfstring(L, "headers: the value of '%s' is not one line", name));
	if (without)
		lua_pushfstring(L, "%s:", name);
	else if (value.size == 0)
		lua_pushfstring(L, "%s;", name);
	else
		lua_pushfstring(L, "%s: %s", name, value.data);
	lua_remove(L, -2);
}

/* The lines for the table on the top; there is room for one more. */
static size_t take_headers(lua_State *L, int arg, const char **lines, bool *has_type)
{
	size_t n = 0;

	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		push_header(L, arg);
		*has_type |= strncasecmp(lua_tostring(L, -1), "content-type:", 13) == 0;
		lines[n++] = keep_text(L).data;
	}
	return n;
}

static void set_headers(lua_State *L, struct call *call)
{
	bool has_type = false;
	size_t n = 0, room = 0;
	const char **lines;

	if (!sl_options_push(L, call->options, "headers"))
		lua_newtable(L);
	if (!lua_istable(L, -1))
		sl_options_bad(L, call->options, "headers", "table");
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		room++;
	lines = lua_newuserdatauv(L, (room + 2) * sizeof(*lines), 0);
	lua_rawseti(L, SLOT_TEXTS, (lua_Integer)lua_rawlen(L, SLOT_TEXTS) + 1);
	n = take_headers(L, call->options, lines, &has_type);
	if (call->has_json && !has_type)
		lines[n++] = "Content-Type: application/json";
	lines[n] = NULL;
	call->ask.headers = lines;
	lua_pop(L, 1);
}

/* Returns 0 or what json.encode() would. */
static int set_body(lua_State *L, struct call *call, struct sl_error *err)
{
	struct sl_buffer text = SL_BUFFER_INIT;
	struct sl_bytes body = sl_options_bytes(L, call->options, "body");
	int code;

	if (!call->ask.body.data)
		call->ask.body = body;
	if (!sl_options_push(L, call->options, "json"))
		return 0;
	if (call->ask.body.data)
		luaL_argerror(L, call->options, "json: there is a body already");
	call->has_json = true;
	code = sl_json_encode(L, -1, false, &text, err);
	if (code != 0) {
		sl_buffer_deinit(&text);
		return code;
	}
	sl_result_take(L, &text);
	call->ask.body = keep_text(L);
	lua_pop(L, 1);
	return 0;
}

static size_t take_max_body(lua_State *L, const struct call *call)
{
	lua_Integer size = DEFAULT_MAX_BODY;

	if (!sl_options_push(L, call->options, "max_body"))
		return (size_t)size;
	if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 0)
		sl_options_bad(L, call->options, "max_body", "number of bytes");
	size = lua_tointeger(L, -1);
	lua_pop(L, 1);
	return (size_t)size;
}

static int set_options(lua_State *L, struct call *call, struct sl_error *err)
{
	int code = set_body(L, call, err);

	if (code != 0)
		return code;
	call->ask.timeout_ms =
		sl_options_time_ms(L, call->options, "timeout", DEFAULT_TIMEOUT_MS);
	call->ask.follow = sl_options_flag(L, call->options, "follow", true);
	call->ask.verify = sl_options_flag(L, call->options, "verify", true);
	call->ask.ca_file = sl_options_text(L, call->options, "ca_file");
	call->ask.max_body_bytes = take_max_body(L, call);
	set_headers(L, call);
	return 0;
}

/* ---- the answer ---- */

/* response.json(): what the body says */
static int l_json(lua_State *L)
{
	struct sl_error err;
	struct sl_bytes body;

	body.data = lua_tolstring(L, lua_upvalueindex(1), &body.size);
	return sl_json_decode(L, body, &err) == 0 ? 1 : sl_result_fail(L, &err);
}

/* __index of a response, which goes from one goroutine to another: the function json is made
 * when it is asked for. */
static int l_response_index(lua_State *L)
{
	if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "json") != 0 ||
		!lua_istable(L, 1))
		return 0;
	lua_pushliteral(L, "body");
	lua_rawget(L, 1);
	if (lua_type(L, -1) != LUA_TSTRING)
		return 0;
	lua_pushcclosure(L, l_json, 1);
	return 1;
}

/* __index of headers: their names are the same in upper and lower case */
static int l_headers_index(lua_State *L)
{
	luaL_Buffer lower;
	const char *name;
	size_t size;

	if (lua_type(L, 2) != LUA_TSTRING || !lua_istable(L, 1))
		return 0;
	name = lua_tolstring(L, 2, &size);
	luaL_buffinit(L, &lower);
	for (size_t i = 0; i < size; i++)
		luaL_addchar(&lower, (char)tolower((unsigned char)name[i]));
	luaL_pushresult(&lower);
	lua_rawget(L, 1);
	return 1;
}

static void set_index(lua_State *L, const char *kind, lua_CFunction index)
{
	if (luaL_newmetatable(L, kind)) {
		lua_pushcfunction(L, index);
		lua_setfield(L, -2, "__index");
	}
	lua_setmetatable(L, -2);
}

/* Several headers of one name are joined. */
static void push_headers(lua_State *L, const struct sl_buffer *headers)
{
	const char *name, *value;

	lua_newtable(L);
	for (size_t at = 0; at < headers->size;) {
		name = headers->data + at;
		value = name + strlen(name) + 1;
		at = (size_t)(value - headers->data) + strlen(value) + 1;
		if (lua_getfield(L, -1, name) == LUA_TSTRING)
			lua_pushfstring(L, "%s, %s", lua_tostring(L, -1), value);
		else
			lua_pushstring(L, value);
		lua_remove(L, -2);
		lua_setfield(L, -2, name);
	}
	set_index(L, HEADERS, l_headers_index);
}

static void set_text(lua_State *L, const char *name, const struct sl_buffer *text)
{
	lua_pushlstring(L, text->size > 0 ? text->data : "", text->size);
	lua_setfield(L, -2, name);
}

static int push_answer(lua_State *L, const struct sl_http_answer *answer)
{
	if (answer->code != 0)
		return sl_result_fail(L, &answer->err);
	lua_createtable(L, 0, 6);
	lua_pushinteger(L, answer->status_code);
	lua_setfield(L, -2, "status_code");
	set_text(L, "status", &answer->status);
	set_text(L, "body", &answer->body);
	push_headers(L, &answer->headers);
	lua_setfield(L, -2, "headers");
	lua_pushboolean(L, answer->status_code >= 200 && answer->status_code < 300);
	lua_setfield(L, -2, "success");
	lua_pushnumber(L, answer->elapsed_ms);
	lua_setfield(L, -2, "elapsed_ms");
	set_index(L, RESPONSE, l_response_index);
	return 1;
}

static int answered(lua_State *L, int status, lua_KContext request)
{
	(void)status;
	return push_answer(L, sl_http_answer((struct sl_http_request *)request));
}

/* ---- the calls ---- */

static void define_request(lua_State *L)
{
	if (luaL_getmetatable(L, SL_HTTP_KIND) == LUA_TNIL)
		sl_handle_define(L, SL_HTTP_KIND, NULL);
	lua_pop(L, 1);
}

/* Goes on when the answer is there. At most three arguments. */
static int perform(lua_State *L, struct call *call)
{
	struct sl_http_request *request;
	struct sl_error err;

	lua_settop(L, SLOT_TEXTS - 1);
	lua_newtable(L);
	define_request(L);
	if (set_options(L, call, &err) != 0)
		return sl_result_fail(L, &err);
	if (sl_http_start(sl_runtime_of(L)->http, &call->ask, &request, &err) != 0)
		return sl_result_fail(L, &err);
	sl_handle_push_new(L, sl_http_handle(request));
	lua_replace(L, 1);
	lua_settop(L, 1);
	sl_goroutine_prepare(L, &sl_http_wait_kind, request, 0);
	return sl_goroutine_wait(L, (lua_KContext)request, answered);
}

static const char *check_url(lua_State *L, int arg)
{
	size_t size;
	const char *url = luaL_checklstring(L, arg, &size);

	luaL_argcheck(L, strlen(url) == size, arg, "a URL can't have zeros in it");
	return url;
}

static const char *const option_names[] = {
	"timeout", "headers", "body", "json", "follow", "verify", "ca_file", "max_body", NULL};

/* http.METHOD(url[, options]) */
static int without_body(lua_State *L, const char *method)
{
	struct call call = {.ask = {.method = method}, .options = 2};

	call.ask.url = check_url(L, 1);
	sl_options_check(L, 2, option_names);
	return perform(L, &call);
}

/* http.METHOD(url[, body[, options]]) */
static int with_body(lua_State *L, const char *method)
{
	struct call call = {.ask = {.method = method}, .options = 3};

	call.ask.url = check_url(L, 1);
	luaL_argcheck(L, !lua_istable(L, 2), 2,
		"text expected; options such as json are the third argument");
	if (!lua_isnoneornil(L, 2))
		call.ask.body.data = luaL_checklstring(L, 2, &call.ask.body.size);
	sl_options_check(L, 3, option_names);
	return perform(L, &call);
}

static int l_get(lua_State *L)
{
	return without_body(L, "GET");
}

static int l_head(lua_State *L)
{
	return without_body(L, "HEAD");
}

static int l_delete(lua_State *L)
{
	return without_body(L, "DELETE");
}

static int l_post(lua_State *L)
{
	return with_body(L, "POST");
}

static int l_put(lua_State *L)
{
	return with_body(L, "PUT");
}

static int l_patch(lua_State *L)
{
	return with_body(L, "PATCH");
}

/* http.request{url=, method=, …} */
static int l_request(lua_State *L)
{
	static const char *const names[] = {"url", "method", "timeout", "headers", "body",
		"json", "follow", "verify", "ca_file", "max_body", NULL};
	struct call call = {.options = 1};

	luaL_checktype(L, 1, LUA_TTABLE);
	sl_options_check(L, 1, names);
	call.ask.url = sl_options_text(L, 1, "url");
	if (!call.ask.url)
		return luaL_argerror(L, 1, "url: string expected, got nothing");
	call.ask.method = sl_options_text(L, 1, "method");
	if (!call.ask.method)
		call.ask.method = "GET";
	if (!is_token(call.ask.method))
		return luaL_argerror(L, 1, "method: not the name of one");
	return perform(L, &call);
}

int sl_open_http(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"delete", l_delete},
		{"get", l_get},
		{"head", l_head},
		{"patch", l_patch},
		{"post", l_post},
		{"put", l_put},
		{"request", l_request},
		{NULL, NULL},
	};

	luaL_newlib(L, functions);
	return 1;
}

const luaL_Reg sl_http_unlisted[] = {
	{"headers_index", l_headers_index},
	{"response_index", l_response_index},
	{NULL, NULL},
};
