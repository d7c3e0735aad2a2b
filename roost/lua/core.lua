-- The inside of one script's runtime: how calls are entered and left, how Python is called, which limits hold.
-- Runs once per runtime in the real globals: core(config, py) → a table of tools for the shims and for bridge.py.
--
-- Python is never called while the memory limit holds, and never returns to Lua while it does: `disarm` before, `arm`
-- after. Both return nothing, so they are safe at the limit.

local config, py = ...
local resume, rawyield, running = coroutine.resume, coroutine.yield, coroutine.running
local isyieldable, create, status = coroutine.isyieldable, coroutine.create, coroutine.status
local sethook, getinfo, metatable_of = debug.sethook, debug.getinfo, debug.getmetatable
local collectgarbage, error, pcall, xpcall, rawequal = collectgarbage, error, pcall, xpcall, rawequal
local type, tostring, setmetatable, rawget = type, tostring, setmetatable, rawget
local arm, disarm = py.arm, py.disarm
local memory = config.memory_limited
local budget = config.instruction_limit
local SLICE, SWITCH = 10000, 1000       -- instructions between two looks; the price of starting or resuming a coroutine
-- A full collection costs 12 µs with nothing to collect, ten times an empty call: so not after each, as Dovecot does,
-- but when this much has come since the last one. With a large heap (many suspended calls) it costs more: then later.
local GC_CALLS, GC_KIB, GC_ITEMS = 64, 64, 16
local OVER = "instruction limit reached"

local HOST = {}       -- marks a yield that is meant for the process, not for the script's own coroutines
local current = nil   -- the state of the call that runs now
local threads = setmetatable({}, { __mode = "k" })  -- coroutines the script made itself
local on_return = {}
local dead = {}
local calls, items, heap_kib = 0, 0, 0  -- since the last full collection

local core = { py = py, config = config, on_return = on_return, threads = threads }

-- Limits ------------------------------------------------------------------------------------------------------------

local function new_state()
  local state = { used = 0 }
  if budget > 0 then
    state.hook = function()
      state.used = state.used + SLICE
      if state.used >= budget then
        state.over = true
        sethook(state.hook, "", 1)  -- no pcall outlives it: each further instruction of the script raises again
        if getinfo(2, "S").source:sub(1, 7) ~= "=[roost" then error(OVER, 0) end
      end
    end
  end
  return state
end

local function watch(thread)  -- the script starts or resumes one of its own coroutines
  local state = current
  if state and state.hook then
    state.used = state.used + SWITCH
    sethook(thread, state.hook, "", state.used >= budget and 1 or SLICE)
  end
end

-- Calling Python ----------------------------------------------------------------------------------------------------

local function finish(state, ok, ...)
  current = state
  if memory then arm() end
  if ok then return ... end
  error((...), 0)
end

-- Suspends the script, not the process. Where Lua cannot yield (sort, gsub, __tostring) the process waits instead.
function core.host(name, ...)
  if memory then disarm() end
  if isyieldable() then
    return finish(current, rawyield(HOST, name, ...))
  end
  return finish(current, py.blocking(name, ...))
end

-- A Python function as a Lua one: gets and gives plain values; a failure is raised without a position.
function core.wrap(fn)
  if memory then
    return function(...)
      disarm()
      return finish(current, fn(...))
    end
  end
  return function(...)
    return finish(current, fn(...))
  end
end

-- Coroutines of the script ------------------------------------------------------------------------------------------

local function forward(thread, ok, first, ...)
  if ok and rawequal(first, HOST) then
    if isyieldable() then
      return forward(thread, resume(thread, rawyield(HOST, ...)))
    end
    return forward(thread, resume(thread, py.blocking(...)))
  end
  return ok, first, ...
end

local function checked(ok, ...)
  if ok then return ... end
  error((...), 0)
end

core.coroutine = {
  create = function(fn)
    local thread = create(fn)
    threads[thread] = true
    return thread
  end,
  resume = function(thread, ...)
    if type(thread) == "thread" and status(thread) == "suspended" then watch(thread) end
    return forward(thread, resume(thread, ...))
  end,
  wrap = function(fn)
    local thread = create(fn)
    threads[thread] = true
    return function(...)
      if status(thread) == "suspended" then watch(thread) end
      return checked(forward(thread, resume(thread, ...)))
    end
  end,
  yield = function(...)
    if not threads[running()] then error("attempt to yield from outside a coroutine", 0) end
    return rawyield(...)
  end,
  isyieldable = function(thread)
    return threads[thread or running()] == true and isyieldable(thread or running())
  end,
  running = function()
    local thread = running()
    return thread, not threads[thread]
  end,
  status = status,
  close = coroutine.close,
}

