-- domain-proxy.lua: each domain's users live on another server; the login is handed on there.
--
-- The fields proxy, host, port and ssl tell the login room where to go; the other server checks the password, so any is
-- taken here (nopassword). A domain may be moved: then it is refused with a text that the user sees (nologin, reason).
--
--   passdb lua {
--     lua_file = /etc/roost/lua/domain-proxy.lua
--     lua_settings {
--       example.org = imap1.internal
--       example.net = imap2.internal:10993
--       example.com = moved Your mailbox has moved to mail.example.com
--     }
--   }
local hosts = {}

function script_init(args)
  for domain, target in pairs(args) do
    local reason = target:match("^moved (.+)$")
    local host, port = target:match("^([^:%s]+):?(%d*)$")
    if not reason and not host then error(domain .. ": not a host: " .. target) end
    hosts[domain] = { reason = reason, host = host, port = port ~= "" and port or nil }
  end
end

function auth_passdb_lookup(req)
  local target = hosts[(req.domain_first or ""):lower()]
  if not target then return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN end
  if target.reason then
    return dovecot.auth.PASSDB_RESULT_OK, { nopassword = true, nologin = true, reason = target.reason }
  end
  return dovecot.auth.PASSDB_RESULT_OK, {
    nopassword = true,
    proxy = true,
    host = target.host,
    port = target.port,
    destuser = req.user,
    ssl = req.protocol == "imap" and "yes" or nil,
  }
end
