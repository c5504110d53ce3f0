"""``POST /revoke``: RFC 7009 for forms, and everything else that can be taken back for JSON."""

from starlette.requests import Request
from starlette.responses import Response

from quash.claims import Claims
from quash.errors import TokenInvalid
from quash.ids import is_session_id, key_tag
from quash.reasons import Cause
from quash_service.services import Services
from quash_service.store import Actor
from quash_service.tokens.refresh import PREFIX

from .bodies import media_type, read_form, read_json
from .callers import acting, actor, caller_of, parse_refresh, services_of
from .problems import Problem, answer
from .selectors import ByIssuer, ByJti, ByKey, BySession, ByToken, ByUser, Selector, read_selector


async def revoke(request: Request) -> Response:
    """Take back what the form's ``token`` or the JSON body names."""
    if media_type(request) == "application/json":
        return await _revoke_json(request)
    form = await read_form(request)
    who = await acting(request, "revoke", form)
    if "token" not in form:
        raise Problem("invalid_request", "token is missing")
    await revoked(services_of(request), who, ByToken.model_construct(token=form["token"]), Cause.LOGOUT)
    # RFC 7009 §2.2: 200 whether or not there was anything to revoke.
    return answer({})


async def _revoke_json(request: Request) -> Response:
    caller = await caller_of(request)
    selector, cause = read_selector(await read_json(request))
    scope = "admin" if isinstance(selector, ByKey | ByIssuer) else "revoke"
    return answer(await revoked(services_of(request), actor(request, caller, scope), selector, cause))


