-- Move chosen entries of a dead queue into a batch that is leased to an owner.
-- KEYS: dead queue, batch, batch's jobs, leases
-- ARGV: batch id, owner, queue's name, lease in ms, then (dead entry, job id, job) ...
-- Gives the job ids that were moved; an entry that somebody else took meanwhile is left out.
local now = redis.call('TIME')
local expires = now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[4])
local moved = {}
for i = 5, #ARGV, 3 do
  if redis.call('LREM', KEYS[1], 1, ARGV[i]) == 1 then
    redis.call('HSET', KEYS[3], ARGV[i + 1], ARGV[i + 2])
    redis.call('HSET', 'attempts', ARGV[i + 1], 1)
    moved[#moved + 1] = ARGV[i + 1]
  end
end
if #moved > 0 then
  redis.call('HSET', KEYS[2], 'owner', ARGV[2], 'queue', ARGV[3])
  redis.call('ZADD', KEYS[4], expires, ARGV[1])
end
return moved
