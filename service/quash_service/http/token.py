"""``POST /token``: refreshing (RFC 6749 §6), idempotent under retries, and catching reuse."""

import orjson
from starlette.requests import Request
from starlette.responses import Response

from quash.errors import Unavailable
from quash_service.logs import get_logger
from quash_service.networks import network_of
from quash_service.rotation import (
    Absent,
    Ended,
    Healed,
    Junk,
    LiveSession,
    Retried,
    Reused,
    Rotated,
    Rotation,
    ScopeExceeded,
)
from quash_service.services import Services
from quash_service.store import Presented

from .bodies import read_form
from .callers import acting, parse_refresh, services_of
from .claims import checked_claims, checked_scope
from .problems import Problem, answer_tokens

MAX_AGENT = 256
_NAMES: dict[type, str] = {ScopeExceeded: "scope_exceeded"}
log = get_logger()


async def token(request: Request) -> Response:
    """Rotate a refresh token and mint an access token."""
    form = await read_form(request)
    who = await acting(request, "sessions", form)
    services = services_of(request)
    if form.get("grant_type") != "refresh_token":
        raise Problem("unsupported_grant_type" if "grant_type" in form else "invalid_request")
    if "refresh_token" not in form:
        raise Problem("invalid_request", "refresh_token is missing")
    scope = checked_scope(form.get("scope", ""))
    session_scope = checked_scope(form["session_scope"]) if "session_scope" in form else None
    claims = _claims(form["claims"]) if "claims" in form else None
    ip, net = _address(form.get("ip", ""))
    parsed = parse_refresh(services, form["refresh_token"])
    if parsed is None:
        services.metrics.rotations.labels("junk", "").inc()
        raise Problem("invalid_grant")
    if services.minter is not None:
        await services.minter.ready()
    presented = Presented(parsed.sid, parsed.generation, parsed.secret, form.get("user_agent", "")[:MAX_AGENT], net, ip)
    outcome = await services.store.rotate(
        who, presented, newest=services.secrets.newest, scope=scope, session_scope=session_scope, claims=claims
    )
    return answer_tokens(await refreshed(services, _live(services, outcome), scope or None))


def _claims(text: str) -> str:
    try:
        return checked_claims(orjson.loads(text))
    except orjson.JSONDecodeError:
        raise Problem("invalid_request", "claims is not JSON") from None


def _address(ip: str) -> tuple[str, str]:
    try:
        return ip, network_of(ip)
    except ValueError:
        raise Problem("invalid_request", "ip is not an address") from None


def _live(services: Services, outcome: Rotation) -> LiveSession:
    """Return the live session of an outcome. The caller sees ``invalid_grant`` for all others."""
    name, detail = _NAMES.get(type(outcome), type(outcome).__name__.lower()), ""
    match outcome:
        case Reused(classified):
            detail = classified
            log.warning("refresh_token_reused", classified=classified)
        case Ended(cause):
            detail = cause
        case Rotated() | Retried() | Healed() | Absent() | Junk() | ScopeExceeded():
            pass
    services.metrics.rotations.labels(name, detail).inc()
    if isinstance(outcome, ScopeExceeded):
        raise Problem("invalid_scope")
    if not isinstance(outcome, Rotated | Retried | Healed):
        raise Problem("invalid_grant")
    return outcome.session


async def refreshed(services: Services, session: LiveSession, scope: str | None) -> dict[str, object]:
    """Return RFC 6749 §5.1's answer for a live session, plus its id and version."""
    try:
        refresh_token = services.secrets.build(session.sid, session.generation, session.secret)
    except KeyError:
        if session.secret in services.secrets.dropped or session.secret not in services.floor.known_secrets:
            raise Problem("invalid_grant") from None  # it was dropped, and the session with it
        raise Unavailable(evidence={"state": "secret_lacking"}) from None
    now_s = services.clock.now_ms() // 1000
    document: dict[str, object] = {
        "session_id": session.sid,
        "version": session.version,
        "refresh_token": refresh_token,
        "refresh_expires_in": min(session.idle_end, session.absolute_end) // 1000 - now_s,
    }
    document |= await minted(services, session, scope)
    granted = session.fields.get("scope", "") if scope is None else scope
    if granted:
        document["scope"] = granted
    return document


async def minted(services: Services, session: LiveSession, scope: str | None = None) -> dict[str, object]:
    """Return the access token's members; empty with minting off, or for another issuer's user."""
    if services.minter is None or session.fields["iss"] != services.settings.issuer:
        return {}
    access = await services.minter.mint(session, scope)
    return {"access_token": access.token, "token_type": "Bearer", "expires_in": access.expires_in}
