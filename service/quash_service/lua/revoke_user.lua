-- Bump a user's version: every session below it is dead, unless re-stamped. `o` remembers the
-- operations of the last minute, at most 8, so that a resend bumps nothing twice.
-- KEYS g f a u
-- ARGV tag op cause cause_name iss sub issuers access_only keep...
-- Replies: revoked version found kept..
local refused = refusal()
if refused then return refused end

local known = redis.call('HDEL', u, '-') == 0 and redis.call('EXISTS', u) == 1
local version, version_cause = read_version(redis.call('HGET', u, 'v'))

local operations = {}
local remembered = redis.call('HGET', u, 'o') or ''
for at = 1, #remembered, 15 do -- 8 bytes of id, 6 of version, whether the user was known
  local entry = string.sub(remembered, at, at + 14)
  local result = unpack_be(entry, 9, 14)
  if string.sub(entry, 1, 8) == op then
    version, known, operations = result, string.sub(entry, 15) == '1', nil
    break
  end
  if now - result <= 60000 and #operations < 7 then operations[#operations + 1] = entry end
end

local names = keep
if access_only == '1' then
  names = {}
  for _, name in ipairs(redis.call('HKEYS', u)) do if #name == 38 then names[#names + 1] = name end end
end
local kept, stamped = {}, {}
for _, name in ipairs(names) do
  local s = read_session(redis.call('HGET', u, name))
  local session_tag = s and issuer_tag(issuers, s.issuer)
  if session_tag and not s.dead and not stamped[name]
    and not session_end(s, version, version_cause, session_tag) then
    stamped[name] = s
    kept[#kept + 1] = name
  end
end

if operations then
  version = math.max(version + 1, now)
  table.insert(operations, 1, op .. pack48(version) .. (known and '1' or '0'))
  redis.call('HSET', u, 'v', int(version) .. cause, 'o', table.concat(operations))
  for name, s in pairs(stamped) do
    s.version = version
    redis.call('HSET', u, name, write_session(s))
  end
  extend(u, version + tonumber(horizon) + slack)
  feed('u' .. tag .. pack48(version) .. cause .. (access_only == '1' and 'a' or '-') .. table.concat(kept))
  audit('user_revoked', {'tag', tag, 'iss', iss, 'sub', sub, 'cause', cause_name, 'version', int(version),
    'access_only', access_only, 'kept', table.concat(kept, ' ')})
else
  redis.call('HSET', u, 'v', redis.call('HGET', u, 'v'))
end
return {'revoked', int(version), known and '1' or '0', unpack(kept)}
