-- Let go of an effect that nobody is at work on: back into the waiting list, or for good.
-- KEYS: waiting, later, sending, sent, refused, uncertain, kept, tries, owners, reasons, outbox
-- ARGV: key; "waiting" = wait again, "" = give it up, else the entry of the waiting list that is given up;
--   events (JSON array, "" = none)
-- Gives 1, or 0 having changed nothing.
local key = ARGV[1]
if ARGV[2] ~= '' and ARGV[2] ~= 'waiting' then
  if redis.call('LREM', KEYS[1], 1, ARGV[2]) == 0 then return 0 end
else
  local raw = redis.call('HGET', KEYS[7], key)
  if redis.call('ZREM', KEYS[2], key) + redis.call('ZREM', KEYS[5], key) + redis.call('ZREM', KEYS[6], key) == 0 then
    return 0
  end
  for hash = 7, 10 do redis.call('HDEL', KEYS[hash], key) end
  if ARGV[2] == 'waiting' then redis.call('RPUSH', KEYS[1], raw) end
end
if ARGV[3] ~= '' then redis.call('XADD', KEYS[11], '*', 'events', ARGV[3]) end
return 1
