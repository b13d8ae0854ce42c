-- Move up to `limit` jobs from the head of a queue into a batch, and lease the batch to an owner.
-- KEYS: queue, batch, batch's jobs, leases
-- ARGV: batch id, owner, queue's name, limit, lease in ms
-- Gives {job id, job, attempts, ...}. Asking again for the same batch and owner gives what it holds already.
local now = redis.call('TIME')
local expires = now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[5])
local answer = {}
local function hand_out(id, job)
  answer[#answer + 1] = id
  answer[#answer + 1] = job
  answer[#answer + 1] = tostring(redis.call('HINCRBY', 'attempts', id, 1))
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  local jobs = redis.call('LPOP', KEYS[1], ARGV[4])
  if not jobs then return answer end
  redis.call('HSET', KEYS[2], 'owner', ARGV[2], 'queue', ARGV[3])
  for _, job in ipairs(jobs) do
    local id = cjson.decode(job)['id']
    if type(id) ~= 'string' then id = 'n' .. redis.call('INCR', 'jobid') end  -- pushed by outside software
    redis.call('HSET', KEYS[3], id, job)
    hand_out(id, job)
  end
else
  redis.call('HSET', KEYS[2], 'owner', ARGV[2])
  local held = redis.call('HGETALL', KEYS[3])
  for i = 1, #held, 2 do hand_out(held[i], held[i + 1]) end
end
redis.call('ZADD', KEYS[4], expires, ARGV[1])
return answer
