# SPDX-License-Identifier: MIT
"""Tasks that mean harm or went mad: each ends as it must and when it must, and leaves nothing.

Every row is run as a task of its own with a deadline. What only a goroutine's own timeout or a
cancel can show is in the classes below the table.
"""
import os
import pathlib
import re
import socket
import time
import unittest

from house import SANITIZED, SLOW, Case, alive, descendants, wait_for

TIMEOUT_MS = 400
# What it has left after its deadline, in a busy machine's time.
GRACE_MS = 3500
AT_ONCE = 8
MEMORY = 96 << 20
DEPTH = 100000 if SANITIZED else 1000000

ANY = ("done", "failed", "crashed", "timeout")


class Row:
    """A task's body and how it must end.

    @stops: a goroutine.timeout() around it ends it while the task goes on; False: it sits in a
    function in C, and its worker has to go; None: neither can be relied on.
    """

    def __init__(self, name, body, *ends, says=None, stops=True, memory=0, files=0,
                 alone=False):
        self.name = name
        self.body = body
        self.ends = ends or ("timeout",)
        self.says = says
        self.stops = stops
        self.limits = {}
        if memory:
            self.limits["memory"] = memory
        if files:
            self.limits["files"] = files
        self.alone = alone

    def __str__(self):
        return self.name


LOOP = "while true do end"
META = "local x = setmetatable({}, {%s = function() while true do end end}) "

LOOPS = [
    Row("a loop", LOOP),
    Row("a loop of gotos", "::again:: goto again"),
    Row("a loop over next", "for k in function() return 1 end do end"),
    Row("loops in pcall", "while true do pcall(function() while true do end end) end"),
    Row("errors in pcall", "while true do pcall(error, 'again') end"),
    Row("pcall of pcall",
        "local function f() pcall(f) while true do end end f()"),
    Row("a tail of pcalls", "local function f() return pcall(f) end while true do f() end"),
    Row("a handler that loops", "xpcall(error, function() while true do end end)"),
    Row("handlers that loop in a comparator",
        "table.sort({3, 2, 1}, function() while true do xpcall(function() while true do end "
        "end, function() while true do end end) end end)"),
    Row("handlers that raise", "while true do xpcall(error, function() error('x') end) end"),
    Row("coroutines inside coroutines",
        "local function f(n) if n == 0 then while true do end end "
        "coroutine.wrap(f)(n - 1) end f(50)"),
    Row("resumes that swallow errors",
        "local function f() while true do end end "
        "while true do coroutine.resume(coroutine.create(f)) end"),
    Row("a loop over coroutine.wrap",
        "for _ in coroutine.wrap(function() while true do coroutine.yield(1) end end) do end"),
    Row("coroutines without end",
        "while true do coroutine.wrap(function() coroutine.yield() end)() end"),
    Row("a coroutine closed by a loop",
        "local co = coroutine.create(function() local x <close> = setmetatable({}, {__close = "
        "function() while true do end end}) coroutine.yield() end) "
        "coroutine.resume(co) coroutine.close(co)"),
    Row("a __close that loops",
        "do local x <close> = setmetatable({}, {__close = function() while true do end end}) "
        "end"),
    Row("a __close that loops when it is stopped",
        "local x <close> = setmetatable({}, {__close = function() while true do end end}) "
        + LOOP),
    Row("a __close that sleeps when it is stopped",
        "local x <close> = setmetatable({}, {__close = function() goroutine.sleep(60000) end}) "
        "goroutine.sleep(60000)"),
    Row("a __close that begins more when it is stopped",
        "local function f() local x <close> = setmetatable({}, {__close = function() while "
        "true do pcall(goroutine.spawn, f) end end}) while true do end end f()"),
    Row("a __gc that sleeps",
        "setmetatable({}, {__gc = function() goroutine.sleep(60000) end}) collectgarbage()"),
    Row("a __gc that makes the next one",
        "local function f() setmetatable({}, {__gc = f}) end f() "
        "while true do collectgarbage() end"),
    Row("__index", META % "__index" + "return x.y"),
    Row("__newindex", META % "__newindex" + "x.y = 1"),
    Row("__call", META % "__call" + "x()"),
    Row("__concat", META % "__concat" + "return x .. 'y'"),
    Row("__eq", META % "__eq" + "return x == setmetatable({}, getmetatable(x))"),
    Row("__lt", META % "__lt" + "return x < x"),
    Row("__len", META % "__len" + "return #x"),
    Row("__tostring", META % "__tostring" + "return true, tostring(x)"),
    Row("__tostring in a log line", META % "__tostring" + "log.info(x)"),
    Row("__pairs", META % "__pairs" + "for k in pairs(x) do end"),
    Row("a comparator",
        "table.sort({3, 2, 1, 5, 4}, function() while true do end end)"),
    Row("a comparator that swallows errors",
        "table.sort({3, 2, 1}, function() while true do pcall(function() while true do end "
        "end) end end)"),
    Row("a comparator that sleeps",
        "table.sort({3, 2, 1}, function() goroutine.sleep(60000) end)"),
    Row("a callback of gsub", "string.gsub('x', 'x', function() while true do end end)"),
    Row("a coroutine in a callback of gsub",
        "string.gsub('x', 'x', function() coroutine.wrap(function() while true do end end)() "
        "end)"),
    Row("a reader of load", "load(function() return ' ' end)"),
    Row("a reader of load that loops", "load(function() while true do end end)"),
    Row("a require that loops",
        "package.preload.m = function() while true do end end require('m')"),
    Row("strings of 16 MB again and again",
        "local part = ('x'):rep(65536) while true do local s = part:rep(256) end"),
    Row("sort, wrap and pcall in each other",
        "while true do pcall(table.sort, {3, 2, 1}, function() coroutine.wrap(function() "
        "pcall(function() while true do end end) end)() end) end"),
    Row("timeouts ten deep",
        "local function f(n) if n == 0 then while true do end end "
        "goroutine.timeout(600000, function() f(n - 1) end) end f(10)"),
    Row("timeouts ten deep, each in a comparator",
        "local function f(n) if n == 0 then while true do end end table.sort({2, 1}, function() "
        "goroutine.timeout(600000, function() f(n - 1) end) end) end f(10)"),
    Row("errors in __close when it is stopped",
        "local function bad(e) return setmetatable({}, {__close = function() error(e) end}) end "
        "local a <close> = bad('a') local b <close> = bad({}) " + LOOP),
    Row("handlers in handlers",
        "local function h() xpcall(error, h) end xpcall(error, h) " + LOOP),
    Row("concats", "local t = {} for i = 1, 100000 do t[i] = 'xxxxxxxxxx' end "
        "while true do table.concat(t, ',') end"),
    Row("wide formats", "while true do string.format('%99.99f%99d%-99s%q', 1e300, 1, 'x', "
        "('\\0'):rep(100000)) end"),
    Row("texts that are loaded",
        "while true do load(('local a = {'):rep(100) .. ('}'):rep(100)) end"),
    Row("a dumped loop", "load(string.dump(function() while true do end end))()"),
    Row("dumps", "local function f() return f end while true do load(string.dump(f))() end"),
    Row("a searcher that loops",
        "package.searchers = {function() while true do end end} require('nothing')"),
    Row("a log line's fields that loop",
        "local f = function() while true do end end "
        "log.info('x', setmetatable({a = 1}, {__index = f, __pairs = f, __len = f})) " + LOOP),
    Row("goroutines begun by finalizers",
        "while true do setmetatable({}, {__gc = function() pcall(goroutine.spawn, print) end}) "
        "end"),
    Row("a collector that never rests",
        "collectgarbage('generational') local t = {} while true do t[#t % 10000 + 1] = {t} "
        "collectgarbage('step', 0) end"),
    Row("tracebacks of much",
        "local function f(n) if n > 0 then return (f(n - 1)) end while true do "
        "debug.traceback('x') end end f(10000)"),
    Row("all that debug says",
        "while true do for level = 0, 5 do debug.getinfo(level, 'nSltufrL') end end"),
]

