-- Each function returns what its test asserts.
function flags()
  local value = 2 | 4 | 16
  return dovecot.has_flag(value, 8), dovecot.has_flag(value, 4), dovecot.clear_flag(value, 4), dovecot.set_flag(value, 8)
end
function base64() return dovecot.base64.encode("test value"), dovecot.base64.decode("dGVzdCB2YWx1ZQ==") end
function base64_binary()
  local all = {}
  for i = 0, 255 do all[#all + 1] = string.char(i) end
  all = table.concat(all)
  return dovecot.base64.decode(dovecot.base64.encode(all)) == all, dovecot.base64.decode("dGVz!bad")
end
function tabs()
  return dovecot.tabescape("a\1b\tc\rd\ne"), dovecot.tabunescape("a\0011b\1tc\1rd\1ne\1x\1"),
    dovecot.tabunescape("cut\0010here"), dovecot.split_tabescaped("one\ttwo\1t\t\tfour")
end
function ips()
  return dovecot.net_ip_family("127.0.0.1"), dovecot.net_ip_family("::1"), dovecot.net_ip_family("cow"),
    dovecot.net_ip_family("")
end
function clocks()
  local now = dovecot.gettimeofday()
  return math.type(now.tv_sec), math.type(now.tv_usec), math.type(dovecot.microseconds()),
    math.type(dovecot.nanoseconds()), dovecot.nanoseconds() // 1000000000 - now.tv_sec
end
function expand() return dovecot.var_expand("%{literal('x') | upper}-%{env:LUA_TEST_NOTHING}-%%{n}") end
function expand_bad() return dovecot.var_expand("%{nosuch}") end
function no_arguments() return dovecot.i_info() end
function many_arguments() return dovecot.has_flag(1, 2, 3) end
function not_a_string() dovecot.i_info({}) end
function a_fraction() local value = dovecot.has_flag(1.5, 1) return value end
function numeric_strings() return dovecot.has_flag("7", 4.0) end
function logs()
  dovecot.i_debug("d")
  dovecot.i_info("i")
  dovecot.i_warning("w")
  dovecot.i_error("e\0cut")
  dovecot.i_info(12)
end
function shadow()
  dovecot.mine = 1
  local seen = {}
  for name in pairs(dovecot) do seen[#seen + 1] = name end
  table.sort(seen)
  return table.concat(seen, " "), dovecot.mine, type(dovecot.i_info)
end
function restrict_write() dovecot.restrict_global_variables(true) fresh = 1 end
function restrict_read() dovecot.restrict_global_variables(true) return fresh end
function restrict_function()
  dovecot.restrict_global_variables(true)
  made = function() return 7 end
  return made()
end
function restrict_nil() dovecot.restrict_global_variables(true) fresh = nil end
function restrict_off()
  dovecot.restrict_global_variables(true)
  dovecot.restrict_global_variables(false)
  fresh = 1
  return fresh
end
function restrict_count() dovecot.restrict_global_variables() end
