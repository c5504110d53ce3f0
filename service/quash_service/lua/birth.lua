-- Make a partition's `g`, or make it again after it was lost; a present one stays as it is.
-- KEYS g f
-- ARGV born since revoked
-- Replies: born | present | clock
if redis.call('HEXISTS', g, 'born') == 1 then return {'present'} end
-- A birth on its way since an earlier loss would bring back what was revoked between the two.
if math.abs(tonumber(born) - primary_now) > tonumber(tolerance) + 1000 then return {'clock'} end
local last = redis.call('XREVRANGE', f, '+', '-', 'COUNT', '1')[1]
redis.call('HSET', g, 'born', born, 'since', since, 'r', revoked)
if last then
  for at = 1, #last[2], 2 do
    if last[2][at] == 'n' then redis.call('HSET', g, 'tail', last[1], 'nonce', last[2][at + 1]) end
  end
end
return {'born'}
