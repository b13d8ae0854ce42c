-- Prolong a lease that is still the caller's. KEYS: batch, leases. ARGV: batch id, owner, lease in ms.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[2] then return 0 end
local now = redis.call('TIME')
redis.call('ZADD', KEYS[2], now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[3]), ARGV[1])
return 1
