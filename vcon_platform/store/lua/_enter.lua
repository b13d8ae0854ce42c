-- What every script that puts jobs into queues shares; `-- include _enter` in a script stands for this text.
-- A queue is: queue:{name} and queue:{name}:urgent, queue:{name}:low (lists), queue:{name}:later (sorted set by the time
-- it may be leased), queue:{name}:waiting (hash: dedupe text to "time id" of the job that took it).

-- A mark older than this counts no more: outside software may have taken its job out without a word.
local MARK_SECONDS = 86400

-- The id of a job that we wrote: there it is the first member.
local function id_of(entry) return string.match(entry, '^{"id":"([^"\\]+)"') end

-- The time before which a job is not leased: in a job that we wrote it is the third member.
local function time_of(entry)
  local time = string.match(entry, '^{"id":"[^"\\]+","job_type":"vcon_uuid","not_before":([%d.]+),')
  if time then return time end
  local ok, job = pcall(cjson.decode, entry)
  return ok and type(job) == 'table' and tonumber(job.not_before) or 0
end

-- The dedupe text of a job, or nil. Most jobs have none and are not parsed.
local function dedupe_of(entry)
  if not string.find(entry, '"dedupe":', 1, true) then return nil end
  local ok, job = pcall(cjson.decode, entry)
  if ok and type(job) == 'table' and type(job.dedupe) == 'string' and job.dedupe ~= '' then return job.dedupe end
  return nil
end

-- True while a job with this text waits in the queue, as far as we know. In an empty queue none does, whatever the
-- marks say: they are forgotten then.
local function taken(queue, text)
  local mark = redis.call('HGET', queue .. ':waiting', text)
  if not mark then return false end
  local lists = redis.call('EXISTS', queue, queue .. ':urgent', queue .. ':low', queue .. ':later')
  if lists == 0 then
    redis.call('DEL', queue .. ':waiting')
    return false
  end
  return tonumber(string.match(mark, '^%d+')) + MARK_SECONDS > tonumber(redis.call('TIME')[1])
end

local function mark(queue, entry, keep)
  local text = dedupe_of(entry)
  if not text then return true end
  if not keep and taken(queue, text) then return false end
  local value = redis.call('TIME')[1] .. ' ' .. (id_of(entry) or '')
  redis.call(keep and 'HSETNX' or 'HSET', queue .. ':waiting', text, value)
  return true
end

-- A job left the queue: its text is free, unless the mark is another job's.
local function unmark(queue, entry)
  local text = dedupe_of(entry)
  if not text then return end
  local value = redis.call('HGET', queue .. ':waiting', text)
  if value and string.match(value, '^%d+ (.*)$') == (id_of(entry) or '') then
    redis.call('HDEL', queue .. ':waiting', text)
  end
end

-- Put an entry at the end of a list, or of a queue (then its dedupe text is honoured, unless `keep`: a job that was in
-- the queue before must not vanish). Gives 1, or 0 if a job with the same text waits already.
local function enter(list, entry, keep)
  local queue = string.match(list, '^queue:[^:]+')
  if not queue then
    redis.call('RPUSH', list, entry)
    return 1
  end
  if not mark(queue, entry, keep) then return 0 end
  redis.call('SADD', 'queues', string.sub(queue, 7))
  if list == queue .. ':later' then -- not by its ending: a queue may be called later
    redis.call('ZADD', list, time_of(entry), entry)
  else
    redis.call('RPUSH', list, entry)
  end
  return 1
end

-- At most `most` of a queue's later jobs whose time has come join the lists of their priority. Gives how many did.
local function let_due_in(queue, most)
  local now = redis.call('TIME')
  local due = redis.call('ZRANGEBYSCORE', queue .. ':later', '-inf', now[1] .. '.' .. string.format('%06d', now[2]),
    'LIMIT', 0, most)
  for _, entry in ipairs(due) do
    local priority
    if string.find(entry, '"priority":', 1, true) then
      local ok, job = pcall(cjson.decode, entry)
      priority = ok and type(job) == 'table' and job.priority
    end
    redis.call('RPUSH', (priority == 'urgent' or priority == 'low') and queue .. ':' .. priority or queue, entry)
    redis.call('ZREM', queue .. ':later', entry)
  end
  return #due
end
