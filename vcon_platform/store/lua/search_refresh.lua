-- Make a vCon's search hash again, unless somebody changed the vCon meanwhile.
-- KEYS: search, meta, document, listing
-- ARGV: revision that was read ("" = there is no such document), created_at in seconds, then
--   n meta: (member, value as it was read, "" = none); n search: (member, value)
-- Gives "written"; "gone" (there was a hash without a document, and is no more); or, having changed nothing: "changed".
local revision = redis.call('HGET', KEYS[2], 'revision')
local there = redis.call('EXISTS', KEYS[3]) == 1
if ARGV[1] == '' then
  if revision or there then return 'changed' end
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[4], KEYS[3])
  return 'gone'
end
if (revision or '0') ~= ARGV[1] or not (revision or there) then return 'changed' end
local at = 3
local function take()
  at = at + 1
  return ARGV[at - 1]
end
for _ = 1, tonumber(take()) do
  local member, value = take(), take()
  if (redis.call('HGET', KEYS[2], member) or '') ~= value then return 'changed' end
end
local made = {}
for _ = 1, 2 * tonumber(take()) do made[#made + 1] = take() end
redis.call('DEL', KEYS[1]) -- members that are no more must go
redis.call('HSET', KEYS[1], unpack(made)) -- at once: each write to the hash is read by the index
redis.call('ZADD', KEYS[4], 'NX', ARGV[2], KEYS[3])
return 'written'
