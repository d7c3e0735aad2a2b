-- json and cjson: encode(value), decode(text), null, empty_array. Written for this project; errors are raised.
local roost = ...
local type, pairs, error, tostring, tonumber, setmetatable = type, pairs, error, tostring, tonumber, setmetatable
local math_type, floor, huge, tointeger = math.type, math.floor, math.huge, math.tointeger
local format, byte, char, find, sub, gsub, match = string.format, string.byte, string.char, string.find, string.sub,
  string.gsub, string.match
local concat, utf8_char = table.concat, utf8.char
local MAX_DEPTH = 200

local null = setmetatable({}, { __tostring = function() return "null" end, __metatable = false })
local array_mt = { __name = "json array" }
local empty_array = setmetatable({}, array_mt)

local SHORT = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t" }

local function escaped(c) return SHORT[c] or format("\\u%04x", byte(c)) end

local function quoted(text) return '"' .. gsub(text, '[%c"\\]', escaped) .. '"' end

local function is_array(value)  -- → its length, or nil
  if rawequal(value, empty_array) or getmetatable(value) == array_mt then return #value end
  local count, top = 0, 0
  for key in pairs(value) do
    if math_type(key) ~= "integer" or key < 1 then return nil end
    count = count + 1
    if key > top then top = key end
  end
  if count > 0 and count == top then return count end
end

local write

