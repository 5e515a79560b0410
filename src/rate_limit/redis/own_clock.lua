local call = redis.call
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
-- A key goes when its bucket is full, which is when there is nothing left to know.
local expiry, expire, epoch, spare = 'PXAT', 'PEXPIREAT', 0, 0
