-- Rotate a refresh token: the table of the design, in its order. A resend (the same `op`) of a
-- rotation, or of a reuse that ended the session, is answered as the first time. `session_scope` is
-- empty, or `=` and the session's new scope.
-- KEYS g f a u m sightings quiet budget
-- ARGV sid generation secret newest agent net ip caller admin issuers grace idle op scope session_scope claims
-- Replies: rotated | retried | healed generation secret version idle_end absolute_end fields.. | reused class | ended cause | absent | junk | scope
local refused = refusal()
if refused then return refused end

-- What an end user can repeat is audited once per kind, session and minute, and ten times per user and
-- minute, so that nobody's repetitions push another's evidence out. A full engine has no room for
-- that, and the answer is the same.
local function quietly(kind, pairs_list)
  local said = redis.call('GET', quiet) or ''
  if string.find(said, ' ' .. kind, 1, true) then return end
  if not redis.pcall('SET', quiet, said .. ' ' .. kind, 'PX', '60000').ok then return end
  local spent = redis.call('INCR', budget)
  if spent == 1 then redis.call('PEXPIRE', budget, '60000') end
  if spent <= 10 then audit(kind, pairs_list) end
end

local s, over, version = find(sid, issuers)
if not s then
  quietly('absent', {'sid', sid, 'ip', ip, 'agent', agent})
  return {'absent'}
end
if over then
  local class = over == 'u' and string.match(redis.call('GET', quiet) or '', '^' .. op .. ' (%S+)')
  if class then return {'reused', class} end
  quietly('ended', {'sid', sid, 'cause', over, 'ip', ip, 'agent', agent})
  return {'ended', over}
end
local fields = metadata(sid, s)
if not fields then return {'ended', 'o'} end
if fields.caller ~= caller and admin ~= '1' then
  quietly('absent', {'sid', sid, 'ip', ip, 'agent', agent, 'detail', 'another caller'})
  return {'absent'}
end

local presented = tonumber(generation)
if (presented == s.generation and secret ~= s.secret)
  or (presented == s.generation - 1 and secret ~= s.previous_secret) then
  return {'junk'}
end

local granted = session_scope ~= '' and string.sub(session_scope, 2) or fields.scope or ''
-- Asked only of a token that is good: what a stolen one asks for must not hide that it was stolen.
local function exceeds()
  for word in string.gmatch(scope, '%S+') do
    if not string.find(' ' .. granted .. ' ', ' ' .. word .. ' ', 1, true) then return true end
  end
  return false
end

local same_agent = (fields.agent or '') == agent
local same_net = net == '' or (fields.net or '') == '' or fields.net == net
-- Hosts may differ by the clock tolerance; beyond it a negative elapsed time holds nothing open.
local elapsed = now - s.rotated
local function within(limit) return elapsed >= -2000 and elapsed <= limit end

local function reused()
  local class = 'likely_theft'
  if presented == s.generation - 1 and same_agent and same_net then
    class = within(2 * tonumber(grace)) and 'concurrent_retry' or 'lost_response'
  elseif presented ~= s.generation - 1 and same_agent then
    class = 'stale_copy'
  end
  kill(sid, s, 'u')
  redis.call('SET', quiet, op .. ' ' .. class, 'PX', '60000')
  audit('reused', {'sid', sid, 'iss', fields.iss, 'sub', fields.sub, 'cause', 'reuse', 'class', class,
    'generation', generation, 'stored', int(s.generation), 'ip', ip, 'agent', agent,
    'last_ip', fields.ip, 'last_agent', fields.agent, 'last_used', fields.last_used})
  return {'reused', class}
end

local function advance()
  s.generation = presented + 1
  s.previous_secret, s.secret = secret, newest
  s.rotated = math.max(now, s.rotated)
  s.idle_end = math.min(now + tonumber(idle), s.absolute_end)
  redis.call('HSET', u, sid, write_session(s))
  local changed = {last_used = int(now), agent = agent, ip = ip, net = net, op = op}
  if session_scope ~= '' then changed.scope = granted end
  if claims ~= '' then changed.claims = claims end
  for name, value in pairs(changed) do
    fields[name] = value
    redis.call('HSET', m, name, value)
  end
  redis.call('PEXPIREAT', m, int(s.idle_end + slack))
end

if presented == s.generation then
  if exceeds() then return {'scope'} end
  advance()
  return session_reply('rotated', s, fields)
end
if presented == s.generation - 1 then
  if fields.op == op then return session_reply('rotated', s, fields) end
  if not (same_agent and within(tonumber(grace))) then return reused() end
  if exceeds() then return {'scope'} end
  quietly('retried', {'sid', sid, 'ip', ip, 'agent', agent})
  return session_reply('retried', s, fields)
end
if presented > s.generation and presented <= s.generation + 8 and same_agent then
  local rewritten = tonumber(redis.call('HGET', g, 'rewritten') or nil)
  if rewritten and now - rewritten <= tonumber(idle) then
    if exceeds() then return {'scope'} end
    local stored = int(s.generation)
    advance()
    feed('h' .. sid .. string.sub(pack48(s.generation), 3))
    audit('healed', {'sid', sid, 'iss', fields.iss, 'sub', fields.sub, 'generation', generation,
      'stored', stored, 'ip', ip, 'agent', agent})
    return session_reply('healed', s, fields)
  end
end
return reused()
