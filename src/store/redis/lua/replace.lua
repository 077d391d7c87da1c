-- KEYS: record [, index of its new subject].
-- ARGV: expected revision, first 17 bytes, subject, ticket, body, deadline,
--   key, end of the ticket, until when an older ticket must count,
--   where the index is: 'here', 'elsewhere', 'entered',
--   if it is here: what its name begins with.
-- Answers what is there if it is refused; 'enter' if the index must be written
-- first; else the subject and the ticket that the index elsewhere no longer needs.
local expected, first, subject, ticket, body, at = unpack(ARGV, 1, 6)
local key, till, needed, where, prefix = unpack(ARGV, 7, 11)

local there = head(KEYS[1])
if revision(there) ~= expected then
  return redis.call('GET', KEYS[1])
end

local old, stub = owner(there)
local stays = subject == old and not earlier(stub, needed)
if stays then
  ticket = stub
elseif subject ~= '' then
  if where == 'here' then
    enter(KEYS[2], key .. ticket, till)
  elseif where == 'elsewhere' then
    return { 'enter' }
  end
end
redis.call('SET', KEYS[1], first .. subject .. ticket .. body, 'PXAT', at)
if stays or old == '' then
  return {}
elseif where == 'here' then
  redis.call('ZREM', index_of(prefix, old), key .. stub)
  return {}
end
return { old, stub }
