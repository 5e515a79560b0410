local now = ARGV[#ARGV] + 0
-- The server's clock lets keys expire and knows nothing of the caller's time: a day more, so that none goes too early.
local function keep(key, full_at)
    redis.call('SET', key, full_at, 'PX', math.ceil((full_at - now) / 1000) + 86400000)
end
