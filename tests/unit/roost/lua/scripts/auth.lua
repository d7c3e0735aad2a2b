function members(req)
  return req.user, req.protocol, req.remote_ip, req.remote_port, req.password, req.home, req.domain_first,
    req.domain_last, req.owner_user
end
function old_members(req)
  return req.username, req.domain, req.service, req.rip, req.lip, req.mech, req.orig_user, req.orig_username,
    req.login_username, req.auth_domain, req.pid, req.real_rip
end
function fields(req) return req.passdb.quota, req.passdb.bare, req.passdb.none, req.userdb.home end
function fields_are_read_only(req) req.passdb.new = "x" return req:var_expand("%{passdb:new}|%{passdb:quota}") end
function flags(req)
  return req.skip_password_check, req.passdbs_seen_user_unknown, req.passdbs_seen_internal_failure,
    req.userdbs_seen_internal_failure
end
function shown(req)
  local names = {}
  for name in pairs(req) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, " "), type(req)
end
function own_keys(req) req.mine = 1 req.user = "other" return req.mine, req.user, req:var_expand("%{user}") end
function logs(req)
  req:log_debug("d")
  req:log_info("i")
  req:log_warning("w")
  req:log_error("e")
end
function log_with_a_point(req) req.log_info("text") end
function log_without_text(req) req:log_info() end
function expand(req) return req:var_expand("%{user | upper} %{passdb:quota} %{userdb:none}!") end
function expand_bad(req) return req:var_expand("%{nosuch}") end
function verify(req) return req:password_verify("{PLAIN}secret", "secret") end
function verify_wrong(req) return req:password_verify("{PLAIN}secret", "other") end
function verify_nil(req) return req:password_verify(nil, "x") end
function verify_nil_plain(req) return req:password_verify("x") end
function verify_nil_both(req) return req:password_verify("x", nil) end
function event(req) req:event():add_str("k", "v"):log_info("from event") end
function template(req) return req:response_from_template("home=/mail/%{user} nologin") end
function keep(req) kept = req end
function keep_and_wait(req) kept = req; req:password_verify("{PLAIN}x", "x") end
function keep_and_fail(req) kept = req; error("no") end
function use_kept() return kept.user end
function use_kept_method() kept:log_info("x") end
function with_password(req, password) return password, req.user end
function constants()
  return dovecot.auth.PASSDB_RESULT_OK, dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH,
    dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, dovecot.auth.PASSDB_RESULT_SCHEME_NOT_AVAILABLE,
    dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, dovecot.auth.PASSDB_RESULT_USER_DISABLED,
    dovecot.auth.PASSDB_RESULT_PASS_EXPIRED, dovecot.auth.PASSDB_RESULT_NEXT, dovecot.auth.USERDB_RESULT_OK,
    dovecot.auth.USERDB_RESULT_USER_UNKNOWN, dovecot.auth.USERDB_RESULT_INTERNAL_FAILURE,
    math.type(dovecot.auth.PASSDB_RESULT_OK)
end
