-- The script's own world: its environment table and what is reachable from it. sandbox(core, config) → env, load_script.
--
-- full: the whole standard library, as in Dovecot. restricted: no files, no processes, no debug library, no C modules.
-- In both os.exit raises an error, chunks are text only, and `load` and `require` stay inside the environment.

local core, config = ...
local full = config.trust == "full"
local real_load, real_setmetatable, pack, unpack = load, setmetatable, table.pack, table.unpack
local open, searchpath, loadlib = io.open, package.searchpath, package.loadlib
local pcall, error, type, ipairs, tostring, select, rawget = pcall, error, type, ipairs, tostring, select, rawget
local concat, traceback, collect = table.concat, debug.traceback, collectgarbage

local function copy(from, names)
  local made = {}
  if names then
    for name in names:gmatch("%S+") do made[name] = from[name] end
  else
    for name, value in pairs(from) do made[name] = value end
  end
  return made
end

local env = copy(_G, [[assert error getmetatable ipairs next pairs pcall print rawequal rawget rawlen rawset select
  setmetatable tonumber tostring type warn xpcall collectgarbage _VERSION]])
env._G = env
env.string = copy(string)
env.table = copy(table)
env.math = copy(math)
env.utf8 = copy(utf8)
env.coroutine = core.coroutine
core.env = env

-- Loading -----------------------------------------------------------------------------------------------------------

local function load_script(text, name) return real_load(text, name, "t", env) end

function env.load(chunk, name, mode, ...)
  local where = env
  if select("#", ...) > 0 then where = (...) end
  if mode == "b" then return nil, "attempt to load a text chunk (mode is 'b')" end
  return real_load(chunk, name, "t", where)  -- any mode asked for: text it is
end

local function read_file(path)
  local file, problem = open(path, "rb")
  if not file then return nil, "cannot open " .. problem end
  local text = file:read("a")
  file:close()
  if not text then return nil, "cannot read " .. path end
  return (text:gsub("^\239\187\191", ""):gsub("^#[^\n]*", ""))
end

local function load_path(path, where)
  local text, problem = read_file(path)
  if not text then return nil, problem end
  return real_load(text, "@" .. path, "t", where)
end

if full then
  function env.loadfile(path, _, ...)
    local where = env
    if select("#", ...) > 0 then where = (...) end
    return load_path(path, where)
  end
  function env.dofile(path)
    local chunk, problem = load_path(path, env)
    if not chunk then error(problem, 0) end
    return chunk()
  end
end

-- require: as in the manual, but written in Lua, so that a module may suspend while it loads -------------------------

local loaded, preload = {}, {}
local place = { loaded = loaded, preload = preload, config = package.config, path = config.lua_path, cpath = "" }
env.package = place
for name in ([[string table math utf8 coroutine]]):gmatch("%S+") do loaded[name] = env[name] end
loaded._G = env

local function preloaded(name)
  local loader = preload[name]
  if loader then return loader, ":preload:" end
  return "no field package.preload['" .. name .. "']"
end

local function from_path(name)
  local template = full and place.path or config.lua_path
  if type(template) ~= "string" then error("'package.path' must be a string", 0) end
  if template == "" then return "no lua_path" end
  local path, tried = searchpath(name, template)
  if not path then return (tried:gsub("^%s+", "")) end
  local chunk, problem = load_path(path, env)
  if chunk then return chunk, path end
  error("error loading module '" .. name .. "' from file '" .. path .. "':\n\t" .. tostring(problem), 0)
end

place.searchers = { preloaded, from_path }
if full then
  place.cpath, place.searchpath, place.loadlib = package.cpath, searchpath, loadlib
  for index = 3, #package.searchers do place.searchers[index] = package.searchers[index] end
end

function env.require(name)
  local done = loaded[name]
  if done ~= nil then return done end
  if type(name) ~= "string" then
    error("bad argument #1 to 'require' (string expected, got " .. type(name) .. ")", 2)
  end
  if not full and (name:find("..", 1, true) or name:find("/", 1, true)) then
    error("module '" .. name .. "' not found: not a module name", 2)
  end
  local tried = {}
  for _, search in ipairs(place.searchers) do
    local loader, extra = search(name)
    if type(loader) == "function" then
      local value = loader(name, extra)
      if value ~= nil then loaded[name] = value end
      if loaded[name] == nil then loaded[name] = true end
      return loaded[name], extra
    end
    if type(loader) == "string" then tried[#tried + 1] = "\n\t" .. loader end
  end
  error("module '" .. name .. "' not found:" .. concat(tried), 2)
end

-- The rest ----------------------------------------------------------------------------------------------------------

local function no_exit() error("os.exit is not allowed in a script", 2) end

if full then
  env.io, env.os, env.debug = copy(io), copy(os), copy(debug)
  loaded.io, loaded.os, loaded.debug, loaded.package = env.io, env.os, env.debug, place
else
  env.os = copy(os, "time clock date difftime getenv")
  env.debug = {
    traceback = function(...)
      local thread, text, level = ...
      if type(thread) == "thread" then return traceback(thread, text, level) end
      if text == nil then text = 1 end
      return traceback(thread, type(text) == "number" and text + 1 or 2)
    end,
  }
  loaded.os, loaded.debug = env.os, env.debug
  env.string.dump = nil
  env.print = function() end
  function env.setmetatable(object, meta)
    if type(meta) == "table" and rawget(meta, "__gc") ~= nil then
      error("__gc is not allowed in a restricted script", 2)
    end
    return real_setmetatable(object, meta)
  end
  function env.xpcall(fn, handler, ...)  -- Lua runs real handlers without the limit
    local results = pack(pcall(fn, ...))
    if results[1] then return unpack(results, 1, results.n) end
    return false, handler(unpack(results, 2, results.n))
  end
  function env.collectgarbage(what)
    if what == nil or what == "collect" or what == "step" then return collect() end
    if what == "count" then return collect("count") end
    error("collectgarbage('" .. tostring(what) .. "') is not allowed in a restricted script", 2)
  end
end
env.os.exit = no_exit
local strings = getmetatable("")
strings.__index = env.string  -- what a script adds to string, its strings have
if not full then strings.__metatable = false end

return env, load_script
