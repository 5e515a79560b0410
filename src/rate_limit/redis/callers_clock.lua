local call = redis.call
local now = ARGV[#ARGV] + 0
-- The server's clock lets keys expire and knows nothing of the caller's time: a day more, so that none goes too early.
local expiry, expire, epoch, spare = 'PX', 'PEXPIRE', now, 86400000
