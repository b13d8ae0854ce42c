-- Store a pipeline's definition, delete it, or write down which version of it was loaded: with its version, or nothing.
-- KEYS: pipelines, pipeline's definition, its versions, changes, live
-- ARGV: "put", "delete" or "record"; pipeline; number of the version it is based on ("" = whichever); version's hash;
--   its entry (JSON: version, source, at, by, note, definition); definition (JSON)
-- Gives {"done", number}, {"same", number} if that is the version there is already, {"conflict", number} if another was
-- made meanwhile, {"missing", number} if there is nothing to delete.
local mode, name, base, hash, entry, definition = unpack(ARGV)
local number = redis.call('LLEN', KEYS[3])
local last = number > 0 and cjson.decode(redis.call('LINDEX', KEYS[3], -1)) or {}
if mode == 'record' then redis.call('HSET', KEYS[5], name, definition) end
if base ~= '' and tonumber(base) ~= number then return {'conflict', number} end
if mode == 'put' then
  local same = last.version == hash and last.source == 'stored' and redis.call('EXISTS', KEYS[2]) == 1
  redis.call('JSON.SET', KEYS[2], '$', definition)
  redis.call('SADD', KEYS[1], name)
  if same then return {'same', number} end
elseif mode == 'delete' then
  if redis.call('EXISTS', KEYS[2]) == 0 and redis.call('SISMEMBER', KEYS[1], name) == 0 then
    return {'missing', number}
  end
  redis.call('DEL', KEYS[2])
  redis.call('SREM', KEYS[1], name)
  redis.call('HDEL', KEYS[5], name)
elseif last.version == hash and last.source ~= 'deleted' then
  return {'same', number}
end
number = redis.call('RPUSH', KEYS[3], entry)
redis.call('INCR', KEYS[4])
return {'done', number}
