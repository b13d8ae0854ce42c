-- Commit one vCon's changes and everything that hangs on them: all or nothing.
-- KEYS: document, meta, outbox, batch, batch's jobs
-- ARGV: owner ("" = not fenced), job to settle ("" = none), revision the changes were made on, then
--   n changes: ("append", array, value) | ("put", path, value)
--   n rows:    (projection, day, uuid, hash or "" = no row any more)
--   n pushes:  (list, entry)
--   n channels to publish the uuid on, then the uuid
--   events (JSON array or "")
-- Gives {"ok", revision}; or, having changed nothing: {"lost"} the lease went to somebody else,
-- {"missing"} no such document, {"conflict", revision} a put was made on an older revision.
local owner, job, base = ARGV[1], ARGV[2], ARGV[3]
if owner ~= '' then
  if redis.call('HGET', KEYS[4], 'owner') ~= owner then return {'lost'} end
  if job ~= '' and redis.call('HEXISTS', KEYS[5], job) == 0 then return {'lost'} end
end
local at = 4
local function take()
  at = at + 1
  return ARGV[at - 1]
end
local changes = tonumber(take())
local first_change = at
local revision = redis.call('HGET', KEYS[2], 'revision')
if changes > 0 then
  if redis.call('EXISTS', KEYS[1]) == 0 then return {'missing'} end
  if revision ~= base then
    for i = 0, changes - 1 do
      if ARGV[first_change + 3 * i] == 'put' then return {'conflict', revision} end
    end
  end
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
if changes > 0 then revision = redis.call('HINCRBY', KEYS[2], 'revision', 1) end
for _ = 1, tonumber(take()) do
  local projection, day, uuid, hash = take(), take(), take(), take()
  if hash == '' then
    redis.call('HDEL', 'rows:' .. projection .. ':' .. day, uuid)
  else
    redis.call('HSET', 'rows:' .. projection .. ':' .. day, uuid, hash)
  end
  redis.call('HINCRBY', 'rows:' .. projection, day, 1)
end
for _ = 1, tonumber(take()) do
  local list, entry = take(), take()
  redis.call('RPUSH', list, entry)
end
local channels = tonumber(take())
local uuid = ARGV[at + channels]
for _ = 1, channels do redis.call('PUBLISH', take(), uuid) end
take()
local events = take()
if events ~= '' then redis.call('XADD', KEYS[3], '*', 'events', events) end
if job ~= '' then
  redis.call('HDEL', KEYS[5], job)
  redis.call('HDEL', 'attempts', job)
end
return {'ok', tostring(revision or '0')}
