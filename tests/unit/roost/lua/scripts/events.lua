function chain()
  local event = dovecot.event()
  event:append_log_prefix("one: "):add_str("s", "text"):add_int("n", 3):inc_int("n", -1):inc_int("new", 5)
    :add_timeval("t", 7):set_name("first"):log_info("hello")
  event:log_warning("again")
end
function child()
  local parent = dovecot.event():append_log_prefix("p: "):add_str("k", "above")
  local inner = dovecot.event(parent):append_log_prefix("c: ")
  inner:log_error("deep")
  inner:replace_log_prefix("only: "):log_info("bare")
end
function forced()
  local event = dovecot.event()
  event:log_debug("hidden")
  event:set_forced_debug():log_debug("shown")
  dovecot.event(event):log_debug("inherited")
  event:unset_forced_debug():log_debug("hidden again")
end
function source() dovecot.event():set_always_log_source():log_info("where") end
function pass()
  local event = dovecot.event():append_log_prefix("e: ")
  event:passthrough_event():set_name("once"):add_str("only", "here"):append_log_prefix("p: "):log_info("passed")
  event:log_info("plain")
end
function leak() dovecot.event():passthrough_event() end
function twice()
  local event = dovecot.event()
  event:passthrough_event()
  event:passthrough_event():log_info("second")
end
function dead()
  local one = dovecot.event():passthrough_event()
  one:log_info("done")
  one:log_info("again")
end
function wrong_object() dovecot.event().log_info("text", "more") end
function wrong_count() dovecot.event():log_info() end
function wrong_parent() dovecot.event("cow") end
function own_keys() local event = dovecot.event() event.mine = 5 return event.mine, type(event) end
function given(event) event:add_str("from", "lua"):log_info("given") return event end
