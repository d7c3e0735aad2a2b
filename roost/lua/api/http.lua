-- dovecot.http: client, request and response objects. A request lives in Lua until submit(), which is one host operation.
local roost, http, py = ...
local count, range, object, string_of = roost.count, roost.range, roost.object, roost.string
local select, error, type, setmetatable, pairs, concat = select, error, type, setmetatable, pairs, table.concat

local CLIENT, REQUEST, RESPONSE = "struct http_client", "struct http_client_request", "struct dlua_http_response"
local client, request, response = {}, {}, {}  -- methods
local client_mt, request_mt, response_mt = { __index = client }, { __index = request }, { __index = response }

local function expect_table(index, value, name)
  if type(value) ~= "table" then
    local got = value == nil and "nil" or type(value)
    error("bad argument #" .. index .. " to '" .. name .. "' (table expected, got " .. got .. ")", 3)
  end
  return value
end

local MAX_CHECKS = 64
local checked, checks = {}, 0  -- url → the method it was last checked with: most scripts ask few, again and again

-- dovecot.http.client{…} --------------------------------------------------------------------------------------------

function http.client(...)
  count(1, select("#", ...))
  local given = expect_table(1, (...), "client")
  local parent, settings = nil, {}
  for key, value in pairs(given) do
    if key == "event_parent" then
      parent = value
    else
      settings[key] = value
    end
  end
  local event = 0
  if parent ~= nil then event = roost.event_id(1, parent) end
  local id, notes = py.client(settings, event)
  if notes ~= "" then roost.deprecated("http.client", notes) end
  return roost.new(id, client_mt)
end

function client.request(...)
  count(2, select("#", ...))
  local self, given = ...
  object(1, self, client_mt, CLIENT)
  expect_table(1, given, "request")
  local url, method = given.url, given.method
  if url == nil then error("cannot create request: url not specified", 0) end
  url = string_of(1, url, "request")
  method = method == nil and "GET" or string_of(1, method, "request")
  if checked[url] ~= method then
    py.check(method, url)
    if checks >= MAX_CHECKS then checked, checks = {}, 0 end
    checked[url], checks = method, checks + 1
  end
  return setmetatable({ item = { client = self, method = method, url = url, names = {}, values = {} } }, request_mt)
end

-- Requests ----------------------------------------------------------------------------------------------------------

local function fresh(self)
  local item = object(1, self, request_mt, REQUEST).item
  if item.submitted then error("request was already submitted", 0) end
  return item
end

function request.add_header(...)
  count(3, select("#", ...))
  local self, name, value = ...
  local item = fresh(self)
  name = string_of(1, name, "add_header")
  value = string_of(2, value, "add_header")
  if name == "" or name:find("[^!#$%%&'*+%-.^_`|~%w]") then error("invalid HTTP header name", 0) end
  local low = name:lower()
  if low == "proxy-authorization" then error("HTTP header Proxy-Authorization cannot be set", 0) end
  if value:find("[\1-\8\10-\31\127]") then error("invalid value of HTTP header " .. name, 0) end
  item.names[low], item.values[low] = name, value
end

function request.remove_header(...)
  count(2, select("#", ...))
  local self, name = ...
  local item = fresh(self)
  local low = string_of(1, name, "remove_header"):lower()
  item.names[low], item.values[low] = nil, nil
end

function request.set_payload(...)
  range(2, 3, select("#", ...))
  local self, payload, sync = ...
  local item = fresh(self)
  payload = string_of(1, payload, "set_payload")
  if item.payload then error("request has a payload already", 0) end
  item.payload, item.sync = payload, sync and true or false
end

function request.set_event(...)
  count(2, select("#", ...))
  local self, event = ...
  local item = object(1, self, request_mt, REQUEST).item
  item.event_id = roost.event_id(2, event)
  item.parent, item.own = event, nil  -- the reference keeps Python's event alive
end

function request.get_event(...)
  count(1, select("#", ...))
  local item = object(1, (...), request_mt, REQUEST).item
  if not item.own then
    item.own = roost.push_event(py.event(item.client.item.id, item.event_id or 0, item.method, item.url))
  end
  return item.own
end

function request.submit(...)
  count(1, select("#", ...))
  local item = fresh((...))
  item.submitted = true
  local lines, values = {}, item.values
  for low, name in pairs(item.names) do
    lines[#lines + 1] = name
    lines[#lines + 1] = values[low]
  end
  local status, reason, headers, payload = roost.host(
    "http.submit", item.client.item.id, item.method, item.url, concat(lines, "\n"), item.payload, item.sync)
  return setmetatable(
    { item = { status = status, reason = reason, headers = headers, payload = payload } }, response_mt)
end

-- Responses ---------------------------------------------------------------------------------------------------------

local function got(self)
  return object(1, self, response_mt, RESPONSE).item
end

function response.status(...)
  count(1, select("#", ...))
  return got((...)).status
end

function response.reason(...)
  count(1, select("#", ...))
  return got((...)).reason
end

function response.payload(...)
  count(1, select("#", ...))
  return got((...)).payload
end

-- The first of that name. The block of headers (name LF value LF, names in lower case) is taken apart when first asked.
function response.header(...)
  count(2, select("#", ...))
  local self, name = ...
  local item = got(self)
  name = string_of(1, name, "header"):lower()
  local index = item.index
  if not index then
    index = {}
    for key, value in item.headers:gmatch("([^\n]*)\n([^\n]*)\n") do
      if index[key] == nil then index[key] = value end
    end
    item.index, item.headers = index, nil
  end
  return index[name] or ""
end
