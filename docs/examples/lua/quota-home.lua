-- quota-home.lua: home and limits by what somebody has paid for.
--
-- A userdb only: the passwords are elsewhere. A JSON file gives plans and who has which; everybody else gets the plan
-- `default`. Homes are spread over folders by a digest of the name, so that no folder becomes too large.
--
--   userdb lua {
--     lua_file = /etc/roost/lua/quota-home.lua
--     lua_settings {
--       plans = /etc/roost/plans.json
--       homes = /var/mail
--     }
--   }
local json = require "json"
local settings, plans

function script_init(args)
  settings = args
  local file = assert(io.open(settings.plans))
  plans = json.decode(file:read("a"))
  file:close()
  assert(plans.plans.default, "there is no plan named default")
end

local function bucket(user)
  local sum = 5381
  for at = 1, #user do sum = (sum * 33 + user:byte(at)) % 4096 end
  return string.format("%03x", sum)
end

function auth_userdb_lookup(req)
  local name, domain = req.user:match("^([%w._-]+)@([%w.-]+)$")
  if not name or name:find("^%.") or domain:find("^%.") then
    return dovecot.auth.USERDB_RESULT_USER_UNKNOWN
  end
  local plan = plans.plans[plans.users[req.user] or "default"]
  if not plan then
    return dovecot.auth.USERDB_RESULT_INTERNAL_FAILURE, req.user .. " has a plan that does not exist"
  end
  return dovecot.auth.USERDB_RESULT_OK, {
    home = table.concat({ settings.homes, domain, bucket(name), name }, "/"),
    quota_mail_size = plan.message,
    mail_max_userip_connections = plan.connections,
    plan = plan.name,
  }
end
