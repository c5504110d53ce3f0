-- End one session. A repeat changes nothing but writes the same tombstone again, so that an
-- acknowledgement which waits for durability waits for a real write.
-- KEYS g f a u m sightings
-- ARGV sid issuers cause cause_name
-- Replies: revoked found (1 or 0)
local refused = refusal()
if refused then return refused end

local s = find(sid, issuers)
if not s then return {'revoked', '0'} end
if s.dead then
  redis.call('HDEL', u, '-') -- revoking works when the engine is full: a script that has written may go on
  redis.call('HSET', u, sid, redis.call('HGET', u, sid))
  return {'revoked', '1'}
end
revoke(sid, s, cause, cause_name)
return {'revoked', '1'}
