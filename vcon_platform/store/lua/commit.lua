-- Commit changes of vCons and everything that hangs on them, each all or nothing; many in one call, because a call of its
-- own for each costs more than the commit.
-- KEYS: outbox, then for each: document, meta, search, batch, batch's jobs
-- ARGV: number of commits, then for each:
--   uuid, owner ("" = not fenced), job to settle ("" = none), revision the changes were made on, the commit's id,
--   seconds the document stays in Redis (0 = for good; its own, in meta "live", go before), created_at in seconds
--     ("" = as it was),
--   n changes: ("append" | "begin", array, how many, value ...) | ("put", path, value); "begin": the array is most
--     likely not there yet
--   JSON of {meta: [member, value, ...], search: [member, value, ...], media: [token, ...]}, "" for nothing of these
--   n rows:    (projection, day, uuid, hash or "" = no row any more)
--   n pushes:  (list, entry)
--   n channels to publish the uuid on
--   events (JSON array or "")
-- Gives for each {"ok", revision}; or, having changed nothing: {"lost"} the lease went to somebody else,
-- {"missing"} no such document, {"gone"} it was removed since, and posted anew, {"behind", revision} somebody else made a revision meanwhile, {"error", why}.
-- include _enter
local at = 1
local function take()
  at = at + 1
  return ARGV[at - 1]
end

local owners = {} -- of the batches: nobody can change them while this runs
local function is_owner(batch, owner)
  if owners[batch] == nil then owners[batch] = redis.call('HGET', batch, 'owner') end
  return owners[batch] == owner
end

local function change(document, changes)
  for _, each in ipairs(changes) do
    if each.append then
      local begun = each.begins and redis.call('JSON.SET', document, each.path,
        '[' .. table.concat(ARGV, ',', each.from, each.to) .. ']', 'NX')
      local lengths = begun and {1} or redis.call('JSON.ARRAPPEND', document, each.path, unpack(ARGV, each.from, each.to))
      -- A missing member answers an empty list, a null one a list of false: neither is an error to RedisJSON.
      if #lengths == 0 or not lengths[1] then
        redis.call('JSON.SET', document, each.path, '[' .. table.concat(ARGV, ',', each.from, each.to) .. ']')
      end
    else
      redis.call('JSON.SET', document, each.path, ARGV[each.from])
    end
  end
end

local function commit(it)
  local document, meta, search, jobs = it.document, it.meta, it.search, it.jobs
  local revision, by, live, begun = unpack(redis.call('HMGET', meta, 'revision', 'commit', 'live', 'begun'))
  live = live or it.live
  if it.id ~= '' and by == it.id then return {'ok', revision} end -- called again after a broken connection
  if it.owner ~= '' then
    if not is_owner(it.batch, it.owner) then return {'lost'} end
    if it.job ~= '' and redis.call('HEXISTS', jobs, it.job) == 0 then return {'lost'} end
  end
  if begun and tonumber(it.base) < tonumber(begun) then return {'gone'} end
  local facts = it.facts ~= '' and cjson.decode(it.facts) or {meta = {}, search = {}, media = {}}
  if #it.changes > 0 then
    if redis.call('EXISTS', document) == 0 then return {'missing'} end
    -- The archive has this commit as the one after its base already: it comes true exactly there, or not at all.
    -- A document without a revision was written by other software, and has its first one now.
    if (revision or '0') ~= it.base then return {'behind', revision or '0'} end
    change(document, it.changes)
    revision = string.format('%.0f', tonumber(it.base) + 1)
    redis.call('HSET', meta, 'revision', revision, 'commit', it.id, unpack(facts.meta))
    if live ~= '0' then redis.call('EXPIRE', document, live) end
    if it.created ~= '' then redis.call('ZADD', 'vcons', it.created, document) end
  else
    -- What is removed must not come back as something that is kept beside it. A job may still be settled.
    local beside = it.facts ~= '' or it.rows.to >= it.rows.from
    if beside and not revision and redis.call('EXISTS', document) == 0 then return {'missing'} end
    if #facts.meta > 0 then redis.call('HSET', meta, unpack(facts.meta)) end
  end
  local fresh = {} -- in one command and only what changed: RediSearch reads all of a hash again after each
  for i = 1, #facts.search, 2 do
    if redis.call('HGET', search, facts.search[i]) ~= facts.search[i + 1] then
      fresh[#fresh + 1] = facts.search[i]
      fresh[#fresh + 1] = facts.search[i + 1]
    end
  end
  if #fresh > 0 then redis.call('HSET', search, unpack(fresh)) end
  for _, token in ipairs(facts.media) do redis.call('SADD', 'mediarefs:' .. token, it.uuid) end
  for i = it.rows.from, it.rows.to, 4 do
    local projection, day, row, hash = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    local rows = 'rows:' .. projection .. ':' .. day
    if (redis.call('HGET', rows, row) or '') ~= hash then -- the same row again must not make its day land again
      if hash == '' then redis.call('HDEL', rows, row) else redis.call('HSET', rows, row, hash) end
      redis.call('HINCRBY', 'rows:' .. projection, day, 1)
    end
  end
  for i = it.pushes.from, it.pushes.to, 2 do enter(ARGV[i], ARGV[i + 1]) end
  for i = it.channels.from, it.channels.to do redis.call('PUBLISH', ARGV[i], it.uuid) end
  if it.events ~= '' then redis.call('XADD', KEYS[1], '*', 'events', it.events) end
  if it.job ~= '' then
    redis.call('HDEL', jobs, it.job)
    redis.call('HDEL', 'attempts', it.job)
  end
  return {'ok', revision or '0'}
end

-- Where the next n groups of arguments stand.
local function span(width)
  local n = tonumber(take())
  local from = at
  at = at + n * width
  return {from = from, to = at - 1}
end

local function read(number)
  local first = 2 + (number - 1) * 5
  local it = {
    document = KEYS[first], meta = KEYS[first + 1], search = KEYS[first + 2],
    batch = KEYS[first + 3], jobs = KEYS[first + 4],
    uuid = take(), owner = take(), job = take(), base = take(), id = take(), live = take(), created = take(),
    changes = {},
  }
  for i = 1, tonumber(take()) do
    local kind = take()
    if kind ~= 'put' then
      local path = '$.' .. take()
      local values = span(1)
      it.changes[i] = {append = true, begins = kind == 'begin', path = path, from = values.from, to = values.to}
    else
      it.changes[i] = {path = take(), from = at}
      at = at + 1
    end
  end
  it.facts = take()
  it.rows, it.pushes, it.channels = span(4), span(2), span(1)
  it.events = take()
  return it
end

local answers = {}
for number = 1, tonumber(take()) do
  local it = read(number)
  local well, answer = pcall(commit, it)
  if not well then answer = {'error', type(answer) == 'table' and answer.err or tostring(answer)} end
  answers[number] = answer
end
return answers