-- Entering and leaving ----------------------------------------------------------------------------------------------

local function handler(message)
  if type(message) ~= "string" then
    return message  -- as debug.traceback does
  end
  local env = core.env
  local place = env and rawget(env, "debug")
  local trace = type(place) == "table" and rawget(place, "traceback")
  if type(trace) ~= "function" then return message end
  local ok, text = pcall(trace, message, 2)
  return ok and text or message
end

local function words(problem)
  if type(problem) == "string" then return problem end
  local meta = metatable_of(problem)
  if meta and rawget(meta, "__tostring") ~= nil then
    local ok, text = pcall(tostring, problem)
    if ok and type(text) == "string" then return text end
  end
  return "(error object is a " .. type(problem) .. " value)"
end

-- Our own functions run on after the budget is used up (see `hook`), the script's do not.
local function leave(state, ok, ...)
  local text = nil
  if not ok then
    if memory and type((...)) == "string" then disarm() end  -- first of all: at the limit everything else may fail
    text = words((...))  -- may run the script's __tostring
  end
  if state.hook then sethook() end
  if memory then disarm() end
  for i = 1, #on_return do on_return[i](state) end
  calls = calls + 1
  if calls >= GC_CALLS or items >= GC_ITEMS or collectgarbage("count") > heap_kib then
    collectgarbage()
    local kept_kib = collectgarbage("count")
    heap_kib = 2 * kept_kib + GC_KIB
    calls, items = -(kept_kib // 2), -(kept_kib // 32)
    if dead[1] then core.release_dead() end
  end
  if ok then return true, ... end
  return false, text
end

local function armed(fn, ...)  -- inside the protected call: a full heap fails as soon as the limit holds
  arm()
  return fn(...)
end

-- The body of every coroutine that bridge.py starts. → true, values… | false, text | nil (no such function)
function core.enter(fn, ...)
  if type(fn) == "string" then  -- the script's global function, whatever metatable its globals have
    fn = rawget(core.env, fn)
    if type(fn) ~= "function" then return nil end
  end
  local state = new_state()
  current = state
  if state.hook then sethook(state.hook, "", SLICE) end
  if memory then return leave(state, xpcall(armed, handler, fn, ...)) end
  return leave(state, xpcall(fn, handler, ...))
end

-- The same for the script's global function `name`, whose arguments `make` makes of the state and these ones.
function core.enter_made(make, name, ...)
  local fn = rawget(core.env, name)
  if type(fn) ~= "function" then return nil end
  local state = new_state()
  current = state
  if state.hook then sethook(state.hook, "", SLICE) end
  if memory then return leave(state, xpcall(armed, handler, fn, make(state, ...))) end
  return leave(state, xpcall(fn, handler, make(state, ...)))
end

function core.state() return current end

-- Objects of Python held by the script ------------------------------------------------------------------------------

local item_mt = { __gc = function(item) dead[#dead + 1] = item.id end, __metatable = false }

-- A hidden handle: Python drops its object some time after the script has.
function core.item(id)
  items = items + 1
  return setmetatable({ id = id }, item_mt)
end

-- The object is let go now, not when Lua finds out.
function core.drop(item)
  items = items - 1
  py.release(item.id)
end

function core.release_dead()
  local ids = dead
  dead = {}
  for i = 1, #ids do py.release(ids[i]) end
end

-- Where the script is: the file and line of the nearest function that is not ours.
function core.where()
  for level = 2, 12 do
    local info = getinfo(level, "Sl")
    if not info then break end
    if info.currentline > 0 and info.source:sub(1, 7) ~= "=[roost" then
      if info.source:sub(1, 1) == "@" then
        return info.source:match("([^/@]*)$"), info.currentline
      end
      return "<non-file location>", info.currentline
    end
  end
  return "<non-file location>", 0
end

function core.has(name) return type(rawget(core.env, name)) == "function" end

return core
