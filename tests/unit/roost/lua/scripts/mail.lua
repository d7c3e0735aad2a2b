local STORAGE = dovecot.storage
function user_members(user) return user.username, user.home, user.uid, user.anonymous, tostring(user) end
function expand(user) return user:var_expand("%{user}/%{home}") end
function status(user)
  local box = user:mailbox("INBOX")
  box:open()
  box:sync()
  local found = box:status(STORAGE.STATUS_MESSAGES, STORAGE.STATUS_UNSEEN, STORAGE.STATUS_UIDNEXT,
    STORAGE.STATUS_FIRST_UNSEEN_SEQ)
  box:close()
  box:free()
  return found.mailbox, found.messages, found.unseen, found.uidnext, found.recent, found.first_unseen_seq,
    found.keywords, math.type(found.messages)
end
function keywords(user)
  local found = user:mailbox("INBOX"):status(STORAGE.STATUS_KEYWORDS | STORAGE.STATUS_PERMANENT_FLAGS)
  return found.keywords, found.flags, found.permanent_flags, found.allow_new_keywords
end
function missing(user) user:mailbox("Nope"):open() end
function created(user)
  local box = user:mailbox("Made/Here", STORAGE.MAILBOX_FLAG_AUTO_CREATE | STORAGE.MAILBOX_FLAG_AUTO_SUBSCRIBE)
  box:open()
  return box:status(STORAGE.STATUS_MESSAGES).messages, tostring(box), box.vname, box.name
end
function no_name(user) user:mailbox("") end
function metadata(user)
  user:metadata_set("/private/one", "1")
  user:metadata_set("/private/two", "2\0binary")
  user:metadata_set("/shared/other", "3")
  local box = user:mailbox("INBOX")
  box:metadata_set("/private/comment", "hello")
  local one, none, two = user:metadata_get("/private/one", "/private/none", "/private/two")
  local list = user:metadata_list("/private/")
  user:metadata_unset("/private/one")
  user:metadata_set("/shared/other", nil)
  return one, none, two, list, user:metadata_get("/private/one"), box:metadata_list("/private/")
end
function metadata_bad_key(user) user:metadata_get("one") end
function metadata_no_key(user) user:metadata_get() end
function metadata_bad_type(user) user:metadata_get("/private/x", {}) end
function compare(user, other)
  local inbox, sent = user:mailbox("INBOX"), user:mailbox("Sent")
  return user == other, user < other, user <= user, inbox == user:mailbox("INBOX"), inbox < sent, sent <= inbox
end
function mails(one, two, elsewhere)
  local ok, problem = pcall(function() return one < elsewhere end)
  return one < two, one <= two, one == two, one == one, tostring(one), one.seq, one.uid, one.expunged, ok, problem
end
function plugin(user) return user:plugin_getenv("quota"), user:plugin_getenv("from_settings"), user:plugin_getenv("no") end
function wrong() dovecot.storage.nothing = 1 return STORAGE.MAILBOX_ATTRIBUTE_PREFIX_DOVECOT_PVT_SERVER end
function wrong_object(user) user.mailbox("INBOX", 1) end
