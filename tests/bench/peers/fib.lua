-- SPDX-License-Identifier: MIT
-- fib(N) in plain Lua; prints the milliseconds of processor time that it took.
local function fib(n)
	if n < 2 then
		return n
	end
	return fib(n - 1) + fib(n - 2)
end

local began = os.clock()
fib(tonumber(arg[1]))
print((os.clock() - began) * 1000)
