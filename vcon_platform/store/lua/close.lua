-- Forget a batch in which nothing is left. KEYS: batch, batch's jobs, batch's order, leases. ARGV: batch id, owner.
-- Gives the number of jobs that are still in it (0: closed), or -1 if it is somebody else's.
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[2] then return -1 end
local left = redis.call('HLEN', KEYS[2])
if left == 0 then
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  redis.call('ZREM', KEYS[4], ARGV[1])
end
return left
