-- dict-lockout.lua: logins are counted in a dict, and a user is locked out after too many wrong passwords.
--
-- The counters are shared by all processes, and by all servers if the dict is in Redis. They expire by themselves. Two
-- failures at the same moment may count as one: good enough to stop guessing, and no login waits for another.
--
--   dict lockout {
--     driver = file
--     dict_file_path = /var/lib/roost/lockout
--   }
--   passdb lua {
--     lua_file = /etc/roost/lua/dict-lockout.lua
--     lua_settings {
--       tries = 3
--       secs = 600
--     }
--   }
local tries, secs
local HASHES = {  -- in real life from elsewhere; see table-lookup.lua and rest-check.lua
  ["alice"] = "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
}

function script_init(args)
  tries, secs = math.tointeger(tonumber(args.tries)), math.tointeger(tonumber(args.secs))
end

local function count(dict, key, user)
  local found = dict:lookup(key, user)
  return found and math.tointeger(tonumber(found[1])) or 0
end

local function store(dict, user, key, number, expire)
  local change = dict:transaction_begin(user, expire)
  change:set(key, tostring(number))
  change:commit()
end

function auth_password_verify(req, password)
  local stored = HASHES[req.user]
  if not stored then return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN end
  local dict = dovecot.dict.open("lockout")
  local failures = count(dict, "priv/failures", req.user)
  if failures >= tries then
    return dovecot.auth.PASSDB_RESULT_USER_DISABLED, "locked out after " .. failures .. " failures"
  end
  if req:password_verify(stored, password) ~= 1 then
    store(dict, req.user, "priv/failures", failures + 1, secs)
    return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH
  end
  if failures > 0 then
    local change = dict:transaction_begin(req.user)
    change:unset("priv/failures")
    change:commit()
  end
  local logins = count(dict, "priv/logins", req.user) + 1
  store(dict, req.user, "priv/logins", logins, 365 * 86400)
  return dovecot.auth.PASSDB_RESULT_OK, { userdb_logins = logins }
end
