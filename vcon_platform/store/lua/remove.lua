-- Remove a vCon: its document, what is kept beside it, what it is found by, its place in the listing, its references of
-- media and its rows, all or nothing. What waits for it in queues is left: whoever takes that finds nothing.
-- KEYS: document, meta, search, listing, removed, removing, outbox
-- ARGV: uuid, revision that was read, events (JSON array), what the archive still holds of it (JSON),
--   n media: token; n rows: (projection, day)
-- Gives {"removed"}, also when it is called again; or, having changed nothing: {"missing"}, {"behind", revision}.
local uuid = ARGV[1]
local next_revision = string.format('%.0f', tonumber(ARGV[2]) + 1)
local revision = redis.call('HGET', KEYS[2], 'revision')
if not revision and redis.call('EXISTS', KEYS[1]) == 0 then
  return {redis.call('HGET', KEYS[5], uuid) == next_revision and 'removed' or 'missing'}
end
if (revision or '0') ~= ARGV[2] then return {'behind', revision or '0'} end
local at = 5
local function take()
  at = at + 1
  return ARGV[at - 1]
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[4], KEYS[1], uuid) -- the conserver lists some by their bare uuid
for _ = 1, tonumber(take()) do redis.call('SREM', 'mediarefs:' .. take(), uuid) end
for _ = 1, tonumber(take()) do
  local projection, day = take(), take()
  if redis.call('HDEL', 'rows:' .. projection .. ':' .. day, uuid) == 1 then
    redis.call('HINCRBY', 'rows:' .. projection, day, 1) -- the day lands again, without it
  end
end
redis.call('HSET', KEYS[5], uuid, next_revision)
if ARGV[4] ~= '' then redis.call('HSET', KEYS[6], uuid, ARGV[4]) end
redis.call('XADD', KEYS[7], '*', 'events', ARGV[3])
redis.call('PUBLISH', 'vcon:removed', uuid)
return {'removed'}
