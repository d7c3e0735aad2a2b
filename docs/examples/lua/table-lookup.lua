-- table-lookup.lua: users out of a CSV file, looked up as in a table of SQL.
--
-- SELECT password, quota, home FROM users WHERE name = %{user | username} AND domain = %{user | domain} AND active = 1
-- The first line names the columns; a value may stand in double quotes. The file is read again when it is older than
-- `refresh` seconds, and found by an index: a lookup costs the same whatever the size.
--
--   passdb lua {
--     lua_file = /etc/roost/lua/table-lookup.lua
--     lua_settings {
--       table = /etc/roost/users.csv
--       refresh = 30
--     }
--   }
--   userdb lua {
--     lua_file = /etc/roost/lua/table-lookup.lua
--     lua_settings {
--       table = /etc/roost/users.csv
--       refresh = 30
--     }
--   }
local settings, rows, read_at

local function split(line)
  local values, at = {}, 1
  line = line:gsub("\r$", "") .. ","
  while at <= #line do
    local value, next_at
    if line:sub(at, at) == '"' then
      local closing = at + 1
      while true do
        closing = assert(line:find('"', closing, true), "a quote is not closed")
        if line:sub(closing + 1, closing + 1) ~= '"' then break end
        closing = closing + 2
      end
      value, next_at = line:sub(at + 1, closing - 1):gsub('""', '"'), closing + 2
    else
      local comma = line:find(",", at, true)
      value, next_at = line:sub(at, comma - 1), comma + 1
    end
    values[#values + 1], at = value, next_at
  end
  return values
end

local function read()
  local index, columns = {}, nil
  for line in io.lines(settings.table) do
    if line ~= "" then
      local values = split(line)
      if not columns then
        columns = values
      else
        local row = {}
        for number, column in ipairs(columns) do row[column] = values[number] or "" end
        index[row.name:lower() .. "@" .. row.domain:lower()] = row
      end
    end
  end
  return index
end

local function find(user)
  if not rows or os.time() - read_at >= tonumber(settings.refresh) then
    rows, read_at = read(), os.time()
  end
  local row = rows[user:lower()]
  return row and row.active == "1" and row or nil
end

function script_init(args)
  settings = args
  read()  -- a table that cannot be read stops the start
end

function auth_passdb_lookup(req)
  local row = find(req.user)
  if not row then return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN end
  return dovecot.auth.PASSDB_RESULT_OK, { password = row.password }
end

function auth_userdb_lookup(req)
  local row = find(req.user)
  if not row then return dovecot.auth.USERDB_RESULT_USER_UNKNOWN end
  return dovecot.auth.USERDB_RESULT_OK, { home = row.home, quota_mail_size = row.quota }
end

function auth_userdb_iterate()
  local names = {}
  find("")
  for name, row in pairs(rows) do
    if row.active == "1" then names[#names + 1] = name end
  end
  return names
end
