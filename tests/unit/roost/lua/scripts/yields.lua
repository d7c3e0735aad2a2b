-- test.op(x) waits and returns "<x>"; test.fail() raises; test.pair() returns two values and nil.
function plain(x) return test.op(x) end
function pair() return test.pair() end
function several() local out = {} for i = 1, 5 do out[i] = test.op(i) end return table.concat(out) end
function in_pcall() return pcall(function() return test.op("a"), test.op("b") end) end
function failing() return pcall(test.fail) end
function failing_uncaught() local value = test.fail() return value end
function after_failure() pcall(test.fail) return test.op("still") end
function in_xpcall() return xpcall(function() test.op("x") error("bad", 0) end, function(m) return "handled " .. m end) end
function in_metatable()
  local object = setmetatable({}, {
    __index = function(_, key) return test.op(key) end,
    __add = function(a, b) return test.op("add") end,
    __call = function(_, x) return test.op(x) end,
    __concat = function() return test.op("cat") end,
    __lt = function() return test.op("lt") == "<lt>" end,
  })
  return object.key, object + 1, object("call"), object .. "", object < object
end
function in_iterator()
  local seen = {}
  local function step(_, i) if i < 3 then test.op(i) return i + 1 end end
  for i in step, nil, 0 do seen[#seen + 1] = i end
  return table.concat(seen, ",")
end
function in_coroutine()
  local made = coroutine.create(function(a)
    local b = coroutine.yield(test.op(a))
    return test.op(b)
  end)
  local _, first = coroutine.resume(made, "one")
  local _, second = coroutine.resume(made, "two")
  return first, second, coroutine.status(made), coroutine.resume(made)
end
function in_wrap()
  local inner = coroutine.wrap(function()
    local nested = coroutine.wrap(function() coroutine.yield(test.op("deep")) coroutine.yield("plain") end)
    coroutine.yield(nested())
    coroutine.yield(nested())
  end)
  return inner(), inner()
end
function wrap_error()
  local broken = coroutine.wrap(function() test.op("x") error("inside", 0) end)
  return pcall(broken)
end
function in_sort()
  local list = { 3, 1, 2 }
  table.sort(list, function(a, b) test.op("s") return a < b end)
  return table.concat(list)
end
function in_gsub() return (("abc"):gsub("%w", function(c) return test.op(c) end)) end
function in_sort_in_coroutine()
  return coroutine.wrap(function()
    local list = { 2, 1 }
    table.sort(list, function(a, b) test.op("s") return a < b end)
    return test.op(table.concat(list))
  end)()
end
function foreign_yield() coroutine.yield("lost") end
function isyieldable()
  return coroutine.isyieldable(), coroutine.wrap(function() return coroutine.isyieldable() end)(),
    select(2, coroutine.running())
end
function tables(t) return test.echo(t), test.echo({ 1, { a = "b" }, x = true }) end
function binary(s) return #s, test.echo(s) end
in_close = load([[  -- Lua 5.3 cannot read it
  local log = {}
  do
    local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = test.op("closed") end })
    log[#log + 1] = test.op("body")
  end
  return table.concat(log)
]])
waiting = 0
function hold(x) waiting = waiting + 1 local value = test.gate(x) waiting = waiting - 1 return value end
function python_bug() return pcall(test.bug) end
