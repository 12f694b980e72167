/* SPDX-License-Identifier: MIT */

/*
 * Requests, to a server of the test's own on loopback.
 */

#include "tests/lua/task_run.h"
#include "tests/lua/web_server.h"
#include "tests/support/check_main.h"

static struct web_server server;
static struct task_run run;

static void start_server(void)
{
	web_start(&server);
}

static void stop_server(void)
{
	web_stop(&server);
}

/* Runs @body, in which u(path) is a URL of the server; expects it to succeed. */
static void http_ok(const char *body)
{
	struct sl_buffer text = SL_BUFFER_INIT;

	sl_buffer_printf(&text,
		"local function u(path) return 'http://127.0.0.1:%d' .. path end\n%s",
		server.port, body);
	sl_buffer_append(&text, "", 1);
	task_ok(text.data);
	sl_buffer_deinit(&text);
}

START_TEST(an_answer_has_all_of_it)
{
	http_ok("local r = assert(http.get(u'/ok'))\n"
		"assert(r.status_code == 200 and r.status == '200 OK' and r.success == true)\n"
		"assert(r.body == 'hello' and r.elapsed_ms > 0)\n"
		"assert(math.type(r.status_code) == 'integer')\n"
		"assert(r.headers['content-length'] == '5')\n"
		"assert(r.headers['Content-Length'] == '5' and r.headers['X-THING'] == 'a, "
		"b')\n"
		"assert(r.headers.nothing == nil and r.nothing == nil)\n"
		"assert(http == require('http'))");
}
END_TEST

START_TEST(a_failure_status_is_an_answer)
{
	http_ok("local r = assert(http.get(u'/500'))\n"
		"assert(r.status_code == 500 and r.status == '500 Internal Server Error')\n"
		"assert(r.success == false and r.body == 'broken')");
}
END_TEST

START_TEST(what_does_not_come_is_nil_and_why)
{
	http_ok("local function fails(url, opts, why)\n"
		"  local r, e = http.get(url, opts)\n"
		"  assert(r == nil and e:find(why), tostring(e))\n"
		"end\n"
		"fails('http://127.0.0.1:1/x?secret', nil, '^GET http://127.0.0.1:1/x: "
		".*onnect')\n"
		"fails('http://me:secret@127.0.0.1:1/', nil, '^GET http://127.0.0.1:1/: ')\n"
		"fails(u'/never', {timeout = 0.2}, 'timed out')\n"
		"fails(u'/slow', {timeout = '100ms'}, 'timed out')\n"
		/* The words differ between libcurl's versions. */
		"fails(u'/half', nil, 'with 96 bytes ')\n"
		"fails(u'/loop', nil, 'redirects')\n"
		"fails(u'/file', nil, 'rotocol')\n"
		"fails('file:///etc/passwd', nil, 'rotocol')\n"
		"fails('nonsense://x', nil, 'rotocol')\n"
		"fails('http://', nil, 'URL')\n"
		"fails('http://no-such-host.invalid/', nil, 'esolve')");
}
END_TEST

START_TEST(redirects_are_followed_unless_not_wanted)
{
	http_ok("local r = assert(http.get(u'/moved'))\n"
		"assert(r.status_code == 200 and r.body == 'hello')\n"
		"assert(r.headers['x-old'] == nil)\n"
		"r = assert(http.get(u'/moved', {follow = false}))\n"
		"assert(r.status_code == 302 and r.body == 'moved' and not r.success)\n"
		"assert(r.headers.location == '/ok')");
}
END_TEST

START_TEST(compressed_answers_are_unpacked)
{
	http_ok("local r = assert(http.get(u'/gzip')) assert(r.body == 'hello gzip', r.body)");
}
END_TEST

START_TEST(a_body_has_a_limit)
{
	http_ok("local r = assert(http.get(u'/large'))\n"
		"assert(r.body == ('x'):rep(2 * 1024 * 1024))\n"
		"local r, e = http.get(u'/large', {max_body = 1000000})\n"
		"assert(r == nil and e:find('larger than 1000000 bytes'), e)\n"
		"assert(http.get(u'/ok', {max_body = 5}).body == 'hello')");
}
END_TEST

START_TEST(requests_say_what_they_are_given)
{
	http_ok("local r = http.get(u'/echo', {headers = {['User-Agent'] = 'Me/1', ['X-N'] = "
		"7,\n"
		"  ['X-Empty'] = '', Accept = false}})\n"
		"assert(r.body:find('^GET /echo HTTP/1.1\\r\\n') and r.body:find('User%-Agent: "
		"Me/1'))\n"
		"assert(r.body:find('X%-N: 7\\r') and r.body:find('X%-Empty:'), r.body)\n"
		"assert(not r.body:find('Accept:'))\n"
		"for _, m in ipairs{'post', 'put', 'patch'} do\n"
		"  r = http[m](u'/echo', 'a body')\n"
		"  assert(r.body:find('^' .. m:upper() .. ' ') and r.body:find('\\r\\n\\r\\na "
		"body$'))\n"
		"end\n"
		"assert(http.post(u'/echo').body:find('^POST '))\n"
		"assert(http.delete(u'/echo').body:find('^DELETE /echo'))\n"
		"r = http.head(u'/echo') assert(r.status_code == 200 and r.body == '')\n"
		"r = http.request{url = u'/echo', method = 'OPTIONS', headers = {A = 'b'}}\n"
		"assert(r.body:find('^OPTIONS ') and r.body:find('A: b'))\n"
		"assert(http.request{url = u'/echo'}.body:find('^GET '))");
}
END_TEST

