-- Put an effect that was begun aside, as refused or uncertain, and tell the ledger.
-- KEYS: waiting, later, sending, sent, refused, uncertain, kept, tries, owners, reasons, outbox
-- ARGV: key, owner ("" = whoever, but only if it was begun before the time that follows), that time or "",
--   "refused" or "uncertain", reason, events (JSON array, "" = none)
-- Gives 1, or 0 having changed nothing.
local key = ARGV[1]
local since = redis.call('ZSCORE', KEYS[3], key)
if not since then return 0 end
if ARGV[2] == '' then
  if tonumber(since) > tonumber(ARGV[3]) then return 0 end
elseif redis.call('HGET', KEYS[9], key) ~= ARGV[2] then
  return 0
end
redis.call('ZREM', KEYS[3], key)
local now = redis.call('TIME')
local target = KEYS[ARGV[4] == 'refused' and 5 or 6]
redis.call('ZADD', target, string.format('%.6f', now[1] + now[2] / 1000000), key)
redis.call('HSET', KEYS[10], key, ARGV[5])
if ARGV[6] ~= '' then redis.call('XADD', KEYS[11], '*', 'events', ARGV[6]) end
return 1
