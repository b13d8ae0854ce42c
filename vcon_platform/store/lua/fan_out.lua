-- Copy jobs from the head of a list into further queues, and take them out of it.
-- KEYS: list, outbox
-- ARGV: (entry at the head, n copies, n times (list, entry), events as JSON array or "") ...
-- Gives how many left the list. It stops at the first that is not the head any more: somebody else was there first.
-- include _enter
local queue = string.match(KEYS[1], '^queue:[^:]+')
local at, moved = 1, 0
while at <= #ARGV do
  local entry, copies = ARGV[at], tonumber(ARGV[at + 1])
  if redis.call('LINDEX', KEYS[1], 0) ~= entry then break end
  redis.call('LPOP', KEYS[1])
  unmark(queue, entry)
  for i = at + 2, at + 1 + 2 * copies, 2 do enter(ARGV[i], ARGV[i + 1]) end
  at = at + 2 + 2 * copies
  if ARGV[at] ~= '' then redis.call('XADD', KEYS[2], '*', 'events', ARGV[at]) end
  at = at + 1
  moved = moved + 1
end
return moved
