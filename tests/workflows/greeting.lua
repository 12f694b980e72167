-- A module beside the workflow files.
local M = { language = "en" }
local words = { en = "hello", pt = "olá" }

local function word() return words[M.language] end

function M.greet(whom)
	return word() .. ", " .. whom
end

function M.fail()
	error("no words")
end

return M
