-- Bring a document up to a revision that the archive has and Redis has not: it expired, Redis was emptied, or lost its
-- newest writes. Never goes back.
-- KEYS: document, meta, search, listing
-- ARGV: uuid, document, revision, created_at in seconds, seconds the document stays in Redis (0 = for good), JSON of
--   {meta: [member, value, ...], search: [member, value, ...], media: [token, ...], rows: [[projection, day, hash], ...]}
-- A document with seconds of its own (meta "live") stays for those.
-- Gives {"restored"}; or, having changed nothing: {"removed"} it was removed meanwhile, {"there"}, {"ahead", revision} Redis knows of a newer revision.
if tonumber(redis.call('HGET', 'vcons:removed', ARGV[1]) or 0) >= tonumber(ARGV[3]) then return {'removed'} end
local revision = redis.call('HGET', KEYS[2], 'revision')
if revision and tonumber(revision) > tonumber(ARGV[3]) then return {'ahead', revision} end
if redis.call('EXISTS', KEYS[1]) == 1 and (not revision or revision == ARGV[3]) then return {'there'} end
local uuid, facts = ARGV[1], cjson.decode(ARGV[6])
redis.call('JSON.SET', KEYS[1], '$', ARGV[2])
local live = redis.call('HGET', KEYS[2], 'live') or ARGV[5]
if live ~= '0' then redis.call('EXPIRE', KEYS[1], live) end
redis.call('HSET', KEYS[2], 'revision', ARGV[3], unpack(facts.meta))
redis.call('HSET', KEYS[3], unpack(facts.search))
for _, token in ipairs(facts.media) do redis.call('SADD', 'mediarefs:' .. token, uuid) end
redis.call('ZADD', KEYS[4], ARGV[4], KEYS[1])
for _, row in ipairs(facts.rows) do
  local projection, day, hash = row[1], row[2], row[3]
  local rows = 'rows:' .. projection .. ':' .. day
  if (redis.call('HGET', rows, uuid) or '') ~= hash then
    if hash == '' then redis.call('HDEL', rows, uuid) else redis.call('HSET', rows, uuid, hash) end
    redis.call('HINCRBY', 'rows:' .. projection, day, 1)
  end
end
return {'restored'}
