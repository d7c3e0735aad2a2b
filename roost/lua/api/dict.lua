-- dovecot.dict: dicts and transactions. What they do is Python's; here are the arguments and the objects.
local roost, target, py = ...
local count, range, object, string_of, integer = roost.count, roost.range, roost.object, roost.string, roost.integer
local select, error, type = select, error, type

local DICT, TRANSACTION = "struct dict", "struct dict_transaction_context"
local dict, transaction = {}, {}  -- methods
local dict_mt, transaction_mt = { __index = dict }, { __index = transaction }

function roost.push_dict(id) return roost.new(id, dict_mt) end

local function user_of(index, value, name)
  if value == nil then return "" end
  return string_of(index, value, name)
end

function target.open(...)
  count(1, select("#", ...))
  return roost.new(py.open(string_of(1, (...), "open")), dict_mt)
end

-- Dicts -------------------------------------------------------------------------------------------------------------

function dict.lookup(...)
  range(2, 3, select("#", ...))
  local self, key, user = ...
  object(1, self, dict_mt, DICT)
  key, user = string_of(1, key, "lookup"), user_of(2, user, "lookup")
  return roost.host("dict.lookup", self.item.id, key, user)
end

-- Everything is read before the first pair is given; a failure is raised where the pairs end.
function dict.iterate(...)
  range(3, 4, select("#", ...))
  local self, path, flags, user = ...
  object(1, self, dict_mt, DICT)
  path, flags, user = string_of(1, path, "iterate"), integer(2, flags, "iterate"), user_of(3, user, "iterate")
  py.check(self.item.id, path, user)
  local rows, failure = roost.host("dict.rows", self.item.id, path, flags, user)
  local at = 0
  return function()
    at = at + 1
    local row = rows[at]
    if row then
      rows[at] = false
      return row[1], row[2]
    end
    if failure then
      local text = failure
      failure = nil
      error(text, 0)
    end
    return nil
  end
end

function dict.transaction_begin(...)
  range(1, 3, select("#", ...))
  local self, user, expire = ...
  object(1, self, dict_mt, DICT)
  user = user_of(1, user, "transaction_begin")
  expire = expire == nil and 0 or integer(2, expire, "transaction_begin")
  return roost.new(py.begin(self.item.id, user, expire), transaction_mt)
end

-- Transactions: one that is forgotten has changed nothing ------------------------------------------------------------

local function id_of(self) return object(1, self, transaction_mt, TRANSACTION).item.id end

function transaction.set(...)
  count(3, select("#", ...))
  local self, key, value = ...
  py.set(id_of(self), string_of(1, key, "set"), string_of(2, value, "set", true))
end

function transaction.unset(...)
  count(2, select("#", ...))
  local self, key = ...
  py.unset(id_of(self), string_of(1, key, "unset"))
end

function transaction.set_timestamp(...)
  count(2, select("#", ...))
  local self, time = ...
  local id = id_of(self)
  if type(time) ~= "table" then
    error("bad argument #1 to 'set_timestamp' (table expected, got " .. type(time) .. ")", 2)
  end
  if time.tv_sec == nil then error("tv_sec missing from table", 0) end
  if time.tv_nsec == nil then error("tv_nsec missing from table", 0) end
  py.stamp(id, integer(1, time.tv_sec, "set_timestamp"), integer(1, time.tv_nsec, "set_timestamp"))
end

function transaction.set_non_atomic(...)
  count(1, select("#", ...))
  id_of((...))  -- allowed to be weaker; ours never are
end

function transaction.commit(...)
  count(1, select("#", ...))
  roost.host("dict.commit", id_of((...)))
end

function transaction.rollback(...)
  count(1, select("#", ...))
  py.rollback(id_of((...)))
end
