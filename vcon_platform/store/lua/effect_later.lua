-- An effect that did not come off is due again later.
-- KEYS: waiting, later, sending, sent, refused, uncertain, kept, tries, owners, reasons, outbox
-- ARGV: key, owner, delay in seconds, reason
-- Gives 1, or 0 having changed nothing: it is not this owner's any more.
local key = ARGV[1]
if redis.call('HGET', KEYS[9], key) ~= ARGV[2] then return 0 end
if redis.call('ZREM', KEYS[3], key) == 0 then return 0 end
local now = redis.call('TIME')
redis.call('ZADD', KEYS[2], string.format('%.6f', now[1] + now[2] / 1000000 + tonumber(ARGV[3])), key)
redis.call('HSET', KEYS[10], key, ARGV[4])
return 1
