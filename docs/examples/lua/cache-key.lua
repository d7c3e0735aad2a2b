-- cache-key.lua: an expensive lookup whose answers the auth process remembers.
--
-- auth_passdb_get_cache_key names everything that the answer depends on: the user, and the address, for whoever comes
-- from inside is treated otherwise. With auth_cache_size set, the script is asked once for each user and address until
-- auth_cache_ttl is over.
--
--   auth_cache_size = 10M
--   passdb lua {
--     lua_file = /etc/roost/lua/cache-key.lua
--     lua_settings {
--       url = http://127.0.0.1:8080/slow
--     }
--   }
local json = require "json"
local escape = require("socket.url").escape
local client = dovecot.http.client { request_timeout = "20s", request_max_attempts = 2 }
local url

function script_init(args) url = args.url end

function auth_passdb_get_cache_key()
  return "%{user}%{remote_ip}"
end

function auth_passdb_lookup(req)
  local place = (req.remote_ip or ""):find("^10%.") and "inside" or "outside"
  local response = client:request { url = url .. "?user=" .. escape(req.user) .. "&from=" .. place }:submit()
  if response:status() == 404 then return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN end
  if response:status() ~= 200 then
    return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, "lookup: " .. response:reason()
  end
  local answer = json.decode(response:payload())
  return dovecot.auth.PASSDB_RESULT_OK, { password = answer.hash, allow_nets = answer.networks }
end
