-- The toolbox that the Lua part of each Api is given: argument checks with Dovecot's texts, objects, modules.
-- Own errors carry no position (error(text, 0)); standard argument errors carry the caller's, as in Lua's libraries.

local core, env, py = ...
local error, type, math_type, tonumber, rawget = error, type, math.type, tonumber, rawget
local setmetatable, getmetatable, select, tostring = setmetatable, getmetatable, select, tostring

local roost = {
  host = core.host,
  where = core.where,
  state = core.state,
  on_return = core.on_return,
  item = core.item,
  drop = core.drop,
  env = env,
  compat = core.config.compat,
  strict = core.config.compat == "2.4",
  old = core.config.compat == "2.3",
}

-- exactly `wanted` arguments came: roost.count(2, select("#", ...))
function roost.count(wanted, got)
  if got ~= wanted then error("expected " .. wanted .. " arguments, got " .. got, 0) end
end

function roost.range(low, high, got)
  if got < low or got > high then
    error("expected " .. low .. " to " .. high .. " arguments, got " .. got, 0)
  end
end

-- the object check: only whether it is a table, and then one of the right kind
function roost.object(index, value, meta, name)
  if type(value) ~= "table" then
    error("Bad argument #" .. index .. ", expected " .. name .. " got " .. type(value), 0)
  end
  if meta ~= nil and getmetatable(value) ~= meta then
    error("Bad argument #" .. index .. ", expected " .. name .. " got table", 0)
  end
  return value
end

local function wrong(index, name, wanted, value)
  local got = value == nil and "no value" or type(value)
  error("bad argument #" .. index .. " to '" .. name .. "' (" .. wanted .. " expected, got " .. got .. ")", 4)
end

-- strings of C end at the first NUL; `binary` keeps it
function roost.string(index, value, name, binary)
  local kind = type(value)
  if kind == "number" then return tostring(value) end
  if kind ~= "string" then wrong(index, name, "string", value) end
  if not binary and value:find("\0", 1, true) then return (value:match("^[^\0]*")) end
  return value
end

function roost.integer(index, value, name)
  if math_type(value) == "integer" then return value end
  local number = type(value) == "string" and tonumber(value) or value
  if type(number) ~= "number" then wrong(index, name, "number", value) end
  local whole = math.tointeger(number)
  if whole == nil then
    error("bad argument #" .. index .. " to '" .. name .. "' (number has no integer representation)", 3)
  end
  return whole
end

-- A table that stands for a Python object: `item` is its hidden handle, id its number.
function roost.new(id, meta) return setmetatable({ item = core.item(id) }, meta) end

function roost.id(object) return object.item.id end

-- One warning for each old construct of this script. In the strict dialect nothing is said: the construct fails.
local said = {}
function roost.deprecated(construct, text)
  if core.config.compat ~= "lenient" or said[construct] then return end
  said[construct] = true
  py.deprecated(text)
end

-- Turn Python functions of one Api into Lua functions.
function roost.wrap_all(functions)
  local made = {}
  for name, fn in pairs(functions) do made[name] = core.wrap(fn) end
  return made
end

-- The table `dovecot.a.b`, made when missing. Tables reached from dovecot's metatable count.
function roost.table_at(path)
  local place = env
  for name in path:gmatch("[^.]+") do
    local inner = place == env and rawget(env, name) or place[name]
    if inner == nil then
      inner = {}
      place[name] = inner
    end
    place = inner
  end
  return place
end

function roost.preload(name, module) env.package.preload[name] = function() return module end end

function roost.async(name)
  local host = core.host
  return function(...) return host(name, ...) end
end

py = roost.wrap_all({ deprecated = py.deprecated })
return roost
