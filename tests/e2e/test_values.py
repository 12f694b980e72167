# SPDX-License-Identifier: MIT
"""Values there and back: what a task was sent, and returned, is what the workflow file sent."""
import random
import unittest

from house import Case

# A graph at random for each seed. What it is like is a text that numbers each table as it meets
# it: made here, made by the task of what arrived, here of what came back, and by another task of
# what it got in deps.
ECHO = r"""
local scalars = {
  0, -1, 1, math.maxinteger, math.mininteger, 2 ^ 53 | 0, (2 ^ 53 | 0) + 1,
  1.0, -0.0, 0.0, 0.1, 2.0 ^ 53, 2.0 ^ 63, -2.0 ^ 63, 1e308, 5e-324, -1e-300, 1 / 0, -1 / 0, 0 / 0,
  true, false, "", "x", "1", "a\0b", "\0", "\255\254", "\xed\xa0\x80", "\xc0\x80", "a\xcc\x81\u{10FFFF}",
  "line\r\nline", ("long "):rep(50), ("\xff"):rep(300),
}

local function describe(root)
  local numbers, out, n = {}, {}, 0
  local function word(v)
    if v ~= v then return "nan" end
    if type(v) == "number" then return math.type(v) == "float" and ("%a"):format(v) or ("%d"):format(v) end
    if type(v) == "string" then return ("%q"):format(v) end
    return tostring(v)
  end
  local function walk(v)
    if type(v) ~= "table" then
      out[#out + 1] = word(v)
      return
    elseif numbers[v] then
      out[#out + 1] = "#" .. numbers[v]
      return
    end
    n = n + 1
    numbers[v] = n
    local keys = {}
    for key in pairs(v) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return type(a) .. word(a) < type(b) .. word(b) end)
    out[#out + 1] = "t" .. n .. "{"
    for _, key in ipairs(keys) do
      out[#out + 1] = word(key) .. "="
      walk(v[key])
    end
    out[#out + 1] = "}"
    walk(getmetatable(v))
  end
  walk(root)
  return table.concat(out, " ")
end

local function graph(seed)
  math.randomseed(seed)
  local tables, make = {}, nil
  local function scalar()
    if math.random(4) == 1 then return math.random(0) end
    return scalars[math.random(#scalars)]
  end
  function make(depth)
    local kind = math.random(10)
    if depth > 6 or kind <= 4 then return scalar() end
    if kind <= 6 and #tables > 0 then return tables[math.random(#tables)] end
    local t = {}
    tables[#tables + 1] = t
    for i = 1, math.random(0, 8) do
      if math.random(6) > 1 then t[i] = make(depth + 1) end
    end
    for _ = 1, math.random(0, 5) do
      local key = scalar()
      if key == key then t[key] = make(depth + 1) end
    end
    if math.random(5) == 1 then setmetatable(t, { note = make(depth + 1) }) end
    return t
  end
  return { make(1), make(1), make(1), scalars, {} }
end

local function differ(what, seed, found, expected)
  local at = 1
  while found:byte(at) == expected:byte(at) and at <= #found do at = at + 1 end
  return ("seed %d, %s: sent %s, found %s"):format(seed, what, expected:sub(at, at + 60), found:sub(at, at + 60))
end

local tasks = {}
for seed in params.seeds:gmatch("%d+") do
  seed = math.tointeger(seed)
  local sent = graph(seed)
  local expected = describe(sent)
  local echo = task("echo_" .. seed):delegate_to("web-01"):params({ sent = sent })
    :command(function(this, params)
      local captured, param = describe(sent), describe(params.sent)
      if captured ~= expected then return false, differ("captured", seed, captured, expected) end
      if param ~= expected then return false, differ("params", seed, param, expected) end
      return true, "", { captured = sent, param = params.sent }
    end)
    :on_success(function(this, _, outputs)
      for name, value in pairs(outputs) do
        local found = describe(value)
        assert(found == expected, differ("outputs." .. name, seed, found, expected))
      end
      print("compared " .. seed)
    end):build()
  tasks[#tasks + 1] = echo
  tasks[#tasks + 1] = task("again_" .. seed):delegate_to("web-01"):depends_on(echo)
    :command(function(this, params, deps)
      local _, outputs = next(deps)
      local found = describe(outputs.captured)
      return found == expected, differ("deps", seed, found, expected)
    end):build()
end
workflow.define("values"):tasks(tasks):config({ max_parallel = 8 })
"""

# Two closures over one variable, which is also in a table that both reach; assigned where they
# arrive, it is one variable there, and not the one that stayed here.
CLOSURES = """
local n, box = 1, { 10 }
local function add(by) n = n + by; box[1] = box[1] + by; return n end
local function get() return n, box[1], box end
local recursive
function recursive(i) return i == 0 and get or recursive(i - 1) end
local t = task("t"):delegate_to("web-01"):command(function()
  assert(n == 1 and add(2) == 3 and n == 3)
  n = n + 1
  local seen, inside, same = recursive(5)()
  assert(seen == 4 and inside == 12 and same == box)
  return true, "", { n = n, box = box, again = box }
end):on_success(function(this, params, outputs)
  assert(outputs.n == 4 and outputs.box[1] == 12 and outputs.box == outputs.again)
  assert(n == 1 and box[1] == 10 and outputs.box ~= box)
  print("compared")
end):build()
"""


class Values(Case):
    def test_random_graphs_come_back_as_they_went(self):
        base = random.randrange(1000, 1 << 30)
        seeds = [*range(1, 16), *range(base, base + 10)]
        path = self.workflow(ECHO)
        result = self.assertExit(self.sloth(
            "run", path, "-p", "seeds=" + ",".join(map(str, seeds)), agents=[self.agent()]), 0)
        for seed in seeds:
            self.assertIn("compared %d\n" % seed, result.err)

    def test_closures_share_what_they_shared(self):
        result = self.assertExit(
            self.sloth("run", self.workflow(CLOSURES), agents=[self.agent()]), 0)
        self.assertIn("compared\n", result.err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
