-- Put a token on the blacklist. With the token at hand its exact expiry names the bucket; from a
-- `jti` alone the expiry is an upper bound and the user's own field holds it (`loose`).
-- KEYS g f a u bucket
-- ARGV tag jti16 exp loose cause_name iss sub
-- Replies: revoked found (1 when it was there already, or 0)
local refused = refusal()
if refused then return refused end

redis.call('HDEL', u, '-') -- revoking works when the engine is full: a script that has written may go on
local bound = tonumber(exp)
local found
if loose == '1' then
  local held = tonumber(redis.call('HGET', u, '!' .. jti16) or nil)
  found = held ~= nil and held >= bound
  redis.call('HSET', u, '!' .. jti16, int(math.max(held or 0, bound)))
else
  found = redis.call('HEXISTS', bucket, jti16) == 1
  redis.call('HSET', bucket, jti16, '')
  extend(bucket, (math.floor(bound / 60) + 1) * 60000 + slack)
  local latest = tonumber(redis.call('HGET', u, 'j') or nil) or 0
  redis.call('HSET', u, 'j', int(math.max(latest, bound)))
end
extend(u, bound * 1000 + 60000 + slack)
if found then return {'revoked', '1'} end
feed('t' .. string.sub(pack48(bound), 2) .. jti16)
audit('token_revoked', {'tag', tag, 'iss', iss, 'sub', sub, 'cause', cause_name})
return {'revoked', '0'}
