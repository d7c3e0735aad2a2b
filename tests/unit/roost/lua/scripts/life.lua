steps = "top"
function script_init(args)
  local keys = {}
  for key, value in pairs(args) do keys[#keys + 1] = key .. "=" .. type(value) .. ":" .. value end
  table.sort(keys)
  steps = steps .. " init " .. table.concat(keys, ",")
  return -1
end
function told() return steps end
function script_deinit() dovecot.i_info("deinit " .. steps) return "ignored" end
hidden = setmetatable({}, { __call = function() return 1 end })
local function inner() error("deep trouble") end
function fails() inner() end
function fails_with_table() error({ code = 7 }) end
function fails_with_object() error(setmetatable({}, { __tostring = function() return "an object" end })) end
function own_traceback() debug.traceback = function(text) return "mine: " .. text end error("x", 0) end
function many() return 1, nil, 3, nil end
function nothing() end
