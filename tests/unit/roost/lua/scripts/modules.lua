local json, cjson = require "json", require "cjson"
local base64, url = require "base64", require "socket.url"
function same() return json == cjson, type(base64.encode), type(url.escape) end
function encode(value) return json.encode(value) end
function decode(text) return json.decode(text) end
function types()
  local value = json.decode('{"i":1,"f":1.5,"e":1e3,"n":null,"a":[null,2],"t":true,"big":9007199254740993}')
  return math.type(value.i), math.type(value.f), math.type(value.e), value.n, value.a[1] == json.null, value.a[2],
    value.t, value.big, tostring(json.null)
end
function round(text) return json.encode(json.decode(text)) end
function empty() return json.encode({}), json.encode(json.empty_array), json.encode(json.decode("[]")) end
function mixed() return json.encode({ 1, 2, nil, 4 }), json.encode({ [3] = "x" }) end
function bad_values()
  local loop = {}
  loop.me = loop
  local out = {}
  for _, value in ipairs({ loop, { print }, { 0 / 0 }, { math.huge }, { [{}] = 1 } }) do
    local ok, problem = pcall(json.encode, value)
    out[#out + 1] = tostring(ok) .. " " .. problem:gsub("%-?nan", "nan")
  end
  return out
end
function bad_text(text)
  local ok, problem = pcall(json.decode, text)
  return ok, type(problem)
end
function b64() return base64.encode("test value"), base64.decode("dGVzdCB2YWx1ZQ==") end
function urls()
  local parts = url.parse("https://user:pw@example.org:8443/a;p?q=1#frag")
  return url.escape("a b/ü"), url.unescape("a%20b%2F"), parts.scheme, parts.host, parts.port, parts.path, parts.query,
    parts.fragment, parts.user, parts.password, parts.params
end
function missing() require("no.such.module") end
function twice() return require("json") == json, package.loaded.json == json end
