-- office-hours.lua: some users may log in at some hours only.
--
-- Rules are lines of lua_settings: a user or a domain, and days and hours in the server's time zone. Who has no rule
-- may log in at any time. It stands before the real passdb and says NEXT to those who may.
--
--   passdb hours {
--     driver = lua
--     lua_file = /etc/roost/lua/office-hours.lua
--     lua_settings {
--       bob@example.org = Mon-Fri 08:00-18:00
--       example.net = Mon-Sun 06:30-22:00
--     }
--   }
--   passdb users {
--     driver = static
--     static_password = secret
--   }
local DAYS = { Sun = 1, Mon = 2, Tue = 3, Wed = 4, Thu = 5, Fri = 6, Sat = 7 }
local rules = {}

function script_init(args)
  for who, text in pairs(args) do
    local first, last, h1, m1, h2, m2 = text:match("^(%a+)%-(%a+) (%d+):(%d+)%-(%d+):(%d+)$")
    if not first or not DAYS[first] or not DAYS[last] then error(who .. ": not a rule: " .. text) end
    rules[who] = { DAYS[first], DAYS[last], h1 * 60 + m1, h2 * 60 + m2 }
  end
end

local function allowed(rule, time)
  local first, last, from, to = table.unpack(rule)
  local day, minute = time.wday, time.hour * 60 + time.min
  local days = first <= last and day >= first and day <= last or first > last and (day >= first or day <= last)
  return days and minute >= from and minute < to
end

local function judge(req)
  local rule = rules[req.user] or rules[req.domain_first or ""]
  if rule and not allowed(rule, os.date("*t")) then
    return dovecot.auth.PASSDB_RESULT_USER_DISABLED, "not at this hour"
  end
  return dovecot.auth.PASSDB_RESULT_NEXT
end

function auth_password_verify(req) return judge(req) end
function auth_passdb_lookup(req) return judge(req) end
