-- Jobs whose time has come join the lists of their priority. KEYS: queue. ARGV: most. Gives how many did.
-- include _enter
return let_due_in(KEYS[1], tonumber(ARGV[1]))