# A function in C that doesn't come back: the worker goes. And finalizers, which Lua runs without
# hooks and which end all the same.
STUCK = [
    Row("a __gc that loops",
        "setmetatable({}, {__gc = function() while true do end end}) collectgarbage()"),
    Row("a __gc that loops while others are made",
        "setmetatable({}, {__gc = function() while true do end end}) "
        "while true do local t = {} end"),
    Row("a __gc that loops at the end",
        "setmetatable({}, {__gc = function() while true do end end}) return true, 'ended'",
        stops=None),
    Row("a pattern bomb",
        "string.find(string.rep('a', 50000), string.rep('.-', 20) .. 'b')", stops=False),
    Row("nothing, often", "string.rep('', 1 << 62)", stops=False),
    Row("a move of nothing", "table.move({}, 1, 1 << 60, 2, {})", stops=False),
    Row("an insert into a table that says it is long",
        "table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 1)",
        stops=False),
    Row("a fifo that is loaded",
        "local name = os.tmpname() .. '.fifo' os.execute('mkfifo ' .. name) loadfile(name)",
        stops=False),
    Row("a pattern of many repetitions",
        "string.gsub(('a'):rep(50), ('a*'):rep(50) .. 'b', '')", stops=False),
    Row("a balance that is never reached",
        "string.gsub(('('):rep(1024):rep(2048), '%b()', '')", stops=False),
]

