-- KEYS: in a cluster, any key of the server that is meant.
-- ARGV: the server that the cursor is of, the cursor, what names look like, how many.
-- Answers the server, the next cursor, and by turns the name and the beginning of records.
local server, cursor, names, count = unpack(ARGV)

-- A cursor means nothing to another server, as after a failover or a restart: its walk
-- begins anew, with records that were seen already.
local here = redis.call('INFO', 'server'):match('run_id:(%x+)')
if server ~= here then
  cursor = '0'
end
local page = redis.call('SCAN', cursor, 'MATCH', names, 'COUNT', count, 'TYPE', 'string')
local rows = { here, page[1] }
for _, record in ipairs(page[2]) do
  rows[#rows + 1] = record
  rows[#rows + 1] = head(record)
end
return rows
