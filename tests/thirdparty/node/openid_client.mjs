// openid-client against a running service: what it is told comes as JSON on standard input, what it learned leaves as JSON.
import { text } from 'node:stream/consumers'
import * as openid from 'openid-client'

const told = JSON.parse(await text(process.stdin))
const authenticate = {
  client_secret_basic: openid.ClientSecretBasic,
  client_secret_post: openid.ClientSecretPost,
}[told.method](told.secret)
// Plain http is for loopback only, and has to be allowed.
const config = await openid.discovery(new URL(told.issuer), told.caller, undefined, authenticate, {
  algorithm: 'oauth2',
  execute: [openid.allowInsecureRequests],
})

async function refusal(attempt) {
  try {
    await attempt()
  } catch (error) {
    return { name: error.name, error: error.error, status: error.status }
  }
  return null
}

const introspect = (token, parameters) => openid.tokenIntrospection(config, token, parameters)

const learned = {
  server: config.serverMetadata(),
  access: await introspect(told.access_token, { token_type_hint: 'access_token' }),
  refresh: await introspect(told.refresh_token, { token_type_hint: 'refresh_token' }),
  junk: await introspect('junk'),
}
learned.refreshed = await openid.refreshTokenGrant(config, told.refresh_token, { scope: 'read' })
learned.expiresIn = learned.refreshed.expiresIn()
learned.narrowed = await introspect(learned.refreshed.access_token)
await openid.tokenRevocation(config, told.access_token, { token_type_hint: 'access_token' })
learned.revokedAlone = [await introspect(told.access_token), await introspect(learned.refreshed.access_token)]
await openid.tokenRevocation(config, learned.refreshed.refresh_token)
learned.revokedSession = [
  await introspect(learned.refreshed.access_token),
  await introspect(learned.refreshed.refresh_token),
]
learned.refreshedAfter = await refusal(() => openid.refreshTokenGrant(config, learned.refreshed.refresh_token))
console.log(JSON.stringify(learned))
