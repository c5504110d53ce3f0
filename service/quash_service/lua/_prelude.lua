-- What every script shares. The loader puts this in front of a script, then binds the names of the
-- script's own KEYS and ARGV header lines, so that a header is the signature and cannot lie.
-- Common ARGV, always first: now_arg (ms), tolerance (ms), nonce (8 bytes), horizon (ms),
-- audit_ms, audit_cap, by (caller), rid (request id). A last name with `...` takes all the rest.

if redis.replicate_commands then redis.replicate_commands() end -- 6.2: replicate effects, not the call

local now = tonumber(now_arg)
local slack = 5000 + 60000 -- clock error between hosts, and the greatest leeway of a check

local function int(n) return string.format('%.0f', n) end

local function pack48(n)
  local out = ''
  for _ = 1, 6 do
    local low = n % 256
    out = string.char(low) .. out
    n = (n - low) / 256
  end
  return out
end

local function unpack_be(text, from, to)
  local n = 0
  for at = from, to do n = n * 256 + string.byte(text, at) end
  return n
end

-- The primary's own clock, in ms.
local clock = redis.call('TIME')
local primary_now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local g_born, g_revoked = 0, ''

-- Why nothing may be read or written now, as a reply; nil when all is well. Losing data must not
-- un-revoke quietly, so without `born` nothing is written; and for the rest of the second in which
-- the state was born nothing is, because `born` is rounded down to it.
local function refusal()
  if math.abs(now - primary_now) > tonumber(tolerance) then return {'clock'} end
  local facts = redis.call('HMGET', g, 'born', 'r')
  g_born, g_revoked = tonumber(facts[1] or nil), facts[2] or ''
  if not g_born or now < g_born + 1000 then return {'unborn'} end
  return nil
end

-- Revocations of keys and issuers: entries of 24 bytes, kind 16-byte-tag instant cause.
local function global_entry(kind_and_tag)
  for at = 1, #g_revoked, 24 do
    if string.sub(g_revoked, at, at + 16) == kind_and_tag then
      return unpack_be(g_revoked, at + 17, at + 22), string.sub(g_revoked, at + 23, at + 23), at
    end
  end
  return nil
end

local function read_version(text)
  if not text then return 0, 'o' end
  local digits, cause = string.match(text, '^(%d+)([acdeloprtu])$')
  if not digits or #digits > 16 then error('a version is damaged') end
  return tonumber(digits), cause
end

