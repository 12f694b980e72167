/* SPDX-License-Identifier: MIT */

/*
 * A goroutine was handed what it waited for, and is stopped before it has its turn: then it is
 * somebody else's.
 *
 * On one thread that is no matter of luck. The context is cancelled first, so whoever runs
 * under it is stopped when the caller of ctx:run() has its turn; what is handed over meanwhile
 * has its turn later.
 */

#include <stdio.h>

#include "tests/lua/task_run.h"
#include "tests/support/check_main.h"

static struct task_run run;

struct row {
	const char *before; /* what there is */
	const char *wait;   /* what is waited for under ctx */
	const char *other;  /* who stands in line behind it; its handle is h */
	const char *hand;   /* hands it over, around ctx:cancel() */
	const char *after;  /* where it has to be */
};

static void write_body(const struct row *row, char *body, size_t size)
{
	snprintf(body, size,
		"local g, ctx = goroutine, goroutine.context()\n"
		"local function turns() for _ = 1, 20 do g.sleep(0) end end\n"
		"local function await(h) local ok, v = g.await(h) assert(ok, v) return v end\n"
		"local function handed(yes) if not yes then log.info('late') end end\n"
		"%s\n"
		"g.spawn(function()\n"
		"  ctx:run(function() %s log.info('it had its turn') end) end)\n"
		"turns() %s\n"
		"turns() %s\n"
		"turns() %s",
		row->before, row->wait, row->other ? row->other : "", row->hand, row->after);
}

/* False: the clock came between. */
static bool happens(const char *body)
{
	bool late;

	task_run_in_turn(&run, body);
	late = strcmp(run.log.data, "") != 0;
	ck_assert_msg(
		late || run.state == SL_STATE_DONE, "%s\n%s %s", body, run.message, run.error);
	task_finish(&run);
	return !late;
}

/* Where a machine has little time, one who runs may be interrupted anywhere: then it has not
 * been handed over at the moment that is meant, and another attempt is made. */
static void follow(const struct row *row)
{
	char body[2048];
	int n = 0;

	write_body(row, body, sizeof(body));
	while (!happens(body))
		ck_assert_msg(++n < 50, "never at the moment that is meant:\n%s", body);
}

#define FOLLOW(rows)                                                                           \
	for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)                          \
	follow(&(rows)[i])

START_TEST(a_value_goes_back_to_its_place)
{
	static const struct row rows[] = {
		{"local ch = g.channel(3)", "ch:receive()", NULL,
			"ctx:cancel() ch:send(1) handed(ch:len() == 0) ch:send(2)",
			"assert(ch:len() == 2 and ch:receive() == 1 and ch:receive() == 2)"},
		{"local ch = g.channel()", "ch:receive()", NULL,
			"ctx:cancel() handed(ch:try_send(1))", "assert(ch:receive() == 1)"},
		{"local ch = g.channel()", "ch:range(print)", NULL,
			"ctx:cancel() handed(ch:try_send(1)) ch:close()",
			"local v, ok = ch:receive() assert(v == 1 and ok == true)\n"
			"v, ok = ch:receive() assert(v == nil and ok == false)"},
		{"local a, b = g.channel(), g.channel()",
			"g.select{{channel = a, receive = true}, {channel = b, receive = "
			"true}}",
			NULL, "ctx:cancel() handed(b:try_send(1))",
			"assert(b:receive() == 1 and not select(2, a:try_receive()))"},
	};

	FOLLOW(rows);
}
END_TEST

START_TEST(a_value_is_for_the_next_receiver)
{
	static const struct row rows[] = {
		{"local ch = g.channel()", "ch:receive()",
			"local h = g.async(function() return ch:receive() end)",
			"ctx:cancel() handed(ch:try_send(1))", "assert(await(h) == 1)"},
		{"local ch = g.channel(1)", "for v in ch:iter() do end",
			"local h = g.async(function()\n"
			"  return (select(2, g.select{{channel = ch, receive = true}})) end)",
			"ctx:cancel() ch:send(1)", "assert(await(h) == 1)"},
	};

	FOLLOW(rows);
}
END_TEST

