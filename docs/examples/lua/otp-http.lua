-- otp-http.lua: the password and, right behind it, six digits of a one-time code.
--
-- The first part is compared with the stored hash, which an earlier passdb has put into the field `otp_hash`; only when
-- it is right is the second given to the server of the codes. A missing code is a wrong password like any other.
--
--   passdb hashes {
--     driver = passwd-file
--     passwd_file_path = /etc/roost/otp-users
--     fields {
--       noauthenticate = yes
--     }
--   }
--   passdb lua {
--     lua_file = /etc/roost/lua/otp-http.lua
--     lua_settings {
--       url = http://127.0.0.1:8080/otp/validate
--     }
--   }
local url
local client = dovecot.http.client { request_timeout = "5s", request_max_attempts = 1 }

function script_init(args)
  url = assert(args.url, "lua_settings { url } is missing")
end

local function escape(text)
  return (text:gsub("[^%w._~-]", function(octet) return string.format("%%%02X", octet:byte()) end))
end

function auth_password_verify(req, password)
  local stored = req.passdb.otp_hash
  if not stored then return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN end
  local secret, code = password:match("^(.*)(%d%d%d%d%d%d)$")
  -- Compared in any case, so that the time does not tell whether there was a code.
  local result, problem = req:password_verify(stored, secret or password)
  if result < 0 then return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, problem end
  if result ~= 1 or not code then return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH end
  local request = client:request { url = url, method = "POST" }
  request:add_header("Content-Type", "application/x-www-form-urlencoded")
  request:set_payload("user=" .. escape(req.user) .. "&code=" .. code)
  local status = request:submit():status()
  if status == 200 then return dovecot.auth.PASSDB_RESULT_OK end
  if status == 401 or status == 403 then
    return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, "the code is wrong"
  end
  return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, "code server: " .. status
end
