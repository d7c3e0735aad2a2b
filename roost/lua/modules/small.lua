-- base64 and socket.url: the few functions that published scripts use of them.
local roost, _, py = ...

roost.preload("base64", {
  encode = function(data) return (py.base64_encode(roost.string(1, data, "encode", true))) end,
  decode = function(text) return (py.base64_decode(roost.string(1, text, "decode", true))) end,
})

local url = {}

function url.escape(text)
  return (text:gsub("[^A-Za-z0-9_]", function(char) return ("%%%02x"):format(char:byte()) end))
end

function url.unescape(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

function url.parse(text)
  local made, rest = { url = text }, text
  rest = rest:gsub("#(.*)$", function(value) made.fragment = value return "" end)
  rest = rest:gsub("^([%w][%w%+%-%.]*)%:", function(value) made.scheme = value return "" end)
  rest = rest:gsub("^//([^/%?]*)", function(value) made.authority = value return "" end)
  rest = rest:gsub("%?(.*)$", function(value) made.query = value return "" end)
  rest = rest:gsub("%;(.*)$", function(value) made.params = value return "" end)
  if rest ~= "" then made.path = rest end
  local place = made.authority
  if not place then return made end
  place = place:gsub("^([^@]*)@", function(value) made.userinfo = value return "" end)
  place = place:gsub(":([^:%]]*)$", function(value) made.port = value return "" end)
  if place ~= "" then made.host = place:match("^%[(.+)%]$") or place end
  if made.userinfo then
    made.user = made.userinfo:gsub(":([^:]*)$", function(value) made.password = value return "" end)
  end
  return made
end

roost.preload("socket.url", url)
