-- Move jobs from a queue into a batch, and lease the batch to an owner: urgent ones first, then normal, then low ones,
-- each in the order they came. Jobs that waited for a time that has come join their list before that.
-- KEYS: queue, batch, batch's jobs, batch's order, leases
-- ARGV: batch id, owner, queue's name, most jobs to take now, lease in ms, "1" if only urgent ones,
--   how many of the batch the caller has already ("" = it opens the batch or takes it over)
-- Gives {job id, job, attempts, ...}. Opening a batch that exists changes its owner and gives what it holds, and takes
-- nothing. Asking for more gives nothing if the batch went to another owner; asking twice, because an answer was lost,
-- gives the same jobs twice.
-- include _enter
local DUE = 1000
local now = redis.call('TIME')
local expires = now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[5])
local queue, batch, jobs, order = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local answer = {}
local function hand_out(id, entry, attempts)
  answer[#answer + 1] = id
  answer[#answer + 1] = entry
  answer[#answer + 1] = tostring(attempts)
end
local function prolong() redis.call('ZADD', KEYS[5], expires, ARGV[1]) end
local have = tonumber(ARGV[7])
if redis.call('EXISTS', batch) == 1 then
  if not have then
    redis.call('HSET', batch, 'owner', ARGV[2])
  elseif redis.call('HGET', batch, 'owner') ~= ARGV[2] then
    return answer
  end
  if not have or redis.call('LLEN', order) > have then
    for _, name in ipairs(redis.call('LRANGE', order, have or 0, -1)) do
      local id = string.sub(name, 2)
      local entry = redis.call('HGET', jobs, id)
      if entry then
        hand_out(id, entry, have and redis.call('HGET', 'attempts', id) or redis.call('HINCRBY', 'attempts', id, 1))
      end
    end
    prolong()
    return answer
  end
elseif have then
  return answer
end
local limit = tonumber(ARGV[4])
if limit <= 0 or redis.call('SISMEMBER', 'paused', ARGV[3]) == 1 then return answer end
let_due_in(queue, math.max(limit, DUE))
local names = {}
local function take(list, letter)
  if limit <= 0 then return end
  local entries = redis.call('LPOP', list, limit)
  if not entries then return end
  limit = limit - #entries
  for _, entry in ipairs(entries) do
    unmark(queue, entry)
    local id = id_of(entry)
    if not id then -- pushed by outside software
      local ok, job = pcall(cjson.decode, entry)
      local is_object = ok and type(job) == 'table' and string.match(entry, '^%s*{')
      id = is_object and type(job.id) == 'string' and job.id ~= '' and job.id
      if not id then
        id = 'n' .. redis.call('INCR', 'jobid')
        -- it keeps that id if it comes back to the queue, so that its attempts are counted
        if is_object and next(job) then entry = '{"id":"' .. id .. '",' .. string.match(entry, '^%s*{(.*)$') end
      end
    end
    if redis.call('HSETNX', jobs, id, entry) == 0 then -- two entries of one id must not become one
      id = 'n' .. redis.call('INCR', 'jobid')
      entry = '{"id":"' .. id .. '",' .. string.match(entry, '^%s*{(.*)$')
      redis.call('HSET', jobs, id, entry)
    end
    names[#names + 1] = letter .. id
    hand_out(id, entry, redis.call('HINCRBY', 'attempts', id, 1))
  end
end
take(queue .. ':urgent', 'u')
if ARGV[6] ~= '1' then
  take(queue, 'n')
  take(queue .. ':low', 'l')
end
if #names == 0 then return answer end
redis.call('HSET', batch, 'owner', ARGV[2], 'queue', ARGV[3])
for i = 1, #names, 1000 do redis.call('RPUSH', order, unpack(names, i, math.min(i + 999, #names))) end
prolong()
return answer
