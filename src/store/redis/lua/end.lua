-- KEYS: record.
-- ARGV: the tombstone, its deadline, key,
--   where the index is: 'here', 'elsewhere',
--   if it is here: what its name begins with.
-- Answers the subject and the ticket that the index elsewhere no longer needs.
local tombstone, at, key, where, prefix = unpack(ARGV, 1, 5)

-- Also over what is no record at all.
local there = redis.pcall('GETRANGE', KEYS[1], 0, 64)
if type(there) ~= 'string' then
  there = ''
end
if revision(there) == revision(tombstone) and not earlier(deadline(there), deadline(tombstone)) then
  return {}
end

local old, stub = owner(there)
redis.call('SET', KEYS[1], tombstone, 'PXAT', at)
if old == '' then
  return {}
elseif where == 'here' then
  redis.call('ZREM', index_of(prefix, old), key .. stub)
  return {}
end
return { old, stub }
