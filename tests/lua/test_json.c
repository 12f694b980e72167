/* SPDX-License-Identifier: MIT */
#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

START_TEST(values_survive_the_way_there_and_back)
{
	task_ok("local function same(v, text)\n"
		"  local got, e = json.encode(v)\n"
		"  assert(got == text, tostring(got) .. ' ' .. tostring(e))\n"
		"  local back = json.decode(text)\n"
		"  assert(back == v and math.type(back) == math.type(v), text)\n"
		"end\n"
		"same(1, '1') same(1.0, '1.0') same(-0.5, '-0.5') same(0.1, '0.1')\n"
		"same(1e300, '1e+300') same(1/3, '0.3333333333333333')\n"
		"same(math.maxinteger, '9223372036854775807')\n"
		"same(math.mininteger, '-9223372036854775808')\n"
		"same(true, 'true') same(false, 'false') same(json.null, 'null')\n"
		"same('a\"\\\\\\n\\t\\0\\1é', [[\"a\\\"\\\\\\n\\t\\u0000\\u0001é\"]])\n"
		"assert(json == require('json'))");
}
END_TEST

START_TEST(tables_are_arrays_or_objects)
{
	task_ok("assert(json.encode({1, 2, {a = 'x'}}) == '[1,2,{\"a\":\"x\"}]')\n"
		"assert(json.encode({}) == '{}')\n"
		"local v = json.decode('{\"a\": [1, 2.5, null, {\"b\": []}], \"c\": \"d\"}')\n"
		"assert(#v.a == 4 and v.a[1] == 1 and v.a[2] == 2.5 and v.a[3] == json.null)\n"
		"assert(type(v.a[4].b) == 'table' and v.c == 'd')\n"
		"assert(json.encode({a = {1, 2}}, {pretty = true}) ==\n"
		"  '{\\n  \"a\": [\\n    1,\\n    2\\n  ]\\n}')\n"
		"local t = {} t.x, t.y = {1}, nil t.y = t.x\n"
		"assert(#json.encode(t) == #'{\"x\":[1],\"y\":[1]}')");
}
END_TEST

START_TEST(what_json_cannot_say_is_an_error)
{
	task_ok("local function refuses(v, text)\n"
		"  local got, e = json.encode(v)\n"
		"  assert(got == nil and e:find(text, 1, true), tostring(e))\n"
		"end\n"
		"refuses('\\xff', 'not UTF-8') refuses({a = 'ok\\xc0\\x80'}, 'at byte 3')\n"
		"refuses('\\xed\\xa0\\x80', 'UTF-8') refuses('\\xe2\\x82', 'UTF-8')\n"
		"refuses(0/0, 'nan') refuses(1/0, 'inf') refuses(print, 'function')\n"
		"refuses({1, 2, nil, 4, [9] = 1}, 'neither') refuses({1, a = 2}, 'neither')\n"
		"refuses({[true] = 1}, 'boolean')\n"
		"local t = {} t.t = {t} refuses(t, 'contains itself')\n"
		"local deep = {} for i = 1, 600 do deep = {deep} end\n"
		"refuses(deep, 'deeper than 512')");
}
END_TEST

START_TEST(mistakes_in_text_are_errors_with_their_place)
{
	task_ok("for _, s in ipairs{'', '{', '[1,]', '{\"a\" 1}', 'nul', '1 2', '\"\\xff\"',\n"
		"    '99999999999999999999', ('['):rep(100000)} do\n"
		"  local v, e = json.decode(s)\n"
		"  assert(v == nil and e:find('^line %d+, column %d+: '), s)\n"
		"end\n"
		"assert(json.decode(('['):rep(1000) .. (']'):rep(1000)))");
}
END_TEST

START_TEST(null_goes_by_name)
{
	task_ok("local null, v = json.null, {json.null}\n"
		"local ok, a, b = goroutine.await(goroutine.async(function()\n"
		"  return null == json.null, v end))\n"
		"assert(ok and a and b[1] == json.null)");
}
END_TEST

START_TEST(memory_that_runs_out_is_an_error_like_any_other)
{
	struct sl_runtime_config config = {.goroutine_memory_bytes = 4 << 20};
	struct task_run run;

	task_run_with(&run, &config,
		"local s = '[' .. ('1,'):rep(500000) .. '1]'\n"
		"local ok, e = pcall(json.decode, s)\n"
		"assert(not ok and e == 'not enough memory', e)");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s", run.error);
	task_finish(&run);
}
END_TEST

SL_CHECK_MAIN("json", values_survive_the_way_there_and_back, tables_are_arrays_or_objects,
	what_json_cannot_say_is_an_error, mistakes_in_text_are_errors_with_their_place,
	null_goes_by_name, memory_that_runs_out_is_an_error_like_any_other)
