local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function keep(key, full_at)
    if full_at > now then
        redis.call('SET', key, full_at, 'PXAT', math.ceil(full_at / 1000))
    else
        redis.call('DEL', key)
    end
end
