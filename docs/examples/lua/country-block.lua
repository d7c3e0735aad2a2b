-- country-block.lua: logins from some countries are refused, by a table of networks.
--
-- Each line of the table is `network/bits COUNTRY`, IPv4 or IPv6 (as the lists of the registries are easily made into).
-- The script stands before the real passdb: it refuses or says NEXT, and the next database decides.
--
--   passdb country {
--     driver = lua
--     lua_file = /etc/roost/lua/country-block.lua
--     lua_settings {
--       networks = /etc/roost/networks.txt
--       blocked = XA XB
--     }
--   }
--   passdb users {
--     driver = static
--     static_password = secret
--   }
local trees = { [4] = {}, [6] = {} }  -- by family, then bits: prefix → country
local lengths = { [4] = {}, [6] = {} }
local blocked = {}

-- An address as a string of 0 and 1, or nil.
local function bits_of(address)
  local family = dovecot.net_ip_family(address)
  local groups = {}
  if family == 4 then
    for part in address:gmatch("%d+") do groups[#groups + 1] = { tonumber(part), 8 } end
  elseif family == 6 then
    local front, back = address:match("^(.-)::(.*)$")
    local function take(text)
      local found = {}
      for part in text:gmatch("[^:]+") do
        local a, b, c, d = part:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
        if a then
          found[#found + 1] = { a * 256 + b, 16 }
          found[#found + 1] = { c * 256 + d, 16 }
        else
          found[#found + 1] = { tonumber(part, 16), 16 }
        end
      end
      return found
    end
    groups = take(front or address)
    if front then
      local rest = take(back)
      while #groups + #rest < 8 do groups[#groups + 1] = { 0, 16 } end
      table.move(rest, 1, #rest, #groups + 1, groups)
    end
  else
    return nil
  end
  local bits = {}
  for _, group in ipairs(groups) do
    for shift = group[2] - 1, 0, -1 do
      bits[#bits + 1] = (math.tointeger(group[1]) >> shift) & 1
    end
  end
  return table.concat(bits), family
end

function script_init(args)
  for country in args.blocked:gmatch("%S+") do blocked[country] = true end
  for line in io.lines(args.networks) do
    local network, length, country = line:match("^([%x.:]+)/(%d+)%s+(%u%u)")
    if network then
      local bits, family = bits_of(network)
      length = math.tointeger(tonumber(length))
      trees[family][bits:sub(1, length)] = country
      lengths[family][length] = true
    elseif not line:find("^%s*#") and line:find("%S") then
      error("not a network: " .. line)
    end
  end
end

local function country_of(address)
  local bits, family = bits_of(address)
  if not bits then return nil end
  for length = #bits, 0, -1 do  -- the smallest network that holds it
    local country = lengths[family][length] and trees[family][bits:sub(1, length)]
    if country then return country end
  end
end

local function judge(req)
  local address = req.remote_ip
  local country = address and country_of(address)
  if country and blocked[country] then
    req:log_info("login from " .. country .. " refused: " .. address)
    return dovecot.auth.PASSDB_RESULT_USER_DISABLED, "logins from " .. country .. " are refused"
  end
  return dovecot.auth.PASSDB_RESULT_NEXT
end

function auth_password_verify(req) return judge(req) end
function auth_passdb_lookup(req) return judge(req) end