START_TEST(a_lock_is_free_again)
{
	static const struct row rows[] = {
		{"local mu = g.mutex() mu:lock()", "mu:lock()", NULL,
			"ctx:cancel() mu:unlock() handed(not mu:try_lock())",
			"assert(mu:try_lock())"},
		{"local rw = g.rwmutex() rw:rlock()", "rw:lock()", NULL,
			"ctx:cancel() rw:runlock() handed(not rw:try_rlock())",
			"assert(rw:try_lock())"},
		{"local rw = g.rwmutex() rw:lock()", "rw:rlock()", NULL,
			"ctx:cancel() rw:unlock() handed(not rw:try_lock())",
			"assert(rw:try_lock())"},
		{"local sem = g.semaphore(3) sem:acquire(3)", "sem:acquire(2)", NULL,
			"ctx:cancel() sem:release(3) handed(sem:available() == 1)",
			"assert(sem:available() == 3)"},
	};

	FOLLOW(rows);
}
END_TEST

START_TEST(a_lock_is_for_the_next_in_line)
{
	static const struct row rows[] = {
		{"local mu = g.mutex() mu:lock()", "mu:lock()",
			"local h = g.async(function() mu:lock() end)",
			"ctx:cancel() mu:unlock()", "await(h)"},
		{"local rw = g.rwmutex() rw:lock()", "rw:lock()",
			"local h = g.async(function() rw:rlock() end)",
			"ctx:cancel() rw:unlock()", "await(h) assert(rw:try_rlock())"},
		{"local sem = g.semaphore(3) sem:acquire(3)", "sem:acquire(2)",
			"local h = g.async(function() sem:acquire(3) end)",
			"ctx:cancel() sem:release(3)", "await(h) assert(sem:available() == 0)"},
		/* It got nothing, but was in the way. */
		{"local sem = g.semaphore(2) sem:acquire()", "sem:acquire(2)",
			"local h = g.async(function() sem:acquire() end)", "ctx:cancel()",
			"await(h) assert(sem:available() == 0)"},
		{"local rw = g.rwmutex() rw:rlock()", "rw:lock()",
			"local h = g.async(function() rw:rlock() end)", "ctx:cancel()",
			"await(h) assert(rw:try_rlock())"},
	};

	FOLLOW(rows);
}
END_TEST

#define COND "local cond = g.cond() local mu = cond:get_mutex()"
#define COND_WAIT "mu:lock() cond:wait() mu:unlock()"
#define COND_OTHER "local h = g.async(function() mu:lock() cond:wait() mu:unlock() end)"

START_TEST(a_signal_is_for_the_next_in_line)
{
	static const struct row rows[] = {
		{COND, COND_WAIT, COND_OTHER, "ctx:cancel() cond:signal()", "await(h)"},
		{COND, COND_WAIT, COND_OTHER, "ctx:cancel() cond:broadcast()", "await(h)"},
		/* It has the signal and waits for the mutex. */
		{COND, COND_WAIT, COND_OTHER,
			"mu:lock() cond:signal() turns() ctx:cancel() turns() mu:unlock()",
			"await(h) assert(mu:try_lock())"},
		/* It has the signal, and is handed the mutex. */
		{COND, COND_WAIT, COND_OTHER,
			"mu:lock() cond:signal() turns() ctx:cancel() mu:unlock()",
			"await(h) assert(mu:try_lock())"},
		/* The mutex is free, whoever had it. */
		{COND, COND_WAIT, NULL, "ctx:cancel() cond:signal()", "assert(mu:try_lock())"},
	};

	FOLLOW(rows);
}
END_TEST

