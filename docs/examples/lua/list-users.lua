-- list-users.lua: who exists is asked of a directory service, page by page; doveadm user '*' lists them.
--
-- GET url?after=NAME answers {"users": [{"name": …}, …], "more": true}; GET url/NAME answers {"home": …}, or 404.
--
--   userdb lua {
--     lua_file = /etc/roost/lua/list-users.lua
--     lua_settings {
--       url = http://127.0.0.1:8080/users
--     }
--   }
local json = require "json"
local escape = require("socket.url").escape
local client = dovecot.http.client { request_timeout = "10s", request_max_attempts = 3, max_idle_time = "10s" }
local url
local MAX_PAGES = 10000

function script_init(args) url = args.url end

local function get(address)
  local response = client:request { url = address }:submit()
  if response:status() == 404 then return nil end
  if response:status() ~= 200 then error("directory: " .. response:status() .. " " .. response:reason(), 0) end
  return json.decode(response:payload())
end

function auth_userdb_lookup(req)
  local user = get(url .. "/" .. escape(req.user))
  if not user then return dovecot.auth.USERDB_RESULT_USER_UNKNOWN end
  return dovecot.auth.USERDB_RESULT_OK, { home = user.home }
end

function auth_userdb_iterate()
  local names, after = {}, ""
  for _ = 1, MAX_PAGES do
    local page = get(url .. "?after=" .. escape(after)) or { users = {} }
    for _, user in ipairs(page.users) do names[#names + 1] = user.name end
    if not page.more or #page.users == 0 then return names end
    after = names[#names]
  end
  error("directory: too many pages", 0)
end