MEMORY_ROWS = [
    Row("a string that grows", "local s = 'x' while true do s = s .. s end", "failed",
        says="memory limit", memory=MEMORY),
    Row("a table that grows", "local t = {} while true do t[#t + 1] = {} end", "failed",
        says="memory limit", memory=MEMORY),
    Row("a hog without a collector",
        "collectgarbage('stop') while true do local t = {1, 2, 3} end", "failed", "timeout",
        memory=MEMORY),
    Row("a hog that catches it",
        "while true do pcall(function() local t = {} while true do t[#t + 1] = {} end end) end",
        memory=MEMORY),
    Row("gigabytes at once", "return #string.rep('x', 1 << 30)", "failed",
        says="not enough memory"),
    Row("a file without end", "return #io.open('/dev/zero'):read('a')", "failed", "timeout"),
    Row("a concat of a table that says it is long",
        "return table.concat(setmetatable({}, {__len = function() return math.maxinteger end, "
        "__index = function() return 'xxxxxxxxxxxxxxxxxxxxxxxx' end}))", "failed", "timeout",
        memory=MEMORY),
    Row("an unpack of very much", "return select('#', table.unpack({}, 1, 1 << 30))", "failed",
        says="too many results"),
    Row("goroutines that hog",
        "goroutine.spawn_many(50, function() local t = {} while true do t[#t + 1] = {} end end)",
        "failed", "done", "timeout", memory=MEMORY),
    Row("a channel that takes everything",
        "local ch, s = goroutine.channel(1000000), string.rep('x', 1000000) "
        "while true do ch:send(s) end", "failed", says="memory limit", memory=MEMORY),
    Row("a million gigabytes", "return #string.rep('xxxxxxxx', 1 << 50)", "failed",
        says="too large"),
    Row("a device without end", "return fs.read('/dev/zero') == nil", "done", "timeout"),
    Row("results by the million",
        "return select('#', string.byte(('x'):rep(4096):rep(4096), 1, -1))", "failed",
        says="too long"),
    Row("a finalizer that hogs",
        "setmetatable({}, {__gc = function() local t = {} while true do t[#t + 1] = {} end end}) "
        "collectgarbage() return true", "done", "failed", "timeout", memory=MEMORY),
    Row("a __close that hogs",
        "local x <close> = setmetatable({}, {__close = function() local t = {} while true do "
        "t[#t + 1] = {} end end}) return true", "failed", "timeout", says="memory limit",
        memory=MEMORY),
    Row("a message handler that hogs",
        "xpcall(error, function() local t = {} while true do t[#t + 1] = {} end end)",
        "done", "failed", "timeout", memory=MEMORY),
    Row("a text that is much once it is loaded",
        "local f = load('return {' .. ('{{{}}},'):rep(1 << 18) .. '}') local t = {} "
        "while true do t[#t + 1] = f() end", "failed", "timeout", memory=MEMORY),
]

DEEP = [
    Row("deep recursion", "local function f() return 1 + f() end f()", "failed",
        says="stack overflow"),
    Row("deep recursion through gsub",
        "local function f() string.gsub('x', 'x', f) end f()", "failed",
        says="C stack overflow"),
    Row("deep recursion through coroutines",
        "local function f() coroutine.wrap(f)() end f()", "failed", says="stack overflow"),
    Row("a deep expression", "assert(load('return ' .. string.rep('(', 1000000)))", "failed",
        says="overflow"),
    Row("a deep table to a goroutine",
        "local t = {} for i = 1, %d do t = {t} end " % DEPTH +
        "return goroutine.await(goroutine.async(function(x) return x end, t))", "done",
        "failed", "timeout"),
    Row("a deep table as the outputs",
        "local t = {} for i = 1, 100000 do t = {t} end return true, 'deep', t", "failed",
        "done"),
    Row("a deep table as the error",
        "local t = {} for i = 1, 100000 do t = {t} end error(t)", "failed"),
    Row("a table within itself as the outputs",
        "local t = {} t.t = t return true, 'round', t", "done", "failed"),
    Row("outputs of 100 MB",
        "local t, part = {}, ('x'):rep(1024) for i = 1, 100 do t[i] = i .. part:rep(1024) end "
        "return true, 'large', t", "done", "failed"),
    Row("an error that can't be told",
        "error(setmetatable({}, {__tostring = function() error('no') end}))", "failed"),
    Row("an error that takes its time",
        "error(setmetatable({}, {__tostring = function() while true do end end}))", "failed",
        "timeout"),
    Row("an error without a value", "error(nil)", "failed"),
    Row("an error that is a coroutine", "error(coroutine.create(print))", "failed"),
    Row("an error of 50 MB", "error(('x'):rep(1024):rep(50 << 10))", "failed"),
    Row("recursion in __index",
        "local t = setmetatable({}, {__index = function(t, k) return t[k] end}) return t.x",
        "failed", says="C stack overflow"),
    Row("recursion in __tostring",
        "local m = {__tostring = function(x) return tostring(x) end} "
        "return tostring(setmetatable({}, m))", "failed", says="C stack overflow"),
    Row("recursion in __close",
        "local function f() local x <close> = setmetatable({}, {__close = function() f() end}) "
        "end f()", "failed", says="stack overflow"),
    Row("recursion in __gc",
        "local function f() return 1 + f() end setmetatable({}, {__gc = f}) collectgarbage() "
        "return true", "done", "timeout"),
    Row("recursion in require",
        "package.preload.a = function() package.loaded.a = nil return require('a') end "
        "require('a')", "failed", says="C stack overflow"),
    Row("recursion with a C stack said to have no limit",
        "debug.setcstacklimit(1 << 30) local function f() return (string.gsub('x', 'x', f)) end "
        "f()", "failed", says="C stack overflow"),
    Row("deep JSON",
        "pcall(json.decode, ('['):rep(1000000)) local t = {} for i = 1, %d do t = {t} end "
        "pcall(json.encode, t) return true" % DEPTH, "done", "timeout"),
]