START_TEST(once_is_for_the_next_in_line)
{
	static const struct row rows[] = {
		{"local once = g.once()", "once:call(function() g.channel():receive() end)",
			"local h = g.async(function() return once:call(print) end)",
			"ctx:cancel()", "assert(await(h) == true)"},
	};

	FOLLOW(rows);
}
END_TEST

START_TEST(a_result_stays_to_be_awaited)
{
	static const struct row rows[] = {
		{"local ch = g.channel()\n"
		 "local late = g.async(function() ch:receive() return 7 end)",
			"g.await(late)", NULL, "ch:send(1) ctx:cancel()",
			"assert(await(late) == 7)"},
		{"local ch = g.channel()\n"
		 "local late = g.async(function() ch:receive() return 7 end)",
			"g.await_all({late})",
			"local h = g.async(function() return select(2, g.await(late)) end)",
			"ch:send(1) ctx:cancel()", "assert(await(h) == 7)"},
	};

	FOLLOW(rows);
}
END_TEST

START_TEST(a_slot_of_a_pool_is_for_the_next_in_line)
{
	static const struct row rows[] = {
		{"local ch = g.channel() g.pool_create('p', {workers = 1, queue = 0})\n"
		 "g.pool_submit('p', function() ch:receive() end)",
			"g.pool_submit('p', function() end)",
			"local h = g.async(g.pool_submit, 'p', function() end)",
			"ch:send(1) ctx:cancel()",
			"assert(await(h) == 'p-2') g.pool_close('p')"},
	};

	FOLLOW(rows);
}
END_TEST

/* What a call took that was in time, or just not, is told to who waits for it. */
START_TEST(one_call_under_a_timeout_happens_or_does_not)
{
	struct sl_runtime_config config = {.threads = 8};

	task_run_with(&run, &config,
		"local g, sent, got = goroutine, goroutine.atomic_int(), "
		"goroutine.atomic_int()\n"
		"local mu, rw, sem, ch = g.mutex(), g.rwmutex(), g.semaphore(2), g.channel(1)\n"
		"local forever = g.context()\n"
		"local handles = {}\n"
		"for i = 1, 16 do handles[i] = g.async(function()\n"
		"  math.randomseed(i)\n"
		"  local function in_time(...)\n"
		"    if math.random(2) == 1 then return g.timeout(math.random() / 2, ...) end\n"
		"    return forever:with_timeout(math.random() / 2):run(...)\n"
		"  end\n"
		"  for k = 1, 50 do\n"
		"    if in_time(mu.lock, mu) then g.sleep(0) mu:unlock() end\n"
		"    if in_time(rw.lock, rw) then g.sleep(0) rw:unlock() end\n"
		"    if in_time(rw.rlock, rw) then g.sleep(0) rw:runlock() end\n"
		"    if in_time(sem.acquire, sem) then g.sleep(0) sem:release() end\n"
		"    if in_time(ch.send, ch, k) then sent:inc() end\n"
		"    local ok, v, there = in_time(ch.receive, ch)\n"
		"    if ok and there then got:inc() end\n"
		"  end end) end\n"
		"for _, r in ipairs(g.await_all(handles)) do assert(r.success, r.error) end\n"
		"assert(mu:try_lock() and rw:try_lock() and sem:available() == 2)\n"
		/* Who sends may be stopped when the value is on its way; it is not lost. */
		"assert(sent:load() <= got:load() + ch:len(), 'a value is lost')");
	ck_assert_msg(run.state == SL_STATE_DONE, "%s %s", run.message, run.error);
	task_finish(&run);
}
END_TEST

SL_CHECK_MAIN("lua/give_back", a_value_goes_back_to_its_place, a_value_is_for_the_next_receiver,
	a_lock_is_free_again, a_lock_is_for_the_next_in_line, a_signal_is_for_the_next_in_line,
	once_is_for_the_next_in_line, a_result_stays_to_be_awaited,
	a_slot_of_a_pool_is_for_the_next_in_line, one_call_under_a_timeout_happens_or_does_not)