async def revoked(services: Services, who: Actor, selector: Selector, cause: Cause) -> dict[str, object]:
    """Take back what a selector names, and return the answer's document."""
    document = await _dispatch(services, who, selector, cause)
    if document["found"] or document["revoked"] == "user":  # a bump counts also for a user not on record
        services.metrics.revocations.labels(document["revoked"], cause.value).inc()
    return {**document, "at": services.clock.now_ms() // 1000}


async def _dispatch(services: Services, who: Actor, selector: Selector, cause: Cause) -> dict[str, object]:
    match selector:
        case ByToken(token):
            return await revoke_token(services, who, token, cause)
        case BySession(sid):
            return await revoke_session(services, who, sid, cause)
        case ByJti():
            return await _revoke_jti(services, who, selector, cause)
        case ByUser():
            return await revoke_user(services, who, selector, cause)
        case ByKey():
            return await _revoke_key(services, who, selector, cause)
        case ByIssuer():
            return await _revoke_issuer(services, who, selector, cause)


def issuer_of(services: Services, who: Actor, iss: str | None) -> str:
    """Return the issuer meant: ours when none is stated.

    Raises ``unknown_issuer`` for one that is not configured, or that this caller may not act on.
    """
    if iss is None and not services.settings.mint:
        raise Problem("issuer_required")
    name = iss or services.settings.issuer
    if name not in services.store.issuers.index or not who.may_act_on(name):
        raise Problem("unknown_issuer")
    return name


async def revoke_token(services: Services, who: Actor, token: str, cause: Cause) -> dict[str, object]:
    """An access token ends itself only, a refresh token of any generation its session."""
    nothing: dict[str, object] = {"revoked": "token", "found": False}
    if token.startswith(PREFIX):
        parsed = parse_refresh(services, token)
        return nothing if parsed is None else await revoke_session(services, who, parsed.sid, cause)
    try:
        claims = await services.judge.verify(who, token)
    except TokenInvalid:
        return nothing
    if claims.jti is None:
        raise Problem("unsupported_token_type")
    if not _can_be_good(services, claims):
        return nothing
    if claims.exp > _latest_exp(services):
        # Refused now and good later: by then the state would have forgotten it, so nobody must rely on this.
        raise Problem("instant_out_of_range", "the token's iat lies ahead: revoke its session, user or key")
    await services.store.revoke_token(
        who, iss=claims.iss, sub=claims.sub, jti=claims.jti, exp=claims.exp, exact=True, cause=cause
    )
    return {
        "revoked": "token",
        "iss": claims.iss,
        "sub": claims.sub,
        "jti": claims.jti,
        "exp": claims.exp,
        "found": True,
    }


def _can_be_good(services: Services, claims: Claims) -> bool:
    """Expired tokens, and those of a lifetime that no check accepts, need no memory."""
    too_long = claims.exp - claims.iat > claims.policy.max_access_ttl_s
    ended = (claims.exp + 60) * 1000 <= services.clock.now_ms()
    return not (too_long or ended)


def _latest_exp(services: Services) -> int:
    settings = services.settings
    return services.clock.latest_ms() // 1000 + settings.longest_access_ttl_s + 60


async def revoke_session(services: Services, who: Actor, sid: str, cause: Cause) -> dict[str, object]:
    """End one session. What is no session of ours is as unknown as any other."""
    found = is_session_id(sid) and await services.store.revoke_session(who, sid, cause)
    return {"revoked": "session", "session_id": sid, "found": found}


async def _revoke_jti(services: Services, who: Actor, selector: ByJti, cause: Cause) -> dict[str, object]:
    iss = issuer_of(services, who, selector.iss)
    if selector.exp > _latest_exp(services):
        raise Problem("instant_out_of_range", "exp lies beyond every token's life: it is in seconds")
    await services.store.revoke_token(
        who, iss=iss, sub=selector.sub, jti=selector.jti, exp=selector.exp, exact=False, cause=cause
    )
    return {
        "revoked": "token",
        "iss": iss,
        "sub": selector.sub,
        "jti": selector.jti,
        "exp": selector.exp,
        "found": True,
    }


async def revoke_user(services: Services, who: Actor, selector: ByUser, cause: Cause) -> dict[str, object]:
    """Bump a user: all of its tokens and sessions but the kept ones."""
    iss = issuer_of(services, who, selector.iss)
    done = await services.store.revoke_user(
        who, iss=iss, sub=selector.sub, cause=cause, keep=selector.keep, access_only=selector.access_only
    )
    return {
        "revoked": "user",
        "iss": iss,
        "sub": selector.sub,
        "version": done.version,
        "kept": list(done.kept),
        "found": done.found,
    }


async def _revoke_key(services: Services, who: Actor, selector: ByKey, cause: Cause) -> dict[str, object]:
    """A key goes for ever; our active one is followed by the next in the same act."""
    iss = issuer_of(services, who, selector.iss)
    key = services.judge.find_key(iss, kid=selector.kid, thumbprint=selector.thumbprint)
    # A thumbprint says all there is to know: a key can be revoked before, or after, it is configured here.
    thumbprint = key.thumbprint if key is not None else selector.thumbprint
    if thumbprint is None:
        raise Problem("key_unknown")
    tag = key_tag(iss, thumbprint)
    kid = key.kid if key is not None else selector.kid
    # Promote first: from now on nobody signs with it, so no token is minted only to be refused.
    if services.keyring.revoke(tag):
        services.judge.reload_keys()
    await services.store.revoke_key(who, iss=iss, tag=tag, kid=kid or thumbprint, cause=cause)
    return {"revoked": "key", "iss": iss, "kid": kid, "thumbprint": thumbprint, "found": key is not None}


async def _revoke_issuer(services: Services, who: Actor, selector: ByIssuer, cause: Cause) -> dict[str, object]:
    iss = issuer_of(services, who, selector.issuer)
    now_ms = services.clock.now_ms()
    before_ms = now_ms if selector.before is None else selector.before * 1000
    if before_ms > now_ms + services.settings.leeway_s * 1000:
        raise Problem("instant_out_of_range", "before lies ahead: it is in seconds, and at most now")
    await services.store.revoke_issuer(who, iss=iss, before_ms=before_ms, cause=cause)
    return {"revoked": "issuer", "iss": iss, "before": before_ms // 1000, "found": True}