WAITS = [
    Row("a fifo that nobody writes to",
        "local name = os.tmpname() .. '.fifo' os.execute('mkfifo ' .. name) "
        "io.open(name):read()"),
    Row("sleep", "goroutine.sleep(600000)"),
    Row("a sleep for ever", "goroutine.sleep(math.huge)"),
    Row("a wait group",
        "local wg = goroutine.wait_group() wg:add(1) "
        "goroutine.spawn(function() goroutine.sleep(600000) wg:done() end) wg:wait()"),
    Row("await",
        "goroutine.await(goroutine.async(function() goroutine.sleep(600000) end))"),
    Row("await of a loop", "goroutine.await(goroutine.async(function() while true do end end))"),
    Row("await_all",
        "local t = {} for i = 1, 100 do t[i] = goroutine.async(goroutine.sleep, 600000) end "
        "goroutine.await_all(t)"),
    Row("a full pool",
        "goroutine.pool_create('p', {workers = 1, queue = 1}) while true do "
        "goroutine.pool_submit('p', function() goroutine.sleep(600000) end) end"),
    Row("pool_wait",
        "goroutine.pool_create('p') goroutine.pool_submit('p', function() while true do end "
        "end) goroutine.pool_wait('p')"),
    Row("pool_close",
        "goroutine.pool_create('p') goroutine.pool_submit('p', function() goroutine.sleep("
        "600000) end) goroutine.pool_close('p')"),
    Row("a channel that nobody sends to",
        "local ch = goroutine.channel() goroutine.spawn(function() goroutine.sleep(600000) "
        "ch:close() end) ch:receive()"),
    Row("a channel that nobody receives from",
        "local ch = goroutine.channel(1) goroutine.spawn(function() goroutine.sleep(600000) "
        "ch:close() end) while true do ch:send(1) end"),
    Row("two that keep each other busy",
        "local a, b = goroutine.channel(), goroutine.channel() "
        "goroutine.spawn(function() for v in a:iter() do b:send(v) end end) "
        "while true do a:send(1) b:receive() end"),
    Row("a select that nothing comes to",
        "local a, b = goroutine.channel(), goroutine.channel() goroutine.spawn(function() "
        "goroutine.sleep(600000) a:close() end) goroutine.select({{channel = a, receive = true}, "
        "{channel = b, send = 1}})"),
    Row("a select whose handler loops",
        "local a = goroutine.channel() a:close() goroutine.select({{channel = a, receive = true, "
        "handler = function() while true do end end}})"),
    Row("selects without end",
        "local a = goroutine.channel() while true do goroutine.select({{channel = a, receive = "
        "true}, {default = true}}) end"),
    Row("a mutex held for ever",
        "local mu = goroutine.mutex() goroutine.spawn(function() mu:lock() "
        "while true do end end) goroutine.sleep(20) mu:lock()"),
    Row("a lock in a comparator",
        "local mu = goroutine.mutex() mu:lock() goroutine.spawn(function() goroutine.sleep("
        "600000) mu:unlock() end) table.sort({3, 2, 1}, function() mu:lock() end)"),
    Row("an rwmutex that many read",
        "local rw = goroutine.rwmutex() goroutine.spawn_many(20, function() while true do "
        "rw:rlock() rw:runlock() end end) while true do rw:lock() rw:unlock() end"),
    Row("a semaphore without permits",
        "local sem = goroutine.semaphore(1) sem:acquire() goroutine.spawn(function() "
        "goroutine.sleep(600000) sem:release() end) sem:acquire()"),
    Row("a cond that nobody signals",
        "local cond = goroutine.cond() local mu = cond:get_mutex() goroutine.spawn(function() "
        "goroutine.sleep(600000) cond:signal() end) mu:lock() cond:wait()"),
    Row("a once that is never over",
        "local once = goroutine.once() goroutine.spawn(function() once:call(function() while "
        "true do end end) end) goroutine.sleep(20) once:call(print)"),
    Row("counting for ever",
        "local n = goroutine.atomic_int() goroutine.spawn_many(10, function() while true do "
        "n:inc() end end) while not n:cas(-1, 0) do end"),
    Row("a context that nobody cancels",
        "local ctx = goroutine.context():with_timeout(600000) ctx:done():receive()"),
    Row("a pipeline that never ends",
        "local input = goroutine.channel() local output = goroutine.pipeline(input, {function() "
        "while true do end end}) input:send(1) output:receive()"),
    Row("fans in a circle",
        "local ch = goroutine.channel(1) ch:send(1) while true do local outs = "
        "goroutine.fan_out(ch, 10) ch = goroutine.fan_in(outs) end", "timeout", "failed",
        memory=MEMORY),
    Row("a server that never answers",
        "http.get('http://127.0.0.1:SILENT/', {timeout = 600})"),
    Row("a timeout that is never over",
        "goroutine.timeout(600000, function() goroutine.sleep(600000) end)"),
    Row("timeouts in a loop",
        "while true do goroutine.timeout(1, function() while true do end end) end"),
    Row("a deadlock", "goroutine.wait_group():wait() local wg = goroutine.wait_group() "
        "wg:add(1) wg:wait()", "failed", says="deadlock"),
    Row("a hundred waits in comparators",
        "goroutine.spawn_many(100, function() table.sort({3, 2, 1}, function() "
        "goroutine.sleep(600000) end) end) goroutine.sleep(600000)"),
]

