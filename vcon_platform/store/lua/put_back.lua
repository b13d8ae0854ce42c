-- Jobs leave their batch and wait in its queue again, with the ledger events that say why.
-- KEYS: batch, batch's jobs, outbox
-- ARGV: owner, n, n JSON arrays of events, then (job id, list or sorted set, entry) ...
-- Gives how many moved (one that is not in the batch any more does not), or -1 if the lease is somebody else's.
-- include _enter
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return -1 end
local moved = 0
local arrays = tonumber(ARGV[2])
for i = arrays + 3, #ARGV, 3 do
  if redis.call('HDEL', KEYS[2], ARGV[i]) == 1 then
    enter(ARGV[i + 1], ARGV[i + 2], true)
    moved = moved + 1
  end
end
if moved > 0 then
  for i = 3, arrays + 2 do redis.call('XADD', KEYS[3], '*', 'events', ARGV[i]) end
end
return moved
