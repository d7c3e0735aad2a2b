-- event and event_passthrough objects, and dovecot.event().
local roost, dovecot, py = ...
local count, range, object, string_of, integer_of = roost.count, roost.range, roost.object, roost.string, roost.integer
local select, error, setmetatable, getmetatable, ipairs = select, error, setmetatable, getmetatable, ipairs

local EVENT, PASS = "struct event", "struct event_passthrough"
local event, pass = {}, {}       -- methods
local event_mt = { __index = event }
local pass_mt = { __index = pass }

local function id_of(index, value)
  return object(index, value, event_mt, EVENT).item.id
end

-- Each log line drops the pending passthrough of its call; one call has at most one.
local pending = setmetatable({}, { __mode = "k" })  -- call state → passthrough
local TOP = {}                                      -- stands for "no call"

local function drop(state)
  local one = pending[state]
  if not one then return end
  pending[state] = nil
  one.alive = false
  py.leaked(one.item.id, one.file, one.line)
end
roost.on_return[#roost.on_return + 1] = drop

local function alive(self)
  object(1, self, pass_mt, PASS)
  if not self.alive then error("passthrough event was already finished", 0) end
  return self.item.id
end

local function setter(name, check)
  local write = py[name]
  event[name] = function(...)
    count(2, select("#", ...))
    local self, value = ...
    local id = id_of(1, self)
    value = string_of(2, value, name)
    write(id, value)
    return self
  end
  pass[name] = function(...)
    count(2, select("#", ...))
    local self, value = ...
    local id = alive(self)
    value = string_of(2, value, name)
    write(id, value)
    return self
  end
end
for _, name in ipairs({ "append_log_prefix", "replace_log_prefix", "set_name" }) do setter(name) end

local function switch(name, both)
  local write = py[name]
  event[name] = function(...)
    count(1, select("#", ...))
    local self = ...
    write(id_of(1, self))
    return self
  end
  if both then
    pass[name] = function(...)
      count(1, select("#", ...))
      local self = ...
      write(alive(self))
      return self
    end
  end
end
switch("set_always_log_source", true)
switch("set_forced_debug", false)
switch("unset_forced_debug", false)

local function field(name, of)
  local write = py[name]
  event[name] = function(...)
    count(3, select("#", ...))
    local self, key, value = ...
    local id = id_of(1, self)
    key = string_of(2, key, name)
    value = of(3, value, name)
    write(id, key, value)
    return self
  end
  pass[name] = function(...)
    count(3, select("#", ...))
    local self, key, value = ...
    local id = alive(self)
    key = string_of(2, key, name)
    value = of(3, value, name)
    write(id, key, value)
    return self
  end
end
field("add_str", string_of)
field("add_int", integer_of)
field("add_timeval", integer_of)
field("inc_int", integer_of)

for _, level in ipairs({ "debug", "info", "warning", "error" }) do
  local name = "log_" .. level
  event[name] = function(...)
    count(2, select("#", ...))
    local self, text = ...
    local id = id_of(1, self)
    text = string_of(2, text, name)
    local file, line = roost.where()
    py.send(id, level, text, file, line)
    return self
  end
  pass[name] = function(...)
    count(2, select("#", ...))
    local self, text = ...
    local id = alive(self)
    text = string_of(2, text, name)
    local file, line = roost.where()
    self.alive = false
    pending[roost.state() or TOP] = nil
    py.send(id, level, text, file, line)
    return self
  end
end

function event.passthrough_event(...)
  count(1, select("#", ...))
  local self = ...
  local id = id_of(1, self)
  local state = roost.state() or TOP
  drop(state)
  local file, line = roost.where()
  local made = roost.new(py.passthrough(id), pass_mt)
  made.alive, made.file, made.line = true, file, line
  pending[state] = made
  return made
end

local base = getmetatable(dovecot).__index

function base.event(...)
  range(0, 1, select("#", ...))
  local parent = ...
  local id = select("#", ...) == 1 and id_of(1, parent) or 0
  local file, line = roost.where()
  return roost.new(py.new(id, file, line), event_mt)
end

function roost.push_event(id) return roost.new(id, event_mt) end

roost.event_id = id_of  -- for other families: the number of an event argument