MANY = [
    Row("2000 goroutines that loop",
        "goroutine.spawn_many(2000, function() while true do end end)", alone=True,
        memory=512 << 20),
    Row("goroutines that begin goroutines",
        "local function f() while true do goroutine.spawn(f) end end f()", "timeout", "failed",
        memory=MEMORY, alone=True),
    Row("goroutines that double",
        "local function f() goroutine.spawn(f) goroutine.spawn(f) goroutine.sleep(600000) end "
        "f()", "timeout", "failed", memory=MEMORY, alone=True),
    Row("async that nobody awaits",
        "while true do goroutine.async(function() while true do end end) end", "timeout",
        "failed", memory=MEMORY, alone=True),
    Row("very many at once",
        "goroutine.spawn_many(1 << 60, function() end)", "timeout", "failed", memory=MEMORY),
    Row("pools without end",
        "local n = 0 while true do n = n + 1 goroutine.pool_create('p' .. n) end", "timeout",
        "failed", memory=MEMORY),
    Row("a pool of very many",
        "assert(goroutine.pool_create('p', {workers = 1 << 40, queue = 1 << 60}))", "failed",
        "done"),
    Row("wait groups without end",
        "local t = {} while true do t[#t + 1] = goroutine.wait_group() end", "timeout",
        "failed", memory=MEMORY),
]

PROCESSES = [
    Row("a process that sleeps", "os.execute('sleep 600')"),
    Row("a process in exec", "exec.run('sleep 600')"),
    Row("a process that ignores signals", "os.execute(\"trap '' TERM INT HUP; while :; do "
        "sleep 600; done\")"),
    Row("a process that left the session", "os.execute('setsid sleep 600 & sleep 600')"),
    Row("a double fork", "os.execute('(setsid sh -c \"sleep 600 & sleep 601 &\" &) ; sleep 600')"
        ),
    Row("processes left behind", "os.execute('setsid sleep 600 & (setsid sleep 601 &)') "
        "return true", "done", stops=None),
    Row("processes without end",
        "os.execute('while :; do setsid sleep 600 & done')", alone=True),
    Row("a process that jumps",
        "os.execute(\"f() { f & }; f; sleep 600\")", alone=True),
    Row("goroutines that begin processes",
        "goroutine.spawn_many(100, function() while true do os.execute('true') end end)",
        alone=True),
    Row("a process that forked twice and ignores signals",
        "exec.run(\"trap '' TERM INT HUP; (setsid sh -c 'trap \\\"\\\" TERM INT HUP; "
        "while :; do sleep 600; done' &); while :; do sleep 600; done\")"),
    Row("processes without their environment",
        "os.execute('env -i setsid sh -c \"sleep 600 & sleep 601\" & sleep 602')"),
    Row("popen that nobody reads",
        "local f = io.popen('yes', 'r') " + LOOP),
    Row("popen that nobody closes", "io.popen('sleep 600') goroutine.sleep(600000)"),
    Row("popen that says nothing", "io.popen('sleep 600'):read('a')"),
    Row("popen that says nothing, read by io",
        "io.input(io.popen('sleep 600')) for line in io.lines() do end"),
    Row("popen that doesn't listen",
        "local f = io.popen('sleep 600', 'w') while true do f:write(string.rep('x', 65536)) "
        "end"),
    Row("popen that doesn't listen to io",
        "io.output(io.popen('sleep 600', 'w')) while true do io.write(('x'):rep(65536)) end"),
    Row("popen that doesn't end", "io.popen('sleep 600', 'w'):close()"),
    Row("popen in a comparator",
        "table.sort({3, 2, 1}, function() io.popen('sleep 600'):read('a') end)"),
    Row("popen that ignores signals",
        "io.popen(\"trap '' TERM INT HUP PIPE; while :; do sleep 600; done\"):read('a')"),
    Row("many popens", "local t = {} for i = 1, 50 do t[i] = io.popen('setsid sleep 600') end "
        "t[1]:read('a')"),
    Row("yes", "os.execute('yes')", alone=True),
    Row("a signal to its own group", "os.execute('kill -9 0') goroutine.sleep(600000)",
        "crashed", "timeout", stops=None),
    Row("a kill of its own worker", "os.execute('kill -9 $PPID') goroutine.sleep(600000)",
        "crashed", says="signal 9", stops=None),
    Row("a stop of its own worker",
        "os.execute('kill -STOP $PPID') goroutine.sleep(600000)", stops=None),
    # A sanitizer answers the fault itself, in its own way.
    *([] if SANITIZED else [
        Row("a fault", "os.execute('kill -SEGV $PPID') goroutine.sleep(600000)", "crashed",
            says="signal 11", stops=None)]),
    Row("signals that mean something here",
        "for i = 1, 20 do os.execute('kill -URG $PPID; kill -PIPE $PPID; kill -CHLD $PPID') "
        "end return true", "done", "timeout", stops=None),
]

