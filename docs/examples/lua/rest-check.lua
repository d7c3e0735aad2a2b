-- rest-check.lua: a REST service decides.
--
-- The login is posted as JSON; the service answers 200 with {"result": "ok", "fields": {…}}, or with another result.
-- Anything else than an answer of the service is a temporary failure: nobody is told that his password is wrong because
-- the service is down. Calls wait for the service together, thousands at once (lua_interleave): all state is in locals.
--
--   passdb lua {
--     lua_file = /etc/roost/lua/rest-check.lua
--     lua_interleave = yes
--     lua_settings {
--       url = http://127.0.0.1:8080/check
--       key = secret-of-this-server
--     }
--   }
local json = require "json"
local client, settings

function script_init(args)
  settings = args
  client = dovecot.http.client {
    request_timeout = "5s",
    request_absolute_timeout = "12s",
    request_max_attempts = 2,
    max_idle_time = "30s",
  }
end

local RESULTS = {
  ok = dovecot.auth.PASSDB_RESULT_OK,
  mismatch = dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH,
  unknown = dovecot.auth.PASSDB_RESULT_USER_UNKNOWN,
  disabled = dovecot.auth.PASSDB_RESULT_USER_DISABLED,
  expired = dovecot.auth.PASSDB_RESULT_PASS_EXPIRED,
}

function auth_password_verify(req, password)
  local request = client:request { url = settings.url, method = "POST" }
  request:add_header("Content-Type", "application/json")
  request:add_header("Authorization", "Bearer " .. settings.key)
  request:set_payload(json.encode {
    user = req.user, password = password, protocol = req.protocol, remote_ip = req.remote_ip,
  })
  local response = request:submit()
  if response:status() ~= 200 then
    return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE,
      "check service: " .. response:status() .. " " .. response:reason()
  end
  local readable, answer = pcall(json.decode, response:payload())
  local result = readable and type(answer) == "table" and RESULTS[answer.result]
  if not result then
    return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, "check service: not an answer"
  end
  if result == dovecot.auth.PASSDB_RESULT_OK then
    return result, answer.fields or {}
  end
  return result, answer.message
end
