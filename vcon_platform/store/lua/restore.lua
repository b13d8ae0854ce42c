-- Bring a document up to a revision that the archive has and Redis has not: it expired, Redis was emptied, or lost its
-- newest writes. Never goes back.
-- KEYS: document, meta, search, listing
-- ARGV: uuid, document, revision, created_at in seconds, seconds the document stays in Redis (0 = for good), then
--   n meta: (member, value); n search: (member, value); n media: token; n rows: (projection, day, hash)
-- Gives {"restored"}; or, having changed nothing: {"there"}, {"ahead", revision} Redis knows of a newer revision.
local revision = redis.call('HGET', KEYS[2], 'revision')
if revision and tonumber(revision) > tonumber(ARGV[3]) then return {'ahead', revision} end
if redis.call('EXISTS', KEYS[1]) == 1 and (not revision or revision == ARGV[3]) then return {'there'} end
local uuid, at = ARGV[1], 6
local function take()
  at = at + 1
  return ARGV[at - 1]
end
-- Members of a hash, in one command: RediSearch reads a hash again after each.
local function hset(key)
  local pairs_left = tonumber(take())
  if pairs_left > 0 then redis.call('HSET', key, unpack(ARGV, at, at + 2 * pairs_left - 1)) end
  at = at + 2 * pairs_left
end
redis.call('JSON.SET', KEYS[1], '$', ARGV[2])
if ARGV[5] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[5]) end
redis.call('HSET', KEYS[2], 'revision', ARGV[3])
hset(KEYS[2])
hset(KEYS[3])
for _ = 1, tonumber(take()) do redis.call('SADD', 'mediarefs:' .. take(), uuid) end
redis.call('ZADD', KEYS[4], ARGV[4], KEYS[1])
for _ = 1, tonumber(take()) do
  local projection, day, hash = take(), take(), take()
  local rows = 'rows:' .. projection .. ':' .. day
  if (redis.call('HGET', rows, uuid) or '') ~= hash then
    if hash == '' then redis.call('HDEL', rows, uuid) else redis.call('HSET', rows, uuid, hash) end
    redis.call('HINCRBY', 'rows:' .. projection, day, 1)
  end
end
return {'restored'}
