-- End a lease: what is left of the batch goes back to the front of its queue, in the order it came.
-- KEYS: batch, batch's jobs, leases
-- ARGV: batch id, owner ("" = whoever, but only if the lease has expired), "1" if this must not count as an attempt
-- Gives the number of jobs handed back, or -1 if the lease is somebody else's or still good.
if ARGV[2] ~= '' then
  if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[2] then return -1 end
else
  local now = redis.call('TIME')
  local expires = redis.call('ZSCORE', KEYS[3], ARGV[1])
  if not expires or tonumber(expires) > now[1] * 1000 + math.floor(now[2] / 1000) then return -1 end
end
local queue = redis.call('HGET', KEYS[1], 'queue')
local held = redis.call('HGETALL', KEYS[2])
local ids, jobs = {}, {}
for i = 1, #held, 2 do
  ids[#ids + 1] = held[i]
  jobs[held[i]] = held[i + 1]
end
table.sort(ids, function(a, b) return a > b end)
for _, id in ipairs(ids) do
  redis.call('LPUSH', 'queue:' .. queue, jobs[id])
  if ARGV[3] == '1' then redis.call('HINCRBY', 'attempts', id, -1) end
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
return #ids
