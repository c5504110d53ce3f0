-- Join a state: refuse another layout or another host's secrets, else register what is new here.
-- Secrets come as id and fingerprint; ids that were dropped on purpose are forgotten, so that nobody
-- is refused for lacking them; issuers get the next free index. Only this script writes the floor,
-- and it is safe to repeat.
-- KEYS floor
-- ARGV schema tags secret_count dropped names...
-- Replies: joined index.. | schema stored | tags | secrets id | issuers name
local stored = redis.call('HGET', floor, 'schema')
if stored and tonumber(stored) > tonumber(schema) then return {'schema', stored} end
local table_of = redis.call('HGET', floor, 'tags')
if table_of and table_of ~= tags then return {'tags'} end

local secrets_end = 2 * tonumber(secret_count)
local own = {}
for at = 1, secrets_end, 2 do own[names[at]] = names[at + 1] end
for id in string.gmatch(dropped, '.') do redis.call('HDEL', floor, 'secret:' .. id) end
local all = redis.call('HGETALL', floor)
for at = 1, #all, 2 do
  local id = string.match(all[at], '^secret:(.)$')
  if id and own[id] ~= all[at + 1] then return {'secrets', id} end
end

redis.call('HSET', floor, 'schema', schema, 'tags', tags)
for id, fingerprint in pairs(own) do redis.call('HSET', floor, 'secret:' .. id, fingerprint) end
local reply = {'joined'}
for at = secrets_end + 1, #names do
  local index = redis.call('HGET', floor, 'issuer:' .. names[at])
  if not index then
    -- An index is one byte of every session's record, and never given away again.
    if tonumber(redis.call('HGET', floor, 'issuers') or '0') >= 255 then return {'issuers', names[at]} end
    index = string.format('%.0f', redis.call('HINCRBY', floor, 'issuers', 1))
    redis.call('HSET', floor, 'issuer:' .. names[at], index)
  end
  reply[#reply + 1] = index
end
return reply
