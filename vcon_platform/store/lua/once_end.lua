-- Keep the answer to a request, or forget that it came.
-- KEYS: record, marks. ARGV: owner, then status, headers, body ("" for all: forget it)
-- Gives 1, or 0 where the claim is somebody else's by now.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'status', ARGV[2], 'headers', ARGV[3], 'body', ARGV[4])
end
return 1
