-- Take chosen entries out of a list, or of the sorted set of a queue's later jobs, wherever they stand in it by now, and
-- put something in their places elsewhere. What somebody else took meanwhile (a run leased it) is left alone: each entry
-- moves once.
-- KEYS: where they are, outbox
-- ARGV: (entry, "" or list, what enters that list, events as JSON array or "") ...
-- Gives the positions (1..) of the entries that moved.
-- include _enter
local from = KEYS[1]
local queue = string.match(from, '^queue:[^:]+')
local chosen, left = {}, 0
for i = 1, #ARGV, 4 do
  local places = chosen[ARGV[i]] or {}
  places[#places + 1] = i
  chosen[ARGV[i]] = places
  left = left + 1
end
local moved = {}
local function move(i)
  local entry = ARGV[i]
  if queue then unmark(queue, entry) end
  if ARGV[i + 1] ~= '' then
    enter(ARGV[i + 1], ARGV[i + 2], true)
  elseif id_of(entry) then
    redis.call('HDEL', 'attempts', id_of(entry))
  end
  if ARGV[i + 3] ~= '' then redis.call('XADD', KEYS[2], '*', 'events', ARGV[i + 3]) end
  moved[#moved + 1] = (i + 3) / 4
end
if queue and from == queue .. ':later' then
  for i = 1, #ARGV, 4 do
    if redis.call('ZREM', from, ARGV[i]) == 1 then move(i) end
  end
  return moved
end
-- Entries are marked where they stand and taken out together: one walk over the list, not one for each.
local GONE = '\0gone'
local PAGE = 1000
local length = redis.call('LLEN', from)
for first = 0, length - 1, PAGE do
  if left == 0 then break end
  for offset, entry in ipairs(redis.call('LRANGE', from, first, first + PAGE - 1)) do
    local places = chosen[entry]
    if places and #places > 0 then
      redis.call('LSET', from, first + offset - 1, GONE)
      move(table.remove(places, 1))
      left = left - 1
    end
  end
end
if #moved > 0 then redis.call('LREM', from, #moved, GONE) end
return moved
