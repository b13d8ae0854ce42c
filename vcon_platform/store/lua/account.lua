-- Add what one call of a service used to its pipeline's accounts and tell the ledger, all or nothing, and once: a caller
-- who lost the answer may say it again.
-- KEYS: mark that it was said, outbox, then the accounts
-- ARGV: seconds that the mark stays, events (JSON array), seconds that each account stays (0 = for good), then pairs of
--   (field, amount to add)
-- Gives 1, or 0 if it was said before.
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then return 0 end
local accounts = #KEYS - 2
for i = 1, accounts do
  local account, stays = KEYS[i + 2], ARGV[i + 2]
  for at = accounts + 3, #ARGV, 2 do redis.call('HINCRBYFLOAT', account, ARGV[at], ARGV[at + 1]) end
  if stays ~= '0' then redis.call('EXPIRE', account, stays) end
end
redis.call('XADD', KEYS[2], '*', 'events', ARGV[2])
return 1
