// oauth4webapi against a running service: what it is told comes as JSON on standard input, what it learned leaves as JSON.
import { text } from 'node:stream/consumers'
import * as oauth from 'oauth4webapi'

const told = JSON.parse(await text(process.stdin))
const issuer = new URL(told.issuer)
const client = { client_id: told.caller }
const authenticate = {
  client_secret_basic: oauth.ClientSecretBasic,
  client_secret_post: oauth.ClientSecretPost,
}[told.method](told.secret)
// Plain http is for loopback only, and has to be allowed one call at a time.
const http = { [oauth.allowInsecureRequests]: true }

const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...http })
const server = await oauth.processDiscoveryResponse(issuer, found)

async function introspect(token, parameters = {}) {
  const response = await oauth.introspectionRequest(server, client, authenticate, token, {
    additionalParameters: parameters,
    ...http,
  })
  return oauth.processIntrospectionResponse(server, client, response)
}

async function refresh(token, parameters = {}) {
  const response = await oauth.refreshTokenGrantRequest(server, client, authenticate, token, {
    additionalParameters: parameters,
    ...http,
  })
  return oauth.processRefreshTokenResponse(server, client, response)
}

async function revoke(token, hint) {
  const response = await oauth.revocationRequest(server, client, authenticate, token, {
    additionalParameters: { token_type_hint: hint },
    ...http,
  })
  await oauth.processRevocationResponse(response)
}

async function refusal(attempt) {
  try {
    await attempt()
  } catch (error) {
    return { name: error.name, error: error.error, status: error.status, schemes: error.cause?.map?.((one) => one.scheme) }
  }
  return null
}

// RFC 9068: the access token stands the test of a resource server that knows only the issuer's keys.
const request = new Request('http://localhost/orders', { headers: { authorization: `Bearer ${told.access_token}` } })
const claims = await oauth.validateJwtAccessToken(server, request, told.issuer, http)

const learned = {
  server,
  claims,
  access: await introspect(told.access_token, { token_type_hint: 'access_token' }),
  refresh: await introspect(told.refresh_token, { token_type_hint: 'refresh_token' }),
  junk: await introspect('junk'),
}
learned.refreshed = await refresh(told.refresh_token, { scope: 'read' })
learned.narrowed = await introspect(learned.refreshed.access_token)
await revoke(told.access_token, 'access_token')
learned.revokedAlone = [await introspect(told.access_token), await introspect(learned.refreshed.access_token)]
await revoke(learned.refreshed.refresh_token, 'refresh_token')
learned.revokedSession = [
  await introspect(learned.refreshed.access_token),
  await introspect(learned.refreshed.refresh_token),
]
learned.refreshedAfter = await refusal(() => refresh(learned.refreshed.refresh_token))
learned.wrongSecret = await refusal(async () => {
  const wrong = oauth.ClientSecretBasic('wrong')
  const response = await oauth.introspectionRequest(server, client, wrong, told.access_token, http)
  await oauth.processIntrospectionResponse(server, client, response)
})
console.log(JSON.stringify(learned))
