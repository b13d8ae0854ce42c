-- Read documents with what tells their revision, each of one moment.
-- KEYS: for each: document, meta
-- Gives for each {document or false, revision, commit, sealed (false where there is none)}.
local answers = {}
for i = 1, #KEYS, 2 do
  local beside = redis.call('HMGET', KEYS[i + 1], 'revision', 'commit', 'sealed')
  -- The bare path: one JSON text, no array around it.
  answers[#answers + 1] = {redis.call('JSON.GET', KEYS[i]), beside[1], beside[2], beside[3]}
end
return answers
