-- legacy-2.3.lua: a script as they were written for Dovecot 2.3, unchanged: old names of members and client settings,
-- numbers and booleans where 2.4 wants text, strings as results, undeclared globals.
--
--   passdb lua {
--     lua_file = /etc/roost/lua/legacy-2.3.lua
--     lua_compat = 2.3
--   }
--   userdb lua {
--     lua_file = /etc/roost/lua/legacy-2.3.lua
--     lua_compat = 2.3
--   }
local http = require "json" and dovecot.http.client {
    timeout = 2000;
    max_attempts = 2;
    connect_timeout_msecs = 1000;
    no_auto_redirect = true;
    debug = false;
}

function script_init()
    users = { alice = "wonderland", bob = "builder" }
    return 0
end

function script_deinit()
end

function auth_passdb_lookup(req)
    if req.service == "smtp" then
        return dovecot.auth.PASSDB_RESULT_NEXT, "nopassword=y"
    end
    found = users[req.username]
    if found == nil then
        return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, ""
    end
    if req.domain ~= "" and req.domain ~= "example.org" then
        return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, {}
    end
    return dovecot.auth.PASSDB_RESULT_OK, "password=" .. found .. " user=" .. req.username .. " mech_" .. req.mech
end

function auth_userdb_lookup(req)
    if users[req.username] then
        return dovecot.auth.USERDB_RESULT_OK, req:response_from_template("home=/home/%{user} lip=%{local_ip} quiet")
    end
    return dovecot.auth.USERDB_RESULT_USER_UNKNOWN, "no such user"
end

function auth_userdb_iterate()
    local names = {}
    for name, _ in pairs(users) do table.insert(names, name) end
    return names
end
