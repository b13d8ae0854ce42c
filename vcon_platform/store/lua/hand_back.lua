-- End a lease: what is left of the batch goes back to the front of its queue, each job to the list of its priority, in
-- the order it came.
-- KEYS: batch, batch's jobs, batch's order, leases
-- ARGV: batch id, owner ("" = whoever, but only if the lease has expired), "1" if this must not count as an attempt
-- Gives the number of jobs handed back, or -1 if the lease is somebody else's or still good.
-- include _enter
if ARGV[2] ~= '' then
  if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[2] then return -1 end
else
  local now = redis.call('TIME')
  local expires = redis.call('ZSCORE', KEYS[4], ARGV[1])
  if not expires or tonumber(expires) > now[1] * 1000 + math.floor(now[2] / 1000) then return -1 end
end
local name = redis.call('HGET', KEYS[1], 'queue')
local count = 0
if name then
  local queue = 'queue:' .. name
  local lists = {u = queue .. ':urgent', n = queue, l = queue .. ':low'}
  local fronts = {u = {}, n = {}, l = {}}
  local order = redis.call('LRANGE', KEYS[3], 0, -1)
  for i = #order, 1, -1 do
    local letter, id = string.sub(order[i], 1, 1), string.sub(order[i], 2)
    local entry = redis.call('HGET', KEYS[2], id)
    if entry then
      local front = fronts[letter]
      front[#front + 1] = entry
      mark(queue, entry, true)
      if ARGV[3] == '1' and redis.call('HINCRBY', 'attempts', id, -1) <= 0 then redis.call('HDEL', 'attempts', id) end
      count = count + 1
    end
  end
  for letter, front in pairs(fronts) do
    for i = 1, #front, 1000 do redis.call('LPUSH', lists[letter], unpack(front, i, math.min(i + 999, #front))) end
  end
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[4], ARGV[1])
return count
