-- A page of the listing by time. Changes nothing.
-- KEYS: listing
-- ARGV: "d" (newest first) or "a"; lowest and highest score as ZCOUNT takes them; limit; members to skip;
--   score and member of the last vCon of the page before ("" = from the beginning)
-- Gives {members between the scores, "1" if more follow, member, score, member, score, ...}.
local key, newest = KEYS[1], ARGV[1] == 'd'
local limit, skip = tonumber(ARGV[4]), tonumber(ARGV[5])
local below = redis.call('ZCOUNT', key, '-inf', ARGV[2]) - redis.call('ZCOUNT', key, ARGV[2], ARGV[2])
local total = redis.call('ZCOUNT', key, ARGV[2], ARGV[3])
local first, last = below, below + total - 1 -- ranks from the oldest, both inclusive

-- By bytes, as the set sorts: Lua's own comparison goes by the server's language.
local function less(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

if ARGV[6] ~= '' then
  -- How many come before the cursor's place, whether its member still stands there or not.
  local low = redis.call('ZCOUNT', key, '-inf', '(' .. ARGV[6])
  local high = low + redis.call('ZCOUNT', key, ARGV[6], ARGV[6])
  local ties = high
  while low < high do
    local middle = math.floor((low + high) / 2)
    if less(redis.call('ZRANGE', key, middle, middle)[1], ARGV[7]) then low = middle + 1 else high = middle end
  end
  local there = low < ties and redis.call('ZRANGE', key, low, low)[1] == ARGV[7]
  if newest then last = math.min(last, low - 1) else first = math.max(first, there and low + 1 or low) end
end
if newest then last = last - skip else first = first + skip end

local found, more = {}, '0'
while first <= last do
  local from, to = first, math.min(last, first + limit)
  if newest then from, to = math.max(first, last - limit), last end
  local chunk = redis.call('ZRANGE', key, from, to, 'WITHSCORES')
  if newest then last = from - 1 else first = to + 1 end
  for i = 1, #chunk, 2 do
    local place = newest and #chunk - i or i
    local member = chunk[place]
    if member:sub(1, 5) == 'vcon:' or not redis.call('ZSCORE', key, 'vcon:' .. member) then
      if #found == 2 * limit then
        more = '1'
        first = last + 1
        break
      end
      found[#found + 1] = member
      found[#found + 1] = chunk[place + 1]
    end
  end
end
return {tostring(total), more, unpack(found)}
