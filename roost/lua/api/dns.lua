-- dns_client: lookup(host[, event]) → addresses, or nil, text, code.
local roost, target, py = ...
local range, object, string_of = roost.range, roost.object, roost.string

local CLIENT = "struct dns_client"
local client = {}
local client_mt = { __index = client }

function roost.push_dns_client(id) return roost.new(id, client_mt) end

function target.client(...)
  roost.count(0, select("#", ...))
  return roost.new(py.client(), client_mt)
end

function client.lookup(...)
  range(2, 3, select("#", ...))
  local self, host, event = ...
  object(1, self, client_mt, CLIENT)
  host = string_of(1, host, "lookup")
  if event ~= nil then roost.event_id(3, event) end
  return roost.host("dns.lookup", self.item.id, host)
end
