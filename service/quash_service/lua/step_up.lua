-- Record a fresh authentication of a session.
-- KEYS g f a u m sightings
-- ARGV sid caller admin issuers acr amr auth_time stated if_version
-- Replies: stepped generation secret version idle_end absolute_end fields.. | superseded | ended cause | absent
local refused = refusal()
if refused then return refused end

local s, over, version = find(sid, issuers)
if not s then return {'absent'} end
if over then return {'ended', over} end
local fields = metadata(sid, s)
if not fields then return {'ended', 'o'} end
if fields.caller ~= caller and admin ~= '1' then return {'absent'} end
if if_version ~= '' and tonumber(if_version) ~= version then return {'superseded'} end
if stated == '1' and tonumber(auth_time) <= math.floor(version / 1000) then return {'superseded'} end

for name, value in pairs({acr = acr, amr = amr, auth_time = auth_time}) do
  fields[name] = value
  redis.call('HSET', m, name, value)
end
audit('step_up', {'sid', sid, 'iss', fields.iss, 'sub', fields.sub, 'acr', acr, 'amr', amr})
return session_reply('stepped', s, fields)
