-- Store new vCons, enter each into its queues, record and announce it, each all or nothing; many in one call, because a
-- call of its own for each costs more than the storing.
-- KEYS: outbox, listing, store's identity, then for each: document, meta, search
-- ARGV: number of vCons, seconds the documents stay in Redis (0 = for good), then for each:
--   uuid, document, its first revision, the commit's id, SHA-256 of the posted bytes, created_at in seconds,
--   JSON of {meta: [member, value, ...], search: [member, value, ...], media: [token, ...]},
--   the text that is searched (beside the others: most of what there is, and JSON of it would be read twice),
--   n pushes: (list, entry)
--   events (JSON array or "")
-- Gives for each {"created", revision}; or, having changed nothing: {"known", revision, revision that these very bytes made
-- or ""}, {"removed", revision} it was removed at that revision, and begins with the next, {"strange"} this Redis is not the store's (it was emptied, or is another one), {"error", why}.
-- include _enter
local at = 1
local function take()
  at = at + 1
  return ARGV[at - 1]
end
local count, live = tonumber(take()), take()
local is_ours = redis.call('EXISTS', KEYS[3]) == 1

local function create(it)
  if not is_ours then return {'strange'} end
  local document, meta, search = it.document, it.meta, it.search
  local revision, by = unpack(redis.call('HMGET', meta, 'revision', 'commit'))
  if revision and by == it.id then return {'created', revision} end -- called again after a broken connection
  if revision then return {'known', revision, redis.call('HGET', meta, 'posted:' .. it.sha256) or ''} end
  if redis.call('EXISTS', document) == 1 then return {'known', '0', ''} end -- written by somebody else's software
  local ended = redis.call('HGET', 'vcons:removed', it.uuid) or '0'
  if tonumber(ended) + 1 ~= tonumber(it.revision) then return {'removed', ended} end
  local facts = cjson.decode(it.facts)
  redis.call('JSON.SET', document, '$', ARGV[it.value])
  if live ~= '0' then redis.call('EXPIRE', document, live) end
  redis.call('HSET', meta, 'revision', it.revision, 'commit', it.id, 'posted:' .. it.sha256, it.revision,
    unpack(facts.meta))
  redis.call('HSET', search, 'text', ARGV[it.text], unpack(facts.search)) -- in one command: RediSearch reads a hash again after each
  for _, token in ipairs(facts.media) do redis.call('SADD', 'mediarefs:' .. token, it.uuid) end
  redis.call('ZADD', KEYS[2], it.created, document)
  if it.events ~= '' then redis.call('XADD', KEYS[1], '*', 'events', it.events) end
  for i = it.pushes, it.after - 1, 2 do enter(ARGV[i], ARGV[i + 1]) end
  redis.call('PUBLISH', 'vcon:created', it.uuid)
  return {'created', it.revision}
end

local answers = {}
for number = 1, count do
  local first = 1 + number * 3
  local it = {document = KEYS[first], meta = KEYS[first + 1], search = KEYS[first + 2], uuid = take(), value = at}
  at = at + 1
  it.revision, it.id, it.sha256, it.created, it.facts = take(), take(), take(), take(), take()
  it.text, at = at, at + 1
  local pushes = tonumber(take())
  it.pushes, it.after = at, at + pushes * 2
  at = it.after
  it.events = take()
  local well, answer = pcall(create, it)
  if not well then answer = {'error', type(answer) == 'table' and answer.err or tostring(answer)} end
  answers[number] = answer
end
return answers
