-- Put jobs into queues, each with the ledger events that say so.
-- KEYS: outbox. ARGV: (list or sorted set, entry, events as JSON array or "") ...
-- Gives how many entered: one whose dedupe text a waiting job has already does not, nor are its events kept.
-- include _enter
local entered = 0
for i = 1, #ARGV, 3 do
  if enter(ARGV[i], ARGV[i + 1]) == 1 then
    entered = entered + 1
    if ARGV[i + 2] ~= '' then redis.call('XADD', KEYS[1], '*', 'events', ARGV[i + 2]) end
  end
end
return entered
