-- Line breaks as other systems write them; the test turns each LF into CRLF.
case(1, function()
	return 1
end)
local function two(
	a,
	b
)
	local s = [[
end]]
	return 2, s, a, b
end
case(2, two)
local t = {}
function t
	:three()
	local s = "end\
end"
	return 3, s
end
case(3, t.three)
case(4, function() -- end
	--[[
	end
	]]
	return 4
end)
case("a\nb", function()
	return [[
a
b]]
end)