START_TEST(json_goes_and_comes)
{
	http_ok("local r = http.post(u'/echo', nil, {json = {1, {a = 2.0}}})\n"
		"assert(r.body:find('Content%-Type: application/json'), r.body)\n"
		"assert(r.body:find('%[1,{\"a\":2.0}%]$'), r.body)\n"
		"local r, e = http.post(u'/echo', nil, {json = {print}})\n"
		"assert(r == nil and e:find('function'))\n"
		"r = http.get(u'/json')\n"
		"assert(r.json().a[2] == 2.5 and r:json().a[3] == json.null)\n"
		"local v, e = http.get(u'/ok').json() assert(v == nil and e:find('line 1'))");
}
END_TEST

START_TEST(an_answer_goes_to_another_goroutine)
{
	http_ok("local h = goroutine.async(function() return http.get(u'/json') end)\n"
		"local ok, r = goroutine.await(h)\n"
		"assert(ok and r.status_code == 200 and r.json().a[1] == 1)\n"
		"assert(r.headers['X-Thing'] == 'a, b')\n"
		"h = goroutine.async(function() return http.get('http://127.0.0.1:1/') end)\n"
		"local ok, e = goroutine.await(h)\n"
		"assert(ok == false and e:find('onnect'), e)");
}
END_TEST

START_TEST(wrong_arguments_raise)
{
	task_raises("http.get()", "bad argument #1 to 'get' (string expected, got no value)");
	task_raises("http.get('x', {time = 1})",
		"bad argument #2 to 'get' (there is no option 'time')");
	task_raises("http.get('x', {follow = 1})",
		"bad argument #2 to 'get' (follow: boolean expected, got number)");
	task_raises("http.get('x', {headers = {A = 'b\\r\\nC: d'}})",
		"bad argument #2 to 'get' (headers: the value of 'A' is not one line)");
	task_raises("http.post('x', {json = {}})",
		"bad argument #2 to 'post' (text expected; options such as json are the third "
		"argument)");
	task_raises("http.request{}",
		"bad argument #1 to 'request' (url: string expected, got nothing)");
}
END_TEST

START_TEST(a_stopped_goroutine_closes_its_connection)
{
	/* Until the server has heard of one, and that it has gone. */
	http_ok("while http.get(u'/lost').body == '0' do\n"
		"  local ok, e = goroutine.timeout(100, function()\n"
		"    return http.get(u'/never') end)\n"
		"  assert(not ok and e == 'timeout exceeded') goroutine.sleep(10)\n"
		"end");
}
END_TEST

/* No thread each: the time of all is about the time of one. */
START_TEST(five_hundred_at_once_need_no_threads)
{
	http_ok("local hs, most = {}, 0\n"
		"local function threads()\n"
		"  local s = fs.read('/proc/self/status')\n"
		"  return tonumber(s:match('Threads:%s*(%d+)')) end\n"
		"local t = os.clock()\n"
		"for i = 1, 500 do hs[i] = goroutine.async(function()\n"
		"  return http.get(u'/slow').body end) end\n"
		"for i = 1, 20 do most = math.max(most, threads()) goroutine.sleep(10) end\n"
		"for i, r in ipairs(goroutine.await_all(hs)) do\n"
		"  assert(r.success and r.values[1] == 'hello', r.error) end\n"
		"assert(most < 16, most)\n"
		"t = os.clock() - t\n"
		"assert(t < 15, t)");
}
END_TEST

START_TEST(a_cancelled_task_leaves_no_request_behind)
{
	struct sl_runtime_config config = {.threads = 2};
	char body[400];

	snprintf(body, sizeof(body),
		"for i = 1, 20 do goroutine.spawn(function()\n"
		"  http.get('http://127.0.0.1:%d/never') end) end\n"
		"goroutine.sleep(50) error('enough')",
		server.port);
	task_run_with(&run, &config, body);
	ck_assert_int_eq(run.state, SL_STATE_FAILED);
	ck_assert_ptr_nonnull(strstr(run.error, "enough"));
	task_finish(&run);
}
END_TEST

SL_CHECK_MAIN_WITH("http", start_server, stop_server, an_answer_has_all_of_it,
	a_failure_status_is_an_answer, what_does_not_come_is_nil_and_why,
	redirects_are_followed_unless_not_wanted, compressed_answers_are_unpacked,
	a_body_has_a_limit, requests_say_what_they_are_given, json_goes_and_comes,
	an_answer_goes_to_another_goroutine, wrong_arguments_raise,
	a_stopped_goroutine_closes_its_connection, five_hundred_at_once_need_no_threads,
	a_cancelled_task_leaves_no_request_behind)
