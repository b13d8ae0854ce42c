-- One job leaves the batch it is in, whatever its run does with it: to the front of its queue, or for good. The run's
-- outcome for it does not come true any more, because it is not in the batch.
-- KEYS: batch's jobs, outbox, list ("" = it goes nowhere)
-- ARGV: job id, entry, events (JSON array or "")
-- Gives 1, or 0 if it is not in the batch (any more).
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
if KEYS[3] ~= '' then
  redis.call('SADD', 'queues', string.match(KEYS[3], '^queue:([^:]+)'))
  redis.call('LPUSH', KEYS[3], ARGV[2])
end
if ARGV[3] ~= '' then redis.call('XADD', KEYS[2], '*', 'events', ARGV[3]) end
return 1
