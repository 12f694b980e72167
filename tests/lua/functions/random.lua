-- Programs at random: functions in functions, thrown on lines as it comes. Each gives a number
-- that no other gives, so that a text cut wrong can't go unnoticed.
local seed = ...
math.randomseed(seed)
local id = 0

local function pick(t)
	return t[math.random(#t)]
end

local function space()
	return pick {" ", " ", " ", "\n", "\r\n", "\n\n", " --[[ end ]] ", " -- function\n", "\t", "\r"}
end

local noise = {
	"local s = [[ end\n ]]", "local e = 'end' .. \"\\\"end\"", "if nil then f() end",
	"for i = 1, 0 do end", "while false do end", "repeat until true", "do end",
	"local q = {['end'] = 0x1p-4, 3., .5}", "local r = a and b + b", "local w <const> = LIMIT",
	"goto out ::out::", "local c = function() return LIMIT end",
}

local write

local function body(depth)
	local parts = {}
	for _ = 1, math.random(0, 2) do
		parts[#parts + 1] = "do " .. pick(noise) .. space() .. "end"
	end
	if depth < 4 then
		for _ = 1, math.random(0, 2) do
			parts[#parts + 1] = write(depth + 1)
		end
	end
	id = id + 1
	parts[#parts + 1] = pick {"return ", "if a then return ", "do local x = b + "} .. id
	local last = parts[#parts]
	if last:find("^if") then
		parts[#parts] = last .. " end"
	elseif last:find("^do") then
		parts[#parts] = last .. " return x - b end"
	end
	return table.concat(parts, space()), id
end

function write(depth)
	local text, number = body(depth)
	local shape = math.random(6)
	if shape == 1 then
		return ("case(%d,%sfunction%s(%s)%s%s%send)"):format(number, space(), space(), pick {"", "...", "x, y"}, space(), text, space())
	elseif shape == 2 then
		return ("local%sfunction%sf%s()%s%s%send%scase(%d, f)"):format(space(), space(), space(), space(), text, space(), space(), number)
	elseif shape == 3 then
		return ("local t = {} function t%s.f(%s)%s%s%send case(%d, t.f)"):format(space(), space(), space(), text, space(), number)
	elseif shape == 4 then
		return ("local t = {} function%st:m(%s%s)%s%s%send case(%d, t.m)"):format(space(), space(), pick {"", "x", "..."}, space(), text, space(), number)
	elseif shape == 5 then
		return ("case(%d, (function() return function()%s%s%send end)())"):format(number, space(), text, space())
	end
	return ("for i = 1, 2 do local f = function()%s%s%send case(%d, f) end"):format(space(), text, space(), number)
end

local parts = {"local a, b, LIMIT <const> = true, 5, 10"}
for _ = 1, 6 do
	parts[#parts + 1] = write(1)
end
local text = table.concat(parts, space())
local chunk, message = load(text)
if not chunk then
	error(message .. "\n" .. text)
end
chunk()