EXITS = [
    Row("os.exit", "os.exit(3)", "failed", says="exit status 3"),
    Row("os.exit in pcall", "pcall(os.exit, 3) while true do end", "failed",
        says="exit status 3"),
    Row("os.exit in a coroutine",
        "coroutine.wrap(function() pcall(os.exit, 3) end)() while true do end", "failed",
        says="exit status 3"),
    Row("os.exit in a goroutine",
        "goroutine.spawn(function() os.exit(3) end) while true do end", "failed",
        says="exit status 3"),
    Row("os.exit in __gc",
        "setmetatable({}, {__gc = function() os.exit(3) end}) collectgarbage() "
        "while true do end", "failed", says="exit status 3"),
    Row("os.exit in __close",
        "do local x <close> = setmetatable({}, {__close = function() os.exit(3) end}) end "
        "while true do end", "failed", says="exit status 3"),
    Row("os.exit in a comparator",
        "table.sort({3, 2, 1}, function() pcall(os.exit, 3) while true do end end)", "failed",
        says="exit status 3"),
    Row("os.exit well", "pcall(os.exit, true, true) error('not this')", "done"),
    Row("os.exit at the end",
        "setmetatable({}, {__gc = function() os.exit(3) end}) return true", "failed", "done"),
]

OUTPUT = [
    Row("a stdout that is closed",
        "io.stdout:close() print('a') pcall(io.write, 'b') io.stderr:close() log.info('c') "
        "return true", "done", "failed"),
    Row("100 MB of output",
        "local s = ('x'):rep(1024):rep(1024) for i = 1, 100 do print(s) end return true", "done",
        "timeout", alone=True),
    Row("100 MB in one line", "log.info(('x'):rep(1024):rep(100 << 10)) return true", "done",
        "failed", "timeout", alone=True),
    Row("a line without end", "while true do io.write('x') end", alone=True),
    Row("lines without end", "while true do log.info('again') end", alone=True),
    Row("lines without end from many",
        "goroutine.spawn_many(50, function() while true do log.info('again') end end)",
        alone=True),
]

CRASHERS = [
    Row("writes over its own memory",
        "local maps = io.open('/proc/self/maps'):read('a') "
        "local mem = assert(io.open('/proc/self/mem', 'r+b')) "
        "for from, to in maps:gmatch('(%x+)-(%x+) r.xp') do "
        "mem:seek('set', tonumber(from, 16)) "
        "pcall(mem.write, mem, string.rep('\\0', tonumber(to, 16) - tonumber(from, 16))) "
        "mem:flush() end while true do goroutine.sleep(1) end", "crashed", "failed"),
    Row("reads its own memory",
        "local mem = assert(io.open('/proc/self/mem', 'rb')) while true do mem:seek('set', 0) "
        "mem:read(1) end"),
    Row("writes to what its descriptors are",
        "for i = 0, 100 do pcall(function() local f = io.open('/proc/self/fd/' .. i, 'r+b') "
        "f:write(string.rep('\\xff', 4096)) f:flush() end) end return true", *ANY),
    Row("empties what it knows of itself",
        "local registry = debug.getregistry() for k in pairs(registry) do registry[k] = nil end "
        "goroutine.await(goroutine.async(function() return 1 end)) "
        "io.open('/dev/null') return true", *ANY),
    Row("damaged bytecode",
        "local good = string.dump(function(a) local t = {} for i = 1, a do t[i] = i .. 'x' end "
        "return t end) math.randomseed(%d) for i = 1, 200000 do local at = math.random(20, "
        "#good) local bad = good:sub(1, at - 1) .. string.char(math.random(0, 255)) .. "
        "good:sub(at + 1) local f = load(bad, 'x', 'b') if f then pcall(f, 10) end end "
        "return true", *ANY),
    Row("metatables of functions",
        "debug.setmetatable(print, {__index = function() while true do end end, __call = 1}) "
        "debug.setmetatable('', nil) debug.setmetatable(nil, {__call = function() while true "
        "do end end}) local x = nil x()"),
    Row("changes C functions' variables",
        "local co = coroutine.create(function() exec.run('sleep 600') end) "
        "goroutine.spawn(function() while true do for l = 0, 3 do for i = 1, 12 do pcall("
        "debug.setlocal, co, l, i, 1) end end goroutine.sleep(1) end end) "
        "coroutine.resume(co)", *ANY),
    Row("other upvalues for functions in C",
        "local w = coroutine.wrap(print) debug.setupvalue(w, 1, 5) pcall(w) for _, m in "
        "pairs(package.loaded) do for _, f in pairs(type(m) == 'table' and m or {}) do "
        "if type(f) == 'function' then for i = 1, 5 do debug.setupvalue(f, i, nil) end end end "
        "end return true", *ANY),
    Row("many files", "local t = {} while true do t[#t + 1] = assert(io.open('/dev/null')) end",
        "failed", says="Too many open files", files=64),
    Row("many files and then a process",
        "local t = {} repeat t[#t + 1] = io.open('/dev/null') until not t[#t + 1] and "
        "not io.open('/dev/null') print(os.execute('true')) print(pcall(exec.run, 'true')) "
        "return true", "done", files=64),
]

