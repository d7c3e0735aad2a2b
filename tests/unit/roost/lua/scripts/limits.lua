function fine() return "fine" end
function loop() while true do end end
function loop_in_pcall() while true do pcall(function() while true do end end) end end
function loop_in_xpcall() return xpcall(function() error("x") end, function() while true do end end) end
function loop_in_sort() table.sort({ 3, 2, 1 }, function() while true do end end) end
function loop_in_gsub() return (("abc"):gsub(".", function() while true do end end)) end
function loop_in_coroutine() coroutine.wrap(function() while true do end end)() end
function loop_in_pcall_in_coroutine()
  while true do pcall(coroutine.wrap(function() while true do pcall(function() while true do end end) end end)) end
end
function loop_of_coroutines() while true do coroutine.wrap(function() end)() end end
function loop_in_tostring() return tostring(setmetatable({}, { __tostring = function() while true do end end })) end
function loop_in_error() error(setmetatable({}, { __tostring = function() while true do end end })) end
loop_in_close = load("local _ <close> = setmetatable({}, { __close = function() while true do end end })")  -- not in 5.3
function loop_in_api() while true do dovecot.has_flag(1, 1) end end
function loop_after_wait() test.op("x") while true do end end
function gc_metatable() setmetatable({}, { __gc = function() end }) end
function gc_later()
  local meta = {}
  local object = setmetatable({}, meta)
  meta.__gc = function() ran = true end
  object = nil
  collectgarbage()
  return ran
end
function eat()
  local all = {}
  for i = 1, 1e9 do all[i] = ("x"):rep(1000) .. i end
end
function eat_strings() local s = "x" while true do s = s .. s end end
function eat_rep() return ("x"):rep(1 << 40) end
function eat_rep_some() return #("x"):rep(1 << 26) end
function eat_in_pcall()
  local ok, problem = pcall(eat)
  return ok, problem
end
function eat_in_coroutine() coroutine.wrap(eat)() end
function eat_globals() kept = kept or {} for i = 1, 1e9 do kept[#kept + 1] = { i } end end
function eat_while_calling()
  kept = kept or {}
  while true do kept[#kept + 1] = dovecot.tabescape(test.data(5000)) .. #kept end
end
function eat_while_waiting()
  kept = kept or {}
  while true do kept[#kept + 1] = test.wait(5000) .. #kept end
end
function eat_tables()
  kept = kept or {}
  while true do kept[#kept + 1] = test.table(200) end
end
function big_result() local out = {} for i = 1, 20000 do out[i] = "item " .. i end return out end
function forget() kept = nil end
function recurse() return 1 + recurse() end
function recurse_pcall() return pcall(recurse_pcall_inner) end
function recurse_pcall_inner() pcall(recurse_pcall_inner) end
function recurse_metatable()
  local object
  object = setmetatable({}, { __index = function(_, key) return object[key .. "x"] end })
  return object.a
end
function recurse_gsub() return (("x"):gsub(".", recurse_gsub)) end
function print_binary() print("\0\255\1\27[2J") return "printed" end
function exit() os.exit(3) end
function exit_hidden() return pcall(os.exit, true, true) end
function bytecode() return load("\27Lua\84\0") end
function bytecode_mode() return load("\27Lua", "x", "b") end
function dumped() return load(string.dump(function() return 1 end)) end
function globals()
  local names = {}
  for name in pairs(_G) do if type(_G[name]) ~= "function" or _ENV[name] then names[#names + 1] = name end end
  table.sort(names)
  return names, _G == _ENV
end
function python_reach()
  local found = {}
  local seen = {}
  local function walk(value, path, depth)
    if type(value) == "userdata" then found[#found + 1] = path end
    if type(value) ~= "table" or seen[value] or depth > 6 then return end
    seen[value] = true
    for key, item in next, value do walk(item, path .. "." .. tostring(key), depth + 1) end
    local meta = getmetatable(value)
    if type(meta) == "table" then walk(meta, path .. "<mt>", depth + 1) end
  end
  walk(_G, "_G", 0)
  walk(getmetatable(""), "string", 0)
  walk(dovecot.event(), "event", 0)
  table.sort(found)
  return table.concat(found, " ")
end
function load_is_inside() made_by_load = nil load("made_by_load = 5")() return made_by_load, load("return _ENV == _G")() end
function string_methods() return ("x").dump, getmetatable("") end
