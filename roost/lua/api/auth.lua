-- The auth request object. Members come from a table of variables made for each request; methods are shared.
local roost, auth, py = ...
local count, string_of = roost.count, roost.string
local type, error, select, setmetatable, rawget, tostring = type, error, select, setmetatable, rawget, tostring
local ipairs, pairs, tointeger = ipairs, pairs, math.tointeger
local host = roost.host

local OBJECT = "auth_request"
local methods = {}
local request_mt

-- Names of 2.3 that 2.4 no longer has: each is another member, or a half of one at its first "@".
local ALIASES = {
  service = "protocol", lip = "local_ip", rip = "remote_ip", lport = "local_port", rport = "remote_port",
  real_lip = "real_local_ip", real_rip = "real_remote_ip", real_lport = "real_local_port",
  real_rport = "real_remote_port", pid = "client_pid", mech = "mechanism", orig_user = "original_user",
}
local HALVES = {
  username = "user", login_username = "login_user", orig_username = "original_user",
  original_username = "original_user", auth_username = "auth_user",
}
local DOMAINS = {
  domain = "user", login_domain = "login_user", orig_domain = "original_user", original_domain = "original_user",
  auth_domain = "auth_user",
}

local function old_member(variables, name)
  local from = ALIASES[name]
  if from then
    roost.deprecated("req." .. name, "auth_request member '" .. name .. "' is now called '" .. from .. "'")
    return variables[from]
  end
  from = HALVES[name]
  if from then
    roost.deprecated("req." .. name, "auth_request member '" .. name .. "' no longer exists in Dovecot 2.4")
    local whole = variables[from]
    return whole and whole:match("^[^@]*")
  end
  from = DOMAINS[name]
  if from then
    roost.deprecated("req." .. name, "auth_request member '" .. name .. "' no longer exists in Dovecot 2.4")
    local whole = variables[from]
    return whole and (whole:match("@(.*)$") or "")
  end
end

local function variables_of(request)
  local item = rawget(request, "item")
  local variables = type(item) == "table" and rawget(item, "variables")
  if not variables then error("auth_request is no longer valid", 0) end
  return variables
end

local function member(request, name)
  local method = methods[name]
  local variables = variables_of(request)
  local value = variables[name]
  if value ~= nil then return value end
  if method then return method end
  if not roost.strict then return old_member(variables, name) end
end

request_mt = { __index = member, __name = OBJECT }

local function id_of(request)
  if type(request) ~= "table" then
    error("Bad argument #1, expected " .. OBJECT .. " got " .. type(request), 0)
  end
  variables_of(request)
  return rawget(request, "item").id
end

local function fields_of(fields)
  if fields == nil then return {} end
  return setmetatable({}, { __index = function(_, name)
    local value = fields[name]
    if value == "" then return "yes" end  -- a field without a value
    return value
  end })
end

function roost.auth_request(id, variables, passdb, userdb, skip_check, unknown, internal, userdbs_internal)
  local item = roost.item(id)
  item.variables = variables
  return setmetatable({
    item = item,
    passdb = fields_of(passdb),
    userdb = fields_of(userdb),
    skip_password_check = skip_check,
    passdbs_seen_user_unknown = unknown,
    passdbs_seen_internal_failure = internal,
    userdbs_seen_internal_failure = userdbs_internal,
  }, request_mt)
end

function roost.auth_done(request)  -- the call is over: the object is dead, whoever still holds it
  local item = rawget(request, "item")
  if type(item) == "table" and item.variables then
    item.variables = nil
    roost.drop(item)
  end
end

-- The same object for one call (core.enter_made), which ends its life when it returns. Python lets go of `id` itself:
-- so it needs no finalizer. → the object, and the hook's other arguments
local live = {}

function roost.auth_made(state, id, variables, passdb, userdb, skip_check, unknown, internal, userdbs_internal, ...)
  local item = { id = id, variables = variables }
  state.auth_id, live[id] = id, item
  return setmetatable({
    item = item,
    passdb = fields_of(passdb),
    userdb = fields_of(userdb),
    skip_password_check = skip_check,
    passdbs_seen_user_unknown = unknown,
    passdbs_seen_internal_failure = internal,
    userdbs_seen_internal_failure = userdbs_internal,
  }, request_mt), ...
end

function roost.auth_gone(id)
  local item = live[id]
  if item then
    live[id], item.variables = nil, nil
  end
end

roost.on_return[#roost.on_return + 1] = function(state)
  if state.auth_id then roost.auth_gone(state.auth_id) end
end

for _, level in ipairs({ "debug", "info", "warning", "error" }) do
  local name = "log_" .. level
  methods[name] = function(...)
    local id = id_of((...))
    count(2, select("#", ...))
    local text = string_of(2, select(2, ...), name)
    py.log(id, level, text)
  end
end

methods.var_expand = function(...)
  local id = id_of((...))
  count(2, select("#", ...))
  local template = string_of(2, select(2, ...), "var_expand")
  local text = py.var_expand(id, template)
  return text
end

methods.password_verify = function(...)
  local id = id_of((...))
  count(3, select("#", ...))
  local _, crypted, plain = ...
  if crypted == nil then error("Crypted password must not be nil", 0) end
  if plain == nil then error("Plain password must not be nil", 0) end
  crypted = string_of(2, crypted, "password_verify", true)
  plain = string_of(3, plain, "password_verify", true)
  local result, problem = host("auth.password_verify", id, crypted, plain)
  return result, problem
end

methods.event = function(...)
  local id = id_of((...))
  count(1, select("#", ...))
  local made = roost.push_event(py.event(id))
  return made
end

if not roost.strict then
  methods.response_from_template = function(...)
    local id = id_of((...))
    count(2, select("#", ...))
    local template = string_of(2, select(2, ...), "response_from_template")
    roost.deprecated("response_from_template", "response_from_template() no longer exists in Dovecot 2.4")
    local made = {}
    for word in template:gmatch("[^ ]+") do
      local key, value = word:match("^([^=]*)=(.*)$")
      if key then
        made[key] = py.var_expand(id, value)
      else
        made[word] = ""
      end
    end
    return made
  end
end
