#!/usr/bin/env lua
-- Functions in every shape that Lua has. case(answer, f): f() must give answer.
case(1, function() return 1 end)
case(2, function() return 2 end) case(3, function() return 3 end) case(4, function() return 4 end)

local function named() return 5 end
case(5, named)

local
function
broken
()
	return 6
end
case(6, broken)

function
global_one
	(
	)
	return 7
end
case(7, global_one)

local t = {n = 8}
function t.dotted() return t.n end
case(8, t.dotted)
function t:method() return self == nil and t.n + 1 end
case(9, t.method)
function t:with_parameters(a, b) return 10, a, b end
case(10, t.with_parameters)
function t:with_comment( --[[ nothing ]] ) return 11, self end
case(11, t.with_comment)
function t:with_line_comment( -- a comment)
	a)
	return 12, self, a
end
case(12, t.with_line_comment)
function t:varargs(...) return 13, select("#", ...) end
case(13, t.varargs)
t.a = {b = {c = {}}}
function t.a.b.deep() return 14 end
case(14, t.a.b.deep)
function t.a.b
	.  c
	:  d
	(x
	)
	return 15
end
case(15, t.a.b.c.d)

-- What looks like the end of a function and isn't.
case(16, function() local s = "end function end" return 16, s end)
case(17, function() local s = 'it\'s "end" \\' return 17, s end)
case(18, function() local s = [[ end ]] .. [==[ ]] end ]=] ]==] return 18, s end)
case(19, function() -- end
	--[[ end end ]] --[==[ ]] end
	]==] return 19 --[=[ end ]=] end)
