-- Begin up to `limit` effects: those that are due again first, then those that wait. What an equal one is under way
-- for, or was sent, or is uncertain, is dropped; one equal to a refused one takes its place.
-- KEYS: waiting, later, sending, sent, refused, uncertain, kept, tries, owners, reasons, outbox
-- ARGV: limit, owner, seconds a sent key is known
-- Gives {effect, tries, ...}.
local now = redis.call('TIME')
local time = now[1] + now[2] / 1000000
local limit = tonumber(ARGV[1])
local answer = {}
local function begin(key, raw)
  redis.call('HSET', KEYS[7], key, raw)
  redis.call('ZADD', KEYS[3], string.format('%.6f', time), key)
  redis.call('HSET', KEYS[9], key, ARGV[2])
  redis.call('HDEL', KEYS[10], key)
  answer[#answer + 1] = raw
  answer[#answer + 1] = tostring(redis.call('HINCRBY', KEYS[8], key, 1))
end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', time - tonumber(ARGV[3]))
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', time, 'LIMIT', 0, limit)) do
  redis.call('ZREM', KEYS[2], key)
  local raw = redis.call('HGET', KEYS[7], key)
  if raw then begin(key, raw) end
end
local looked = 0
while #answer < 2 * limit and looked < 1000 do
  local raw = redis.call('LPOP', KEYS[1])
  if not raw then break end
  looked = looked + 1
  local key = string.match(raw, '^{"key":"(%x+)"') or redis.sha1hex(raw)
  local known = false
  for state = 2, 6 do
    if state ~= 5 and redis.call('ZSCORE', KEYS[state], key) then known = true end
  end
  if not known then
    redis.call('ZREM', KEYS[5], key)
    begin(key, raw)
  end
end
return answer