TAMPERING = [
    Row("no hooks", "assert(debug.sethook == nil) return true", "done"),
    Row("without its globals",
        "local loop = pcall for k in pairs(_G) do _ENV[k] = nil end while true do "
        "loop(function() while true do end end) end"),
    Row("with other globals",
        "local function f() return 1 end error, pcall, tostring, print, coroutine, debug, "
        "setmetatable, type = f, f, f, f, f, f, f, f log.info({}) " + LOOP),
    Row("an error without its globals",
        "local raise = error for k in pairs(_G) do _ENV[k] = nil end raise({})", "failed"),
    Row("without its modules",
        "for k in pairs(package.loaded) do package.loaded[k] = nil end package.loaded = nil "
        "package.preload = nil package.searchers = nil package = nil "
        "local ok = goroutine.await(goroutine.async(function() return goroutine.sleep(1) end)) "
        "return ok", "done", "failed"),
    Row("another module of the same name",
        "package.loaded.goroutine = {sleep = function() while true do end end} "
        "require('goroutine').sleep(1)"),
    Row("numbers that are none",
        "for _, n in ipairs({0/0, -1/0, 1/0 * 0, math.mininteger, -1}) do "
        "goroutine.sleep(n) goroutine.timeout(n, print) pcall(goroutine.spawn_many, n, print) "
        "pcall(goroutine.channel, n) pcall(goroutine.pool_create, 'x', {workers = n}) "
        "pcall(function() goroutine.wait_group():add(n) end) end return true", "done", "failed",
        "timeout"),
    Row("a wait group beyond all numbers",
        "local wg = goroutine.wait_group() wg:add(math.maxinteger) wg:add(math.maxinteger) "
        "return true", "done", "failed"),
    Row("wrong selves",
        "local wg, ch = goroutine.wait_group(), goroutine.channel(1) local meta = "
        "debug.getmetatable(wg) for _, f in pairs(type(meta.__index) == 'table' and "
        "meta.__index or {}) do pcall(f, ch) pcall(f, io.stdout) pcall(f, {}) pcall(f) end "
        "if meta.__gc then pcall(meta.__gc, wg) pcall(meta.__gc, wg) pcall(meta.__gc, ch) "
        "pcall(wg.wait, wg) pcall(meta.__gc, {}) end return true", "done", "failed"),
    Row("a finalizer that comes after its handle's",
        "local t = setmetatable({}, {__gc = function(t) pcall(t.wg.done, t.wg) "
        "pcall(t.ch.send, t.ch, 1) pcall(goroutine.await, t.f) end}) "
        "t.wg, t.ch, t.f = goroutine.wait_group(), goroutine.channel(1), "
        "goroutine.async(print) return true", "done"),
    Row("shared tables whose metatables loop",
        "local function f() while true do end end local t = setmetatable({}, {__index = f, "
        "__newindex = f, __len = f, __pairs = f, __eq = f, __call = f, __name = 'x', __mode = "
        "'kv', __metatable = false}) local wg = goroutine.wait_group() wg:add(2) for i = 1, 2 do "
        "goroutine.spawn(function() rawset(t, i, i) wg:done() end) end wg:wait() "
        "return rawget(t, 1) == 1 and rawget(t, 2) == 2", "done"),
    Row("a shared table whose metatable all change",
        "local t, wg = {}, goroutine.wait_group() wg:add(20) for i = 1, 20 do "
        "goroutine.spawn(function() for j = 1, 50 do setmetatable(t, {__index = function() "
        "return i end}) t[i] = j end wg:done() end) end wg:wait() return t[20] == 50", "done"),
    Row("a coroutine that resumes itself",
        "local co co = coroutine.create(function() pcall(coroutine.resume, co) "
        "pcall(coroutine.close, co) pcall(coroutine.close, coroutine.running()) end) "
        "coroutine.resume(co) pcall(coroutine.yield) return true", "done"),
    Row("a yield of the task itself", "coroutine.yield(1)", "failed",
        says="outside a coroutine"),
]

TABLE = (LOOPS + STUCK + MEMORY_ROWS + DEEP + WAITS + MANY + PROCESSES + EXITS + OUTPUT
         + CRASHERS + TAMPERING)


