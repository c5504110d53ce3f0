-- Publish how long the access tokens of each issuer may live. A lower limit holds at once. A higher
-- one holds for tokens issued from now on: what refuses an older, longer-lived one may be forgotten.
-- `l` holds 30 bytes each: tag, limit (s), since (ms), limit before (s).
-- KEYS g
-- ARGV limits
-- Replies: published
local refused = refusal()
if refused then return refused end

local held = redis.call('HGET', g, 'l') or ''

local function entry_of(tag)
  for at = 1, #held, 30 do
    if string.sub(held, at, at + 15) == tag then return at end
  end
  return nil
end

for at = 1, #limits, 20 do
  local tag, limit = string.sub(limits, at, at + 15), string.sub(limits, at + 16, at + 19)
  local place = entry_of(tag)
  if not place then
    held = held .. tag .. limit .. pack48(now) .. limit
  else
    local old, before = string.sub(held, place + 16, place + 19), string.sub(held, place + 26, place + 29)
    local rises = unpack_be(limit, 1, 4) > unpack_be(old, 1, 4)
    -- Two rises within one lifetime: the oldest tokens are still held to the limit before the first.
    local recent = now - unpack_be(held, place + 20, place + 25) <= unpack_be(old, 1, 4) * 1000 + slack
    local previous = rises and (recent and before or old) or limit
    if limit ~= old then
      held = string.sub(held, 1, place - 1) .. tag .. limit .. pack48(now) .. previous .. string.sub(held, place + 30)
    end
  end
end
redis.call('HSET', g, 'l', held)
return {'published'}
