-- Prolong the leases that are still the caller's. KEYS: leases. ARGV: owner, lease in ms, batch ids.
-- Gives those that are not the owner's any more.
local now = redis.call('TIME')
local expires = now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[2])
local lost = {}
for i = 3, #ARGV do
  if redis.call('HGET', 'batch:' .. ARGV[i], 'owner') == ARGV[1] then
    redis.call('ZADD', KEYS[1], expires, ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
