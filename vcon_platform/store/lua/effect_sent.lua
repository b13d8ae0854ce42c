-- An effect was carried out: its key is remembered, the rest of it forgotten, and the ledger told.
-- KEYS: waiting, later, sending, sent, refused, uncertain, kept, tries, owners, reasons, outbox
-- ARGV: key, owner, events (JSON array)
-- Gives 1, or 0 having changed nothing: it is not this owner's any more.
local key = ARGV[1]
if redis.call('HGET', KEYS[9], key) ~= ARGV[2] then return 0 end
if redis.call('ZREM', KEYS[3], key) + redis.call('ZREM', KEYS[6], key) == 0 then return 0 end
local now = redis.call('TIME')
redis.call('ZADD', KEYS[4], string.format('%.6f', now[1] + now[2] / 1000000), key)
for hash = 7, 10 do redis.call('HDEL', KEYS[hash], key) end
redis.call('XADD', KEYS[11], '*', 'events', ARGV[3])
return 1
