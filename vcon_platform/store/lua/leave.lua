-- Have a document leave Redis after these many seconds, now and after every later write. The archive must have it.
-- KEYS: document, meta
-- ARGV: seconds
-- Gives "ok", also for one that has left already; "missing", or "not archived", having changed nothing.
local by = redis.call('HGET', KEYS[2], 'commit')
if not by or by == '' then
  return redis.call('EXISTS', KEYS[1]) == 1 and 'not archived' or 'missing'
end
redis.call('HSET', KEYS[2], 'live', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 'ok'
