-- Move chosen entries of a dead (or failure) queue into a batch that is leased to an owner.
-- KEYS: dead queue, batch, batch's jobs, batch's order, leases
-- ARGV: batch id, owner, queue's name, lease in ms, then (dead entry, job id, letter of its priority, job) ...
-- Gives the job ids that were moved; an entry that somebody else took meanwhile is left out.
local now = redis.call('TIME')
local expires = now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[4])
local moved = {}
for i = 5, #ARGV, 4 do
  local dead, id, letter, job = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if redis.call('HEXISTS', KEYS[3], id) == 0 and redis.call('LREM', KEYS[1], 1, dead) == 1 then
    redis.call('HSET', KEYS[3], id, job)
    redis.call('HSET', 'attempts', id, 1)
    redis.call('RPUSH', KEYS[4], letter .. id)
    moved[#moved + 1] = id
  end
end
if #moved > 0 then
  redis.call('HSET', KEYS[2], 'owner', ARGV[2], 'queue', ARGV[3])
  redis.call('ZADD', KEYS[5], expires, ARGV[1])
end
return moved
