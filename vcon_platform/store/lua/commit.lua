-- Commit one vCon's changes and everything that hangs on them: all or nothing.
-- KEYS: document, meta, outbox, batch, batch's jobs, search
-- ARGV: owner ("" = not fenced), job to settle ("" = none), revision the changes were made on, the commit's id,
--   seconds the document stays in Redis (0 = for good), created_at in seconds ("" = as it was), then
--   n changes: ("append", array, value) | ("put", path, value)
--   JSON of {meta: [member, value, ...], search: [member, value, ...], media: [token, ...]}
--   n rows:    (projection, day, uuid, hash or "" = no row any more)
--   n pushes:  (list, or sorted set of a queue's later jobs; entry)
--   n channels to publish the uuid on, then the uuid
--   events (JSON array or "")
-- Gives {"ok", revision}; or, having changed nothing: {"lost"} the lease went to somebody else,
-- {"missing"} no such document, {"behind", revision} somebody else made a revision meanwhile.
-- include _enter
local owner, job, base = ARGV[1], ARGV[2], ARGV[3]
if owner ~= '' then
  if redis.call('HGET', KEYS[4], 'owner') ~= owner then return {'lost'} end
  if job ~= '' and redis.call('HEXISTS', KEYS[5], job) == 0 then return {'lost'} end
end
local at = 7
local function take()
  at = at + 1
  return ARGV[at - 1]
end
local changes = tonumber(take())
local revision = redis.call('HGET', KEYS[2], 'revision')
if changes > 0 then
  if redis.call('EXISTS', KEYS[1]) == 0 then return {'missing'} end
  -- The archive has this commit as the one after `base` already: it comes true exactly there, or not at all.
  -- A document without a revision was written by other software, and has its first one now.
  if (revision or '0') ~= base then return {'behind', revision or '0'} end
end
for _ = 1, changes do
  local kind, where, value = take(), take(), take()
  if kind == 'append' then
    local path = '$.' .. where
    local lengths = redis.call('JSON.ARRAPPEND', KEYS[1], path, value)
    -- A missing member answers an empty list, a null one a list of false: neither is an error to RedisJSON.
    if #lengths == 0 or not lengths[1] then redis.call('JSON.SET', KEYS[1], path, '[' .. value .. ']') end
  else
    redis.call('JSON.SET', KEYS[1], where, value)
  end
end
local uuid = ARGV[#ARGV - 1]
if changes > 0 then
  revision = redis.call('HINCRBY', KEYS[2], 'revision', 1)
  redis.call('HSET', KEYS[2], 'commit', ARGV[4])
  if ARGV[5] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[5]) end
  if ARGV[6] ~= '' then redis.call('ZADD', 'vcons', ARGV[6], KEYS[1]) end
end
local facts = cjson.decode(take())
if #facts.meta > 0 then redis.call('HSET', KEYS[2], unpack(facts.meta)) end
local fresh = {} -- in one command and only what changed: RediSearch reads all of a hash again after each
for i = 1, #facts.search, 2 do
  if redis.call('HGET', KEYS[6], facts.search[i]) ~= facts.search[i + 1] then
    fresh[#fresh + 1] = facts.search[i]
    fresh[#fresh + 1] = facts.search[i + 1]
  end
end
if #fresh > 0 then redis.call('HSET', KEYS[6], unpack(fresh)) end
for _, token in ipairs(facts.media) do redis.call('SADD', 'mediarefs:' .. token, uuid) end
for _ = 1, tonumber(take()) do
  local projection, day, row, hash = take(), take(), take(), take()
  local rows = 'rows:' .. projection .. ':' .. day
  if (redis.call('HGET', rows, row) or '') ~= hash then -- the same row again must not make its day land again
    if hash == '' then redis.call('HDEL', rows, row) else redis.call('HSET', rows, row, hash) end
    redis.call('HINCRBY', 'rows:' .. projection, day, 1)
  end
end
for _ = 1, tonumber(take()) do
  local list, entry = take(), take()
  enter(list, entry)
end
for _ = 1, tonumber(take()) do redis.call('PUBLISH', take(), uuid) end
take()
local events = take()
if events ~= '' then redis.call('XADD', KEYS[3], '*', 'events', events) end
if job ~= '' then
  redis.call('HDEL', KEYS[5], job)
  redis.call('HDEL', 'attempts', job)
end
return {'ok', tostring(revision or '0')}