case(20, function() local e = {["end"] = 1, func = 2, function_ = 3, endless = 4} return 20, e end)
case(21, function() local s = "a\z
	end\
end" return 21, s end)
case(22, function() local x = 0xE.ep-1 + 0xep1 + 1e+1 + .5e-1 + 3. + 0X.1 return 22, x end)
case(23, function() local s = "\x41\u{41}\065\"" return 23, s end)
case(24, function() return 24, 1 ..2, 1 .. .5 end)
case(25, function() goto done; do return 1 end ::done:: return 25 end)

-- Blocks of every kind.
case(26, function()
	if t.x then return 1 elseif t.y then return 2 else return 26 end
end)
case(27, function() while true do return 27 end end)
case(28, function() for i = 28, 30 do return i end end)
case(29, function() for _, v in ipairs({29}) do return v end end)
case(30, function() local x = 29 repeat local y = x x = x + 1 until y == 29 return x end)
case(31, function() do local a <close> = nil end return 31 end)
case(32, function() while (function() return false end)() do end return 32 end)
case(33, function() repeat until (function() return true end)() return 33 end)
case(34, function() for i = (function() return 34 end)(), 40 do return i end end)
case(35, function() return (function() return (function() return 35 end)() end)() end)
case(36, function() if t then if t then if t then return 36 end end end end)
case(37, (function() return function() return function() return 37 end end end)()())
case(38, function(...) local n = select("#", ...) return 38 + n end)
case(39, function(a, b, ...) local p = {a, b, ...} return 39, p end)
case(40, function(
	a, -- first
	b  -- second
) return 40, a, b end)

-- Captured variables.
local up, other = 41, 1
case(41, function() return up end) case(1, function() return other end)
case(42, function() local function inner() return up + other end return inner() end)
case(43, function() local up = 43 return up end)
local function fact(n) return n <= 1 and 1 or n * fact(n - 1) end
case(120, function() return fact(5) end)
local even, odd
function even(n) if n == 0 then return true end return odd(n - 1) end
function odd(n) if n == 0 then return false end return even(n - 1) end
case(true, function() return even(10) end)
for i = 100, 109 do case(i, function() return i end) end
for i = 110, 115 do
	local double = i * 2
	case(double, function() return double end) case(i, function() return i end)
end
case(200, (function(a) return function() return a end end)(200))
case(201, (function(...) local packed = {...} return function() return packed[2] end end)(0, 201))
local count = 0
case(1, function() count = count + 1 return count end)
case(2, function() count = count + 1 return count end)

-- One line, nearly the same.
local a, b = 210, 211
case(210, function() return a end) case(211, function() return b end)
local f = {function() return 212 end, function() return 213 end, function() return "212" end, function() return 212.0 end}
case(212, f[1]) case(213, f[2]) case("212", f[3]) case(212.0, f[4])
local g = {function() return t.n end, function() return t.m end, function() return t["n"] end, function() return t[1] end}
case(8, g[1]) case(nil, g[2]) case(8, g[3]) case(nil, g[4])
local h = {function(x) return x end, function(x, y) return y end, function(...) return ... end, function() end}
case(nil, h[1]) case(nil, h[2]) case(nil, h[3]) case(nil, h[4])
local k = {function() return a + b end, function() return b + a end, function() return a - b end, function() return b - a end}
case(421, k[1]) case(421, k[2]) case(-1, k[3]) case(1, k[4])
local m = {function() return function() return 220 end end, function() return function() return 221 end end}
case(220, m[1]()) case(221, m[2]()) case(220, function() return m[1]()() end)
local o = {function() return a == 210 and up end, function() return a == 210 and other end}
case(41, o[1]) case(1, o[2])
local same = 1; local p1 = function() return same end; local same = 2; local p2 = function() return same end
case(1, p1) case(2, p2)

-- Globals of the script, and an environment of its own.
shared_global = 230
case(230, function() return shared_global end)
do
	local _ENV = {answer = 231}
	function inside() return answer end
	t = inside
end
case(231, t)

-- Constants that the compiler writes into the code.
local LIMIT <const> = 240
local NAME <const>, FLAG <const> = "x", true
local TWICE <const> = LIMIT * 2
local NEGATIVE <const> = -LIMIT + 1
local TABLE <const> = {242}
case(240, function() return LIMIT end)
case(480, function() return TWICE end)
case(-239, function() return NEGATIVE end)
case(242, function() return TABLE[1] end)
case("x", function() return NAME end)
case(241, function() return LIMIT + 1 end) case(239, function() return LIMIT - 1 end)
case(243, function(x) local LIMIT = 243 return LIMIT end)
do
	local LIMIT <const> = 244
	case(244, function() return LIMIT end)
	case(245, function() local function inner() return LIMIT + 1 end return inner() end)
end
case(240, function() local LIMIT = LIMIT return LIMIT end)
local QUERY <const> = [[
select "name\\" from t
where a = 1
]]
case("select \"name\\\\\" from t\nwhere a = 1\n", function() return QUERY end)
local LINES <const>, BLANKS <const> = 'one\
two "x"', "a\z
	b\65\x42\
c"
case("abAB\nc", function() return BLANKS end)
local MASK <const> = 1 << 4 | 0x0f & ~ 3 // 1
case(1 << 4 | 0x0f & ~ 3 // 1, function() return MASK end)
local SUM <const> = - - 2 + 3
case(5, function() return SUM end)
local first <const>, COMPUTED <const> = 5, tonumber("246")
case(246, function() return COMPUTED end)

-- Whole chunks.
case(250, load("return 250"))
case(251, load("local x = 251 -- no newline behind a comment\nreturn x -- end"))
case(252, load("return function() return 252 end")())
case(253, load("\n\nlocal function f() return 253 end return f")())

-- As workflows have them: in calls that are chained, in tables, as the last of many arguments.
local chain = {}
function chain:command(f) self.f = f return self end
function chain:delegate_to() return self end
chain:command(function(this, params)
	local handles = {}
	for i, name in ipairs({"web", "api"}) do
		handles[i] = function() return name .. " is up" end
	end
	return 300, this, params, handles
end)
  :delegate_to("web-01") -- end
case(300, chain.f)
case(301, chain:command(function() return 301 end):delegate_to("x", function() return 302 end).f)
local hooks = {
	on_success = function() return 303 end,
	on_failure = function() return 304 end, ["on end"] = function() return 305 end;
	function() return 306 end, [2] = function() return 307 end,
	nested = {{{deep = function() return 308 end}}},
}
case(303, hooks.on_success) case(304, hooks.on_failure) case(305, hooks["on end"])
case(306, hooks[1]) case(307, hooks[2]) case(308, hooks.nested[1][1].deep)
local function pass(...) return select(-1, ...) end
case(309, pass(1, "function", function() return 308 end, function() return 309 end))
case(310, pass{function() return 310 end}[1])
case(311, pass(pass(pass(function() return 311 end))))
case(312, (function() return 312 end))
case(313, ((((function() return 313 end)))))
case(314, true and function() return 314 end or function() return 0 end)
case(315, nil or false or function() return 315 end)
local x1, x2, x3 = function() return 316 end, 0, function() return 317 end
case(316, x1) case(317, x3)
x1, x3 = function() return 318 end, function() return 319 end
case(318, x1) case(319, x3)
case(320, setmetatable({}, {__index = function() return 320 end}).anything
	and getmetatable(setmetatable({}, {__index = function() return 320 end})).__index)
local by_name = setmetatable({}, {__newindex = function(self, k, v) rawset(self, k, v) end})
by_name["end"] = function() return 321 end
by_name.local_ = function() return 322 end
case(321, by_name["end"]) case(322, by_name.local_)

-- What stands close to words, and what has none around it.
case(323,function()return 323 end)case(324,function()return(324)end)
case(325,function()local a={[1]=325}return a[1]end)
case(326,function()return#"x"+325;end)
case(327, function() ; ; ; return 327 ; end)
case("\27", function() return "\27" end) case("é", function() return "é" end)
case(328, function() local functional, endpoint, ending = 326, 1, 1 return functional + endpoint + ending end)
case(329, function --[[ a ]] ( --[[ b ]] ... --[[ c ]] ) --[[ d ]] return --[[ e ]] 329 --[[ f ]] end --[[ g ]] )
case(330, function()
	-- [[ a comment of one line, whatever it looks like
	return 330 -- ]] end
end)
case(331, function() --[==
	return 331
end)
case("]]", function() return [=[]]]=] end) case("\n", function() return [[

]] end)
case("--", function() return "--" end) case("[[", function() return '[[' end)
case(332, function() return 331 -- [[
	+ 1 -- ]]
end)

-- Jumps, loops in loops, what is closed, and numbers of every kind.
case(333, function()
	for i = 1, 3 do
		for j = 1, 3 do
			if j == 2 then goto continue end
			if i == 3 then return 330 + i * j end
			::continue::
		end
	end
end)
case(334, function()
	local n = 0
	::again::
	n = n + 1
	if n < 334 then goto again end
	return n
end)
case(335, function()
	local got = 0
	do
		local guard <close> = setmetatable({}, {__close = function() got = 335 end})
	end
	return got
end)
case(336, function() return coroutine.wrap(function() coroutine.yield(336) end)() end)
case(337, function() return select(2, pcall(function() error(337, 0) end)) end)
case(338, function(n) n = n or 0 if n < 338 then return (function(m) return m end)(338) end end)
case(math.maxinteger, function() return 0x7fffffffffffffff end)
case(math.mininteger, function() return -0x7fffffffffffffff - 1 end)
case(-0.0, function() return -0.0 end) case(1e308, function() return 1e308 end)
case(0.1, function() return .1 end) case(3.0, function() return 3. end)
case(255, function() return 0xff end) case(1.0, function() return 0x.8p1 end)
case(7, function() return 1 | 2 ~ 4 & 7 << 0 end) case(-1, function() return ~0 end)
case(3, function() return 7 // 2 end) case(1, function() return -7 % 2 end)
case(256.0, function() return 2 ^ 2 ^ 3 end) case(false, function() return not nil == nil end)