class Evil(Case):
    def setUp(self):
        super().setUp()
        self.mark = "sloth-evil-%d-%d" % (os.getpid(), time.monotonic_ns())
        self.one = self.agent("--max-tasks", 64, listen="ipc://%s/agent.sock" % self.place)
        self.client = self.one.client()
        server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.addCleanup(server.close)
        self.silent = server.getsockname()[1]
        self.addCleanup(self.client.close)
        self.assertQuiet("the start")

    def start(self, row, body, **task):
        """Begins @body and returns the job."""
        text = "function() %s end" % body.replace("SILENT", str(self.silent))
        env = dict(SLOTH_EVIL=self.mark, TMPDIR=str(self.place))
        return self.client.submit(text, name=row.name, env=env, limits=row.limits,
                                  workdir=str(self.place), **task)[0]

    def left(self):
        """What of the tasks still lives, wherever it went."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                if self.mark.encode() in path.read_bytes() and alive(int(path.parts[2])):
                    found.append((path.parent / "cmdline").read_bytes())
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass
        return found

    def assertQuiet(self, what):
        self.assertIsNone(self.one.process.poll(), "the agent is gone after " + what)
        # What is done may be so a moment before its worker has gone.
        wait_for(lambda: self.client.call("stat").get("running", 0) == 0, "none runs: " + what,
                 5)
        self.assertEqual(self.left(), [], what)
        began = time.monotonic()
        job, _ = self.client.submit("function() return true, 'well' end", wait_ms=10000)
        self.assertEqual(self.client.finish(job)[0], "done", what)
        self.assertLess(time.monotonic() - began, 3 * SLOW, what)
        wait_for(lambda: len(descendants(self.one.pid))
                 <= 1 + self.client.call("stat").get("idle_workers", 0),
                 "the spawner and its stock are all there is after " + what)

    def judge(self, row, job, bound_ms):
        """Reads a job to its end, which must be the row's."""
        state, events = self.client.finish(job)
        states = {event[2]: event[0] for event in events if event[1] == 0}
        took_ms = (states[state] - states["running"]) / 1000
        self.client.call("forget", job=job)
        with self.subTest(row.name):
            self.assertIn(state, row.ends, events[-3:])
            self.assertLess(took_ms, bound_ms, "%s after %d ms" % (state, took_ms))
            if row.says and state == row.ends[0]:
                self.assertRegex(str(events[-2:]), re.escape(row.says))
        return state, events

    def deadline(self, row, timeout_ms):
        """A slow build gets longer for what has to end by itself; for the rest the deadline is
        an end as good as any."""
        return timeout_ms if "timeout" in row.ends else int(timeout_ms * SLOW)

    def run_rows(self, rows, body=lambda row: row.body, timeout_ms=TIMEOUT_MS, judge=None):
        rows = list(rows)
        while rows:
            size = 1 if rows[0].alone else AT_ONCE
            some = [row for row in rows[:size] if row is rows[0] or not row.alone]
            rows = [row for row in rows if row not in some]
            jobs = [(row, self.start(row, body(row), timeout_ms=self.deadline(row, timeout_ms)))
                    for row in some]
            for row, job in jobs:
                (judge or self.judge)(row, job, (timeout_ms + GRACE_MS) * SLOW)
            self.assertQuiet(", ".join(map(str, some)))

    @staticmethod
    def inner(row):
        """What stays in a function in C has to have come to it."""
        return TIMEOUT_MS / 2 if row.stops else TIMEOUT_MS * SLOW / 2

    def within(self, row):
        """The row's body in a task that goes on when its time is over; what stays in a function
        in C is begun until the time is over in it."""
        return ("local function body() %s end local ok, why repeat ok, why = "
                "goroutine.timeout(%d, function() body() goroutine.sleep(600000) end) until %s "
                "if ok or why ~= 'timeout exceeded' then return false, tostring(why) end "
                "goroutine.sleep(20) "
                "return true, 'went on'"
                % (row.body, self.inner(row),
                   "true" if row.stops else "ok or why ~= 'timeout exceeded'"))

    def judge_within(self, row, job, bound_ms):
        state, events = self.judge(Row(row.name, row.body, "done" if row.stops else "failed",
                                       says="went on" if row.stops else
                                       "sits in a function in C"), job, bound_ms)

    def judge_cancelled(self, row, job, bound_ms):
        time.sleep(0.05)
        began = time.monotonic()
        self.client.call("cancel", job=job, reason="enough")
        self.judge(Row(row.name, row.body, "cancelled", says="enough"), job, bound_ms)
        self.assertLess(time.monotonic() - began, bound_ms / 1000, row.name)


class StopsInsideATask(Evil):
    """goroutine.timeout() around it: the task goes on."""

    def check(self, rows):
        # Longer than what stays in a function in C may stay where there is no CPU for it.
        self.run_rows([row for row in rows if row.ends == ("timeout",)
                       and row.stops is not None], self.within, int(10 * TIMEOUT_MS * SLOW),
                      self.judge_within)

    def test_loops(self):
        self.check(LOOPS)

    def test_functions_in_c(self):
        self.check(STUCK)

    def test_memory(self):
        self.check(MEMORY_ROWS)

    def test_waits(self):
        self.check(WAITS)

    def test_very_many(self):
        self.check(MANY)

    def test_processes(self):
        self.check(PROCESSES)

    def test_output(self):
        self.check(OUTPUT)

    def test_the_rest(self):
        self.check(CRASHERS + TAMPERING)


class EndsWhenItIsCancelled(Evil):
    @unittest.skipIf(SANITIZED, "a deadline goes the same way; the whole has to stay quick")
    def test_cancel(self):
        self.run_rows([row for row in TABLE if row.ends == ("timeout",)], timeout_ms=60000,
                      judge=lambda row, job, _: self.judge_cancelled(row, job,
                                                                     GRACE_MS * SLOW))


class EndsInItsTime(Evil):
    def test_loops(self):
        self.run_rows(LOOPS)

    def test_functions_in_c_that_stay_there(self):
        self.run_rows(STUCK)

    def test_memory(self):
        self.run_rows(MEMORY_ROWS, timeout_ms=3000)

    def test_depth(self):
        self.run_rows(DEEP, timeout_ms=9000)

    def test_waits(self):
        self.run_rows(WAITS)

    def test_very_many(self):
        self.run_rows(MANY)

    def test_processes(self):
        self.run_rows(PROCESSES)

    def test_exits(self):
        self.run_rows(EXITS, timeout_ms=3000)

    def test_output(self):
        self.run_rows(OUTPUT)

    @unittest.skipIf(SANITIZED, "a sanitizer answers the fault itself")
    def test_crashes(self):
        self.run_rows(CRASHERS, lambda row: row.body.replace("%d", str(os.getpid())))

    def test_tampering(self):
        self.run_rows(TAMPERING, timeout_ms=1500)


if __name__ == "__main__":
    unittest.main(verbosity=2)
