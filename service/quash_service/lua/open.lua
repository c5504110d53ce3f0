-- Open a session of a user. A full house answers `full` with the session to evict; the host calls
-- again with that one's keys declared.
-- KEYS g f a u meta opens m sightings
-- ARGV sid issuer issuers idle absolute secret auth_time if_version max_sessions max_opens victim fields...
-- Replies: opened version idle_end absolute_end | superseded | limited | full sid | ended
local refused = refusal()
if refused then return refused end

local version, version_cause = read_version(redis.call('HGET', u, 'v'))
local existing = read_session(redis.call('HGET', u, sid))
if existing then -- a resend
  if existing.dead then return {'ended'} end
  return {'opened', int(existing.version), int(existing.idle_end), int(existing.absolute_end)}
end
if if_version ~= '' and tonumber(if_version) ~= version then return {'superseded'} end
if auth_time ~= '' and tonumber(auth_time) <= math.floor(version / 1000) then return {'superseded'} end

-- The first write is one that a full engine refuses: opening then fails before anything changed.
local count = redis.call('INCRBY', opens, victim == '' and '1' or '0')
if redis.call('PTTL', opens) < 0 then redis.call('PEXPIRE', opens, '60000') end
if count > tonumber(max_opens) then return {'limited'} end

local tag = issuer_tag(issuers, issuer)
local live, stones, prune = {}, {}, {}
local all = redis.call('HGETALL', u)
for at = 1, #all, 2 do
  local name, value = all[at], all[at + 1]
  if #name == 38 then
    local s = read_session(value)
    if (s.until_ms or s.idle_end + slack) <= now then
      prune[#prune + 1] = name
    elseif s.dead or session_end(s, version, version_cause, tag) then
      stones[#stones + 1] = {name = name, at = s.at or s.rotated}
    else
      s.name = name
      live[#live + 1] = s
    end
  elseif string.sub(name, 1, 1) == '!' and tonumber(value) * 1000 + slack <= now then
    prune[#prune + 1] = name
  end
end

if #live >= tonumber(max_sessions) then
  table.sort(live, function(x, y)
    if x.rotated ~= y.rotated then return x.rotated < y.rotated end
    return x.name < y.name
  end)
  if live[1].name ~= victim then return {'full', live[1].name} end
  revoke(victim, live[1], 'e', 'evicted')
  stones[#stones + 1] = {name = victim, at = now}
  table.remove(live, 1)
  if #live >= tonumber(max_sessions) then return {'full', live[1].name} end
end

-- What an end user can grow is bounded: the oldest ends are forgotten (an absent session is refused too).
table.sort(stones, function(x, y) return x.at < y.at end)
for at = 1, #live + #stones + 1 - (tonumber(max_sessions) + 64) do prune[#prune + 1] = stones[at].name end
for _, name in ipairs(prune) do redis.call('HDEL', u, name) end

local absolute_end = now + tonumber(absolute)
local idle_end = math.min(now + tonumber(idle), absolute_end)
redis.call('HSET', u, sid, write_session({generation = 0, version = version, opened = now, rotated = now,
  idle_end = idle_end, absolute_end = absolute_end, secret = secret, previous_secret = '-',
  issuer = issuer, flags = '0'}))
extend(u, absolute_end + slack)
redis.call('HSET', meta, 'created', int(now), 'last_used', int(now), unpack(fields))
redis.call('PEXPIREAT', meta, int(idle_end + slack))
return {'opened', int(version), int(idle_end), int(absolute_end)}
