-- What the scripts share; it stands before each of them.
--
-- A record is one string:
--
--    1 byte   1, or 2 if it has a subject
--    8 bytes  revision
--    8 bytes  expires_at
--   32 bytes  subject          \  only if it
--   16 bytes  ticket           /  has one
--    ..       body
--
-- and the index of a subject one sorted set of equal scores, so that its members
-- are in the order of their bytes:
--
--   32 bytes  key of the session
--   16 bytes  ticket: 8 bytes until when it counts, 8 bytes the revision it was made for
--
-- All numbers are big-endian, those that can be negative with their highest bit
-- flipped, so that they compare byte by byte. Nothing else is safe: a number of
-- Lua is a double, which rounds above 2^53, and its `<` on strings asks the locale.

local REVISION, DEADLINE, TICKET = 1, 9, 49 -- offsets

local function head(record)
  return redis.call('GETRANGE', record, 0, 64)
end

local function revision(head)
  return head:sub(2, 9)
end

local function deadline(head)
  return head:sub(10, 17)
end

-- The subject and the ticket, two empty strings if there is none.
local function owner(head)
  if head:byte(1) ~= 2 then
    return '', ''
  end
  return head:sub(18, 49), head:sub(50, 65)
end

-- Whether the first 8 bytes of `a` are a smaller number than those of `b`.
local function earlier(a, b)
  for i = 1, 8 do
    local x, y = a:byte(i) or 0, b:byte(i) or 0
    if x ~= y then
      return x < y
    end
  end
  return false
end

local function now()
  local time = redis.call('TIME')
  local millis = time[1] * 1000 + math.floor(time[2] / 1000)
  return struct.pack('>I4I4', 2147483648 + math.floor(millis / 4294967296), millis % 4294967296)
end

local function index_of(prefix, subject)
  return prefix .. subject:gsub('.', function(byte)
    return string.format('%02x', byte:byte())
  end)
end

-- Takes out those of the next four members after a new one that count no more. Keys
-- are hashes, so each member has its turn: with each that comes, as many go as are
-- among four of all, and the set keeps, on average, a third more than what counts.
local function prune(index, member)
  local now = now()
  local near = redis.call('ZRANGE', index, '(' .. member, '+', 'BYLEX', 'LIMIT', 0, 4)
  for _, old in ipairs(near) do
    if not earlier(now, old:sub(33, 40)) then
      redis.call('ZREM', index, old)
    end
  end
end

-- Puts a member into an index, which lives at least as long as it.
local function enter(index, member, at)
  local known = redis.call('EXISTS', index) == 1
  redis.call('ZADD', index, 0, member)
  if known then
    redis.call('PEXPIREAT', index, at, 'GT')
    prune(index, member)
  else
    redis.call('PEXPIREAT', index, at)
  end
end
