-- KEYS: the bucket of each charge, in order; one may come twice. ARGV: what is done, then price and capacity of each charge.
-- A bucket is the moment at which it is full again. Everything is in microseconds, and exact: all numbers are below 2^53.
local consume, refund, count = ARGV[1] == '0', ARGV[1] == '2', #KEYS
local stored, after, before, denied = {}, {}, {}, false
for i = 1, count do
    local key, price, capacity = KEYS[i], ARGV[2 * i] + 0, ARGV[2 * i + 1] + 0
    local full_at = after[key]
    if not full_at then
        -- GET and not MGET, which takes a key of another type for an absent one.
        full_at = redis.call('GET', key)
        full_at = full_at and tonumber(full_at) or full_at or now
        if type(full_at) ~= 'number' then
            return redis.error_reply('NOTABUCKET value is not a number')
        end
        stored[key], after[key] = full_at, full_at
    end
    local debt = full_at - now
    if debt < 0 then debt = 0 elseif debt > capacity then debt = capacity end
    before[i] = debt
    if price > 0 then
        if refund then
            if debt > 0 then after[key] = now + (debt > price and debt - price or 0) end
        elseif debt + price <= capacity then
            after[key] = now + debt + price
        else
            denied = true
        end
    end
end
if denied or not (consume or refund) then
    after = stored
    for i = 1, consume and count or 0 do
        local key, price, capacity = KEYS[i], ARGV[2 * i] + 0, ARGV[2 * i + 1] + 0
        -- Beyond what it can owe: without pulling it back, the stated wait would not be true.
        if before[i] + price > capacity and stored[key] > now + capacity then
            stored[key] = now + capacity
            keep(key, stored[key])
        end
    end
else
    for key, full_at in pairs(after) do
        if full_at ~= stored[key] then keep(key, full_at) end
    end
end
local answer = {}
for i = 1, count do
    local debt, capacity = after[KEYS[i]] - now, ARGV[2 * i + 1] + 0
    if debt < 0 then debt = 0 elseif debt > capacity then debt = capacity end
    answer[2 * i - 1], answer[2 * i] = before[i], debt
end
return answer