local function write_table(value, out, depth, seen)
  if seen[value] then error("json: a table contains itself", 0) end
  if depth > MAX_DEPTH then error("json: nested too deeply", 0) end
  seen[value] = true
  local length = is_array(value)
  if length then
    out[#out + 1] = "["
    for i = 1, length do
      if i > 1 then out[#out + 1] = "," end
      write(value[i], out, depth + 1, seen)
    end
    out[#out + 1] = "]"
  else
    out[#out + 1] = "{"
    local first = true
    for key, item in pairs(value) do
      if type(key) ~= "string" and type(key) ~= "number" then
        error("json: a " .. type(key) .. " cannot be a key", 0)
      end
      if not first then out[#out + 1] = "," end
      first = false
      out[#out + 1] = quoted(tostring(key))
      out[#out + 1] = ":"
      write(item, out, depth + 1, seen)
    end
    out[#out + 1] = "}"
  end
  seen[value] = nil
end

function write(value, out, depth, seen)
  local kind = type(value)
  if value == nil or rawequal(value, null) then
    out[#out + 1] = "null"
  elseif kind == "string" then
    out[#out + 1] = quoted(value)
  elseif kind == "boolean" then
    out[#out + 1] = tostring(value)
  elseif kind == "number" then
    if math_type(value) == "integer" then
      out[#out + 1] = format("%d", value)
    elseif value ~= value or value == huge or value == -huge then
      error("json: " .. tostring(value) .. " is no JSON number", 0)
    elseif floor(value) == value and value > -1e15 and value < 1e15 then
      out[#out + 1] = format("%d", value)
    else
      out[#out + 1] = format("%.17g", value)
    end
  elseif kind == "table" then
    write_table(value, out, depth, seen)
  else
    error("json: a " .. kind .. " cannot be encoded", 0)
  end
end

local function encode(value)
  local out = {}
  write(value, out, 0, {})
  return concat(out)
end

-- Reading -----------------------------------------------------------------------------------------------------------

local PLAIN = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function fail(text, at, what)
  error("json: " .. what .. " at position " .. at, 0)
end

local function space(text, at) return (find(text, "[^ \t\r\n]", at)) or #text + 1 end

local function code_unit(text, at)
  local hex = match(text, "^%x%x%x%x", at)
  if not hex then fail(text, at, "bad \\u escape") end
  return tonumber(hex, 16)
end

local function read_string(text, at)  -- at: after the quote → value, position after the closing one
  local parts = {}
  while true do
    local stop = find(text, '[%c"\\]', at)
    if not stop then fail(text, at, "string is not closed") end
    parts[#parts + 1] = sub(text, at, stop - 1)
    local found = sub(text, stop, stop)
    if found == '"' then return concat(parts), stop + 1 end
    if found ~= "\\" then
      if found ~= "\127" then fail(text, stop, "control character in a string") end
      parts[#parts + 1] = found
      at = stop + 1
    elseif sub(text, stop + 1, stop + 1) == "u" then
      local code = code_unit(text, stop + 2)
      at = stop + 6
      if code >= 0xD800 and code < 0xDC00 and sub(text, at, at + 1) == "\\u" then
        local low = code_unit(text, at + 2)
        if low >= 0xDC00 and low < 0xE000 then
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
          at = at + 6
        end
      end
      if code >= 0xD800 and code < 0xE000 then code = 0xFFFD end
      parts[#parts + 1] = utf8_char(code)
    else
      local plain = PLAIN[sub(text, stop + 1, stop + 1)]
      if not plain then fail(text, stop, "bad escape") end
      parts[#parts + 1] = plain
      at = stop + 2
    end
  end
end

local read

local function read_object(text, at, depth)
  local made = {}
  at = space(text, at)
  if byte(text, at) == 125 then return made, at + 1 end
  while true do
    if byte(text, at) ~= 34 then fail(text, at, "expected a key") end
    local key, value
    key, at = read_string(text, at + 1)
    at = space(text, at)
    if byte(text, at) ~= 58 then fail(text, at, "expected ':'") end
    value, at = read(text, at + 1, depth)
    if not rawequal(value, null) then made[key] = value end
    at = space(text, at)
    local next_byte = byte(text, at)
    if next_byte == 125 then return made, at + 1 end
    if next_byte ~= 44 then fail(text, at, "expected ',' or '}'") end
    at = space(text, at + 1)
  end
end

local function read_array(text, at, depth)
  local made, length = setmetatable({}, array_mt), 0
  at = space(text, at)
  if byte(text, at) == 93 then return made, at + 1 end
  while true do
    length = length + 1
    made[length], at = read(text, at, depth)
    at = space(text, at)
    local next_byte = byte(text, at)
    if next_byte == 93 then return made, at + 1 end
    if next_byte ~= 44 then fail(text, at, "expected ',' or ']'") end
    at = at + 1
  end
end

local WORDS = { ["true"] = true, ["false"] = false }

function read(text, at, depth)
  if depth > MAX_DEPTH then fail(text, at, "nested too deeply") end
  at = space(text, at)
  local first = byte(text, at)
  if first == 123 then return read_object(text, at + 1, depth + 1) end
  if first == 91 then return read_array(text, at + 1, depth + 1) end
  if first == 34 then return read_string(text, at + 1) end
  local word = match(text, "^%l+", at)
  if word == "null" then return null, at + 4 end
  if word and WORDS[word] ~= nil then return WORDS[word], at + #word end
  local whole, rest = match(text, "^(%-?%d+)([%.eE]?)", at)
  if not whole or find(whole, "^%-?0%d") then fail(text, at, "unexpected text") end
  if rest == "" then return tointeger(whole) or tonumber(whole), at + #whole end
  local number = match(text, "^%-?%d+%.%d+[eE][%+%-]?%d+", at) or match(text, "^%-?%d+[eE][%+%-]?%d+", at)
    or match(text, "^%-?%d+%.%d+", at)
  if not number then fail(text, at, "bad number") end
  return tonumber(number), at + #number
end

local function decode(text)
  if type(text) ~= "string" then
    error("bad argument #1 to 'decode' (string expected, got " .. (text == nil and "no value" or type(text)) .. ")", 2)
  end
  local value, at = read(text, 1, 0)
  at = space(text, at)
  if at <= #text then fail(text, at, "text after the value") end
  return value
end

local module = { encode = encode, decode = decode, null = null, empty_array = empty_array, array_mt = array_mt }
roost.preload("json", module)
roost.preload("cjson", module)
