-- KEYS: record [, index of its subject]. ARGV: the record, its deadline [, member, its end].
-- Answers 1, or 0 if there is one.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
if KEYS[2] then
  enter(KEYS[2], ARGV[3], ARGV[4])
end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
return 1
