-- The base functions of the table `dovecot`.
local roost, dovecot, py = ...
local count, string_of, integer_of = roost.count, roost.string, roost.integer
local select, error, type, ipairs, getmetatable = select, error, type, ipairs, getmetatable
local setmetatable, rawset, rawget = setmetatable, rawset, rawget
local env = roost.env

local base = {}
setmetatable(dovecot, { __index = base })

local function logger(name)
  local write = py[name]
  return function(...)
    count(1, select("#", ...))
    local text = string_of(1, (...), name)
    write(text)
  end
end
for _, name in ipairs({ "i_debug", "i_info", "i_warning", "i_error" }) do base[name] = logger(name) end

function base.has_flag(...)
  count(2, select("#", ...))
  local value, flag = ...
  value = integer_of(1, value, "has_flag")
  flag = integer_of(2, flag, "has_flag")
  return value & flag == flag
end

function base.set_flag(...)
  count(2, select("#", ...))
  local value, flag = ...
  value = integer_of(1, value, "set_flag")
  flag = integer_of(2, flag, "set_flag")
  return value | flag
end

function base.clear_flag(...)
  count(2, select("#", ...))
  local value, flag = ...
  value = integer_of(1, value, "clear_flag")
  flag = integer_of(2, flag, "clear_flag")
  return value & ~flag
end

local restriction = {
  __newindex = function(globals, name, value)
    if type(value) ~= "function" then
      error("attempt to write to undeclared global variable " .. tostring(name), 2)
    end
    rawset(globals, name, value)
  end,
  __index = function(_, name)
    error("attempt to write to read undeclared global variable " .. tostring(name), 2)
  end,
}

function base.restrict_global_variables(...)
  count(1, select("#", ...))
  if (...) then
    setmetatable(env, { __newindex = restriction.__newindex, __index = restriction.__index })
  else
    setmetatable(env, {})
  end
end

function base.gettimeofday(...)
  count(0, select("#", ...))
  local secs, usecs = py.gettimeofday()
  return { tv_sec = secs, tv_usec = usecs }
end

function base.microseconds(...)
  count(0, select("#", ...))
  return (py.nanoseconds() // 1000)
end

function base.nanoseconds(...)
  count(0, select("#", ...))
  local now = py.nanoseconds()
  return now
end

function base.net_ip_family(...)
  count(1, select("#", ...))
  local text = string_of(1, (...), "net_ip_family")
  local family = py.net_ip_family(text)
  return family
end

local ESCAPES = { ["\1"] = "\0011", ["\t"] = "\1t", ["\r"] = "\1r", ["\n"] = "\1n" }
local PLAIN = { ["1"] = "\1", t = "\t", r = "\r", n = "\n", ["0"] = "\0" }

local function unescape(text)
  text = text:gsub("\1(.?)", function(char) return PLAIN[char] or char end)
  return (text:match("^[^\0]*"))
end

function base.tabescape(...)
  count(1, select("#", ...))
  local text = string_of(1, (...), "tabescape")
  return (text:gsub("[\1\t\r\n]", ESCAPES))
end

function base.tabunescape(...)
  count(1, select("#", ...))
  local text = string_of(1, (...), "tabunescape")
  return (unescape(text))
end

function base.split_tabescaped(...)
  count(1, select("#", ...))
  local text = string_of(1, (...), "split_tabescaped")
  local fields = {}
  for field in (text .. "\t"):gmatch("([^\t]*)\t") do fields[#fields + 1] = unescape(field) end
  return fields
end

function base.var_expand(...)
  count(1, select("#", ...))
  local template = string_of(1, (...), "var_expand")
  local text = py.var_expand(template)
  return text
end

local base64 = {}
dovecot.base64 = base64

function base64.encode(...)
  count(1, select("#", ...))
  local data = string_of(1, (...), "encode", true)
  local text = py.base64_encode(data)
  return text
end

function base64.decode(...)
  count(1, select("#", ...))
  local text = string_of(1, (...), "decode", true)
  local data = py.base64_decode(text)
  return data
end

dovecot.doveadm_client = { DOVEADM_PROXY_TTL = 5 }
