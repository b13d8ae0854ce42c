-- Put jobs into queues. ARGV: (list or sorted set, entry) ... Gives how many entered: one whose dedupe text a waiting
-- job has already does not.
-- include _enter
local entered = 0
for i = 1, #ARGV, 2 do entered = entered + enter(ARGV[i], ARGV[i + 1]) end
return entered
