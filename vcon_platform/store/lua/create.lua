-- Store a new vCon, enter it into its queues, record and announce it: all or nothing.
-- KEYS: document, meta, outbox, search, listing, store's identity, then one list per queue
-- ARGV: uuid, document, the commit's id, SHA-256 of the posted bytes, created_at in seconds,
--   seconds the document stays in Redis (0 = for good), JSON of {meta: [member, value, ...], search: [member, value,
--   ...], media: [token, ...]} (one argument, because sixty cost the sender more than all the rest), events (JSON array
--   or ""), one job per queue
-- Gives {"created", "1"}; or, having changed nothing: {"known", revision, revision that these very bytes made or ""},
-- {"strange"} this Redis is not the store's (it was emptied, or is another one).
-- include _enter
if redis.call('EXISTS', KEYS[6]) == 0 then return {'strange'} end
local revision = redis.call('HGET', KEYS[2], 'revision')
if revision then return {'known', revision, redis.call('HGET', KEYS[2], 'posted:' .. ARGV[4]) or ''} end
if redis.call('EXISTS', KEYS[1]) == 1 then return {'known', '0', ''} end -- written by somebody else's software
local uuid, facts = ARGV[1], cjson.decode(ARGV[7])
redis.call('JSON.SET', KEYS[1], '$', ARGV[2])
if ARGV[6] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[6]) end
redis.call('HSET', KEYS[2], 'revision', 1, 'commit', ARGV[3], 'posted:' .. ARGV[4], 1)
if #facts.meta > 0 then redis.call('HSET', KEYS[2], unpack(facts.meta)) end
redis.call('HSET', KEYS[4], unpack(facts.search)) -- in one command: RediSearch reads a hash again after each
for _, token in ipairs(facts.media) do redis.call('SADD', 'mediarefs:' .. token, uuid) end
redis.call('ZADD', KEYS[5], ARGV[5], KEYS[1])
local events = ARGV[8]
if events ~= '' then redis.call('XADD', KEYS[3], '*', 'events', events) end
for queue = 7, #KEYS do enter(KEYS[queue], ARGV[queue + 2]) end
redis.call('PUBLISH', 'vcon:created', uuid)
return {'created', '1'}
