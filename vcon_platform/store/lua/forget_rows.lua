-- Take rows out of the index that their vCons do not have any more (moved to another day, removed long ago). Only what is
-- still as the caller saw it is taken, so that no row is lost that came back meanwhile.
-- KEYS: rows of the day, generations, then the meta of each vCon
-- ARGV: day, then for each: uuid, the hash in the index, the vCon's revision ("" = there is none)
-- Gives how many were taken; the day lands again where any was.
local taken = 0
for i = 3, #KEYS do
  local at = 2 + (i - 3) * 3
  local uuid, hash, revision = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if redis.call('HGET', KEYS[1], uuid) == hash and (redis.call('HGET', KEYS[i], 'revision') or '') == revision then
    redis.call('HDEL', KEYS[1], uuid)
    taken = taken + 1
  end
end
if taken > 0 then redis.call('HINCRBY', KEYS[2], ARGV[1], 1) end
return taken
