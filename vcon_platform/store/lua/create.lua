-- Store a new vCon, enter it into its queues, record and announce it: all or nothing.
-- KEYS: document, meta, outbox, then one list per queue
-- ARGV: uuid, document, meta member, meta value ... up to "--", then one job per queue, events (JSON array or "")
-- Gives {"created", 1}, or {"known", revision} and changes nothing.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'known', redis.call('HGET', KEYS[2], 'revision') or '0'}
end
redis.call('JSON.SET', KEYS[1], '$', ARGV[2])
redis.call('HSET', KEYS[2], 'revision', 1)
local at = 3
while ARGV[at] ~= '--' do
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
  at = at + 2
end
for queue = 4, #KEYS do
  redis.call('RPUSH', KEYS[queue], ARGV[at + queue - 3])
end
local events = ARGV[#ARGV]
if events ~= '' then redis.call('XADD', KEYS[3], '*', 'events', events) end
redis.call('PUBLISH', 'vcon:created', ARGV[1])
return {'created', '1'}