-- A session field: a record ('S', 39 bytes) or a tombstone ('T', 15 bytes). Of anything else nobody
-- can say what it was, so the script ends there, which is answered as unavailable.
local function read_session(text)
  if not text then return nil end
  local kind = string.sub(text, 1, 1) .. int(#text)
  if kind ~= 'S39' and kind ~= 'T15' then error('a session record is damaged') end
  if kind == 'T15' then
    return {dead = true, until_ms = unpack_be(text, 2, 7), at = unpack_be(text, 8, 13),
      cause = string.sub(text, 14, 14), issuer = string.sub(text, 15, 15)}
  end
  return {generation = unpack_be(text, 2, 5), version = unpack_be(text, 6, 11),
    opened = unpack_be(text, 12, 17), rotated = unpack_be(text, 18, 23),
    idle_end = unpack_be(text, 24, 29), absolute_end = unpack_be(text, 30, 35),
    secret = string.sub(text, 36, 36), previous_secret = string.sub(text, 37, 37),
    issuer = string.sub(text, 38, 38), flags = string.sub(text, 39, 39)}
end

local function write_session(s)
  return 'S' .. string.sub(pack48(s.generation), 3) .. pack48(s.version) .. pack48(s.opened)
    .. pack48(s.rotated) .. pack48(s.idle_end) .. pack48(s.absolute_end)
    .. s.secret .. s.previous_secret .. s.issuer .. s.flags
end

-- No token of the session can be good after this instant (ms).
local function tombstone_until(s)
  return math.max(s.idle_end, now + tonumber(horizon)) + slack
end

local function write_tombstone(s, cause)
  return 'T' .. pack48(tombstone_until(s)) .. pack48(now) .. cause .. s.issuer
end

-- `issuers` lists what the caller may act on: an index byte and a 16-byte tag for each.
local function issuer_tag(issuers, index)
  for at = 1, #issuers, 17 do
    if string.sub(issuers, at, at) == index then return string.sub(issuers, at + 1, at + 16) end
  end
  return nil
end

-- Why a session is over, as a word or a cause letter; nil while it lives.
local function session_end(s, version, version_cause, tag)
  if s.version < version then return version_cause end
  -- Nothing is opened in the rest of the second of a birth, so what is of that second is older.
  if s.opened < g_born + 1000 then return 'store_reborn' end
  local instant, cause = global_entry('i' .. tag)
  if instant and s.opened <= instant then return cause end
  if now >= s.idle_end or now >= s.absolute_end then return 'expired' end
  return nil
end

-- A key's life is only ever extended (PEXPIREAT GT is newer than the oldest engine we run on).
local function extend(key, until_ms)
  local left = redis.call('PTTL', key)
  if left < 0 or primary_now + left < until_ms then redis.call('PEXPIREAT', key, int(until_ms)) end
end

local entries_written = 0

-- Append one event to the feed and publish it. n is contiguous in the partition, and each entry
-- carries the nonce of the one before, so a follower sees a gap or a rewritten history.
local function feed(event)
  local tail = redis.call('HMGET', g, 'tail', 'nonce')
  local last_ms, last_n = string.match(tail[1] or '0-0', '^(%d+)-(%d+)$')
  local id = int(math.max(now, tonumber(last_ms))) .. '-' .. int(tonumber(last_n) + 1)
  local before = tail[2] or string.rep('\0', 8)
  local own = string.sub(nonce, 1, 7) .. string.char(entries_written)
  entries_written = entries_written + 1
  redis.call('XADD', f, 'MINID', '~', int(math.max(0, now - tonumber(horizon) - slack)) .. '-0', id,
    'p', before, 'n', own, 'e', event)
  redis.call('HSET', g, 'tail', id, 'nonce', own)
  redis.call('PUBLISH', 'quash:feed', string.match(f, '{(.-)}') .. ' ' .. id .. ' ' .. before .. own .. event)
end

-- Append one entry to the audit: pairs of names and values, empty values left out.
local function audit(kind, pairs_list)
  local entry = {'kind', kind, 'at', int(now)}
  local function put(name, value)
    if value and value ~= '' then
      entry[#entry + 1] = name
      entry[#entry + 1] = value
    end
  end
  put('by', by)
  put('rid', rid)
  for at = 1, #pairs_list, 2 do put(pairs_list[at], pairs_list[at + 1]) end
  redis.call('XADD', a, 'MAXLEN', '~', audit_cap, '*', unpack(entry))
  redis.call('XTRIM', a, 'MINID', '~', int(math.max(0, now - tonumber(audit_ms))) .. '-0')
end

-- End one session: the tombstone beats every later write. The first command is a delete so that
-- revoking works when the engine is full (a script that has written may go on writing).
local function kill(sid, s, cause)
  redis.call('DEL', m, sightings)
  redis.call('HSET', u, sid, write_tombstone(s, cause))
  extend(u, tombstone_until(s))
  feed('s' .. sid .. pack48(tombstone_until(s)) .. cause)
end

-- End one session on purpose, and audit whose it was.
local function revoke(sid, s, cause, cause_name, detail)
  local whose = redis.call('HMGET', m, 'iss', 'sub')
  kill(sid, s, cause)
  audit('session_revoked', {'sid', sid, 'iss', whose[1], 'sub', whose[2], 'cause', cause_name, 'detail', detail})
end

-- The session that `sid` names, as the caller may see it: the session, its end (nil while it
-- lives), the version. Another issuer's session is as unknown as an absent one.
local function find(sid, issuers)
  local fields = redis.call('HMGET', u, 'v', sid)
  local version, version_cause = read_version(fields[1])
  local s = read_session(fields[2])
  local tag = s and issuer_tag(issuers, s.issuer)
  if not tag then return nil, nil, version end
  if s.dead then return s, s.cause, version end
  return s, session_end(s, version, version_cause, tag), version
end

-- A session whose metadata is gone cannot prove whose it is: end it rather than skip the question.
local function metadata(sid, s)
  local flat = redis.call('HGETALL', m)
  if #flat == 0 then
    revoke(sid, s, 'o', 'other', 'metadata missing')
    return nil
  end
  local fields = {}
  for at = 1, #flat, 2 do fields[flat[at]] = flat[at + 1] end
  return fields
end

-- A live session's answer: what minting needs, then the metadata as names and values.
local function session_reply(outcome, s, fields)
  local reply = {outcome, int(s.generation), s.secret, int(s.version), int(s.idle_end), int(s.absolute_end)}
  for name, value in pairs(fields) do
    reply[#reply + 1] = name
    reply[#reply + 1] = value
  end
  return reply
end
