-- mail_user, mailbox and mail objects, and the constants of dovecot.storage.
local roost, storage, py = ...
local count, range, object, string_of, integer_of = roost.count, roost.range, roost.object, roost.string, roost.integer
local host, new = roost.host, roost.new
local select, error, type, ipairs, pairs, rawget, tostring = select, error, type, ipairs, pairs, rawget, tostring
local setmetatable = setmetatable

local USER, MAILBOX = "struct mail_user", "struct mailbox"
local user, mailbox = {}, {}
local user_mt, mailbox_mt, mail_mt

local function user_id(value) return object(1, value, user_mt, USER).item.id end
local function mailbox_id(value) return object(1, value, mailbox_mt, MAILBOX).item.id end

local function name_of(value) return rawget(value, "username") end
local function vname_of(value) return rawget(value, "vname") end

user_mt = {
  __index = user,
  __name = USER,
  __tostring = name_of,
  __eq = function(a, b) return name_of(a) == name_of(b) end,
  __lt = function(a, b) return name_of(a) < name_of(b) end,
  __le = function(a, b) return name_of(a) <= name_of(b) end,
}
mailbox_mt = {
  __index = mailbox,
  __name = MAILBOX,
  __tostring = vname_of,
  __eq = function(a, b) return vname_of(a) == vname_of(b) end,
  __lt = function(a, b) return vname_of(a) < vname_of(b) end,
  __le = function(a, b) return vname_of(a) <= vname_of(b) end,
}

local function same_mailbox(a, b)
  if a.mailbox ~= b.mailbox then error("For lt, Mail can only be compared within same mailbox", 0) end
end
mail_mt = {
  __name = "struct mail",
  __tostring = function(mail) return "<" .. tostring(mail.mailbox) .. ":UID " .. mail.uid .. ">" end,
  __eq = function(a, b) return a.mailbox == b.mailbox and a.uid == b.uid end,
  __lt = function(a, b) same_mailbox(a, b) return a.uid < b.uid end,
  __le = function(a, b) same_mailbox(a, b) return a.uid <= b.uid end,
}

-- Metadata: the same four methods of a user (id of the user, "") and of a mailbox.
local function keys_of(name, ...)
  local amount = select("#", ...)
  if amount < 1 then error("expecting at least 1 parameter", 0) end
  for index = 1, amount do
    local kind = type((select(index, ...)))
    if kind ~= "string" and kind ~= "number" then error("expected string at #" .. index, 0) end
  end
  return ...
end

local function metadata(methods, id_of)
  function methods.metadata_get(self, ...)
    return host("mail.metadata_get", id_of(self), keys_of("metadata_get", ...))
  end
  function methods.metadata_set(...)
    count(3, select("#", ...))
    local self, key, value = ...
    local id = id_of(self)
    key = string_of(2, key, "metadata_set")
    if value ~= nil then value = string_of(3, value, "metadata_set", true) end
    host("mail.metadata_set", id, key, value)
  end
  function methods.metadata_unset(...)
    count(2, select("#", ...))
    local self, key = ...
    local id = id_of(self)
    key = string_of(2, key, "metadata_unset")
    host("mail.metadata_set", id, key)
  end
  function methods.metadata_list(self, ...)
    return host("mail.metadata_list", id_of(self), keys_of("metadata_list", ...))
  end
end
metadata(user, user_id)
metadata(mailbox, mailbox_id)

function user.var_expand(...)
  count(2, select("#", ...))
  local self, template = ...
  local id = user_id(self)
  template = string_of(2, template, "var_expand")
  local text = py.var_expand(id, template)
  return text
end

function user.mailbox(...)
  range(2, 3, select("#", ...))
  local self, name, flags = ...
  local id = user_id(self)
  name = string_of(2, name, "mailbox")
  flags = flags == nil and 0 or integer_of(3, flags, "mailbox")
  local box = new(py.mailbox(id, name, flags), mailbox_mt)
  box.vname, box.name = name, name
  return box
end

if not roost.strict then
  function user.plugin_getenv(...)
    count(2, select("#", ...))
    local self, key = ...
    local id = user_id(self)
    key = string_of(2, key, "plugin_getenv")
    roost.deprecated("plugin_getenv", "mail_user:plugin_getenv() no longer exists in Dovecot 2.4")
    local value = py.plugin_getenv(id, key)
    return value
  end
end

for _, name in ipairs({ "open", "close", "free" }) do
  mailbox[name] = function(...)
    count(1, select("#", ...))
    host("mail." .. name, mailbox_id((...)))
  end
end

function mailbox.sync(...)
  range(1, 2, select("#", ...))
  local self, flags = ...
  local id = mailbox_id(self)
  host("mail.sync", id, flags == nil and 0 or integer_of(2, flags, "sync"))
end

function mailbox.status(self, ...)
  local id = mailbox_id(self)
  local items = 0
  for index = 1, select("#", ...) do
    items = items | integer_of(index + 1, (select(index, ...)), "status")
  end
  local status = host("mail.status", id, items)
  return status
end

function roost.mail_user(id, members)
  local made = new(id, user_mt)
  for name, value in pairs(members) do made[name] = value end
  return made
end

function roost.mail(box_id, box_name, seq, uid, expunged)
  local box = new(box_id, mailbox_mt)
  box.vname, box.name = box_name, box_name
  return setmetatable({ seq = seq, uid = uid, expunged = expunged, mailbox = box }, mail_mt)
end
