-- Claim a request that is to be carried out once, or prolong the claim, or learn what became of it.
-- KEYS: record, marks. ARGV: fingerprint of the request, owner, lease in ms, seconds that all of it is kept
-- Gives {"begun"} it is the owner's now, nobody had it before, or the owner has it still; {"again", mark or ""} it is the
-- owner's now, and was somebody's who died, having done the work if there is a mark; {"busy"} somebody is at it;
-- {"other"} the record is of another request; {"done", status, headers, body}.
local now = redis.call('TIME')
local at = now[1] * 1000 + math.floor(now[2] / 1000)
local record, marks = KEYS[1], KEYS[2]
local fingerprint, owner, ends, status = unpack(redis.call('HMGET', record, 'fingerprint', 'owner', 'ends', 'status'))
if fingerprint and fingerprint ~= ARGV[1] then return {'other'} end
if status then return {'done', status, unpack(redis.call('HMGET', record, 'headers', 'body'))} end
if owner and owner ~= ARGV[2] and tonumber(ends) > at then return {'busy'} end
redis.call('HSET', record, 'fingerprint', ARGV[1], 'owner', ARGV[2], 'ends', at + tonumber(ARGV[3]))
if owner == ARGV[2] then return {'begun'} end
if owner then
  local mark = redis.call('LLEN', marks) > 1 and redis.call('LINDEX', marks, -1)
  return {'again', mark or ''}
end
redis.call('EXPIRE', record, ARGV[4])
redis.call('RPUSH', marks, 'begun') -- now, so that what a commit adds to it goes by itself too
redis.call('EXPIRE', marks, ARGV[4])
return {'begun'}
