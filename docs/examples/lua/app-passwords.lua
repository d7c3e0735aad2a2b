-- app-passwords.lua: a user has several passwords, one for each program, and each may be limited to protocols.
--
-- The JSON file has for each user a list of {"name", "hash", "protocols"}. Every hash is compared, also after one has
-- matched: the time tells nothing about which. Which one it was goes to the log and into a field.
--
--   passdb lua {
--     lua_file = /etc/roost/lua/app-passwords.lua
--     lua_settings {
--       passwords = /etc/roost/app-passwords.json
--     }
--   }
local json = require "json"
local passwords

function script_init(args)
  local file = assert(io.open(args.passwords))
  passwords = json.decode(file:read("a"))
  file:close()
end

local function serves(entry, protocol)
  if not entry.protocols then return true end
  for _, name in ipairs(entry.protocols) do
    if name == protocol then return true end
  end
  return false
end

function auth_password_verify(req, password)
  local entries = passwords[req.user]
  if not entries then return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN end
  local matched
  for _, entry in ipairs(entries) do
    local result, problem = req:password_verify(entry.hash, password)
    if result == 1 then
      matched = matched or entry
    elseif result < 0 then
      req:log_warning("app password " .. entry.name .. ": " .. problem)
    end
  end
  if not matched then return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH end
  if not serves(matched, req.protocol) then
    return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH,
      "app password " .. matched.name .. " is not for " .. (req.protocol or "?")
  end
  req:log_info("app password " .. matched.name .. " used")
  return dovecot.auth.PASSDB_RESULT_OK, { userdb_app = matched.name }
end
