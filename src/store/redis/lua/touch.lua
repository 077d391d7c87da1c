-- KEYS: record.
-- ARGV: its revision, deadline in 8 bytes and as a number, ticket,
--   key, end of the ticket, until when an older ticket must count,
--   where the index is: 'here', 'elsewhere', 'entered',
--   if it is here: what its name begins with.
-- Answers 'enter' and the subject if the index must be written first; else the
-- subject and the ticket that the index elsewhere no longer needs.
local expected, later, at, ticket = unpack(ARGV, 1, 4)
local key, till, needed, where, prefix = unpack(ARGV, 5, 9)

local there = head(KEYS[1])
if revision(there) ~= expected or not earlier(deadline(there), later) then
  return {}
end

local subject, stub = owner(there)
local moves = subject ~= '' and earlier(stub, needed)
if moves then
  if where == 'here' then
    enter(index_of(prefix, subject), key .. ticket, till)
  elseif where == 'elsewhere' then
    return { 'enter', subject }
  end
  redis.call('SETRANGE', KEYS[1], TICKET, ticket)
end
redis.call('SETRANGE', KEYS[1], DEADLINE, later)
redis.call('PEXPIREAT', KEYS[1], at)
if not moves then
  return {}
elseif where == 'here' then
  redis.call('ZREM', index_of(prefix, subject), key .. stub)
  return {}
end
return { subject, stub }
