-- Revoke a key, or an issuer up to an instant: written to every partition, audited in one. Key and
-- issuer revocations never age out; an instant only grows.
-- KEYS g f a
-- ARGV kind tag instant cause cause_name iss detail audited
-- Replies: revoked found (1 or 0)
local refused = refusal()
if refused then return refused end

redis.call('HDEL', g, '-') -- revoking works when the engine is full: a script that has written may go on
local held, _, at = global_entry(kind .. tag)
local wanted = tonumber(instant)
if held and (kind == 'k' or held >= wanted) then
  redis.call('HSET', g, 'r', g_revoked)
  return {'revoked', '1'}
end
local entry = kind .. tag .. pack48(wanted) .. cause
if held then
  g_revoked = string.sub(g_revoked, 1, at - 1) .. entry .. string.sub(g_revoked, at + 24)
else
  g_revoked = g_revoked .. entry
end
redis.call('HSET', g, 'r', g_revoked)
feed(entry)
if audited == '1' then
  audit(kind == 'k' and 'key_revoked' or 'issuer_revoked',
    {'iss', iss, 'cause', cause_name, 'detail', detail, 'instant', int(wanted)})
end
return {'revoked', '0'}
