seen = {}
local function add(...) seen[#seen + 1] = table.concat({ ... }, " ") end
function dovecot_lua_notify_begin_txn(user) add("begin", user.username) return { user = user.username } end
function dovecot_lua_notify_event_message_new(ctx, event)
  add(event.name, ctx.user, event.mailbox, event.uid, event.from_address, tostring(event.subject), event.date,
    table.concat(event.flags, ","), event.to)
end
function dovecot_lua_notify_event_flags_clear(ctx, event)
  add(event.name, event.uid_validity, table.concat(event.flags, ","), table.concat(event.flags_old, ","))
end
function dovecot_lua_notify_event_mailbox_rename(ctx, event) error("broken handler") end
function dovecot_lua_notify_end_txn(ctx, success) add("end", ctx.user, tostring(success)) end
function told() return table.concat(seen, "\n") end
