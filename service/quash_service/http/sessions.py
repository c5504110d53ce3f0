"""Sessions: opening, listing, ending, stepping up."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from quash.ids import is_session_id, new_session_id, user_tag
from quash.parse import is_name
from quash.reasons import Cause
from quash_service.networks import network_of
from quash_service.rotation import Absent, Ended, LiveSession, SteppedUp, Superseded
from quash_service.services import Services
from quash_service.store import Actor, Opened, OpenLimited, OpenRevoked, SessionView

from .callers import acting, services_of
from .claims import SCOPE_PATTERN, Name, Text, Word, checked_claims
from .problems import Problem, answer, answer_tokens
from .revoke import issuer_of, revoked
from .selectors import MAX_KEEP, BySession, ByUser, Seconds
from .token import MAX_AGENT, minted, refreshed

router = APIRouter(tags=["sessions"])


async def may_open(request: Request) -> Actor:
    """Return the caller of a route that opens and refreshes sessions."""
    return await acting(request, "sessions")


async def may_revoke(request: Request) -> Actor:
    """Return the caller of a route that lists and ends sessions; only ``keep`` may be repeated."""
    names = [name for name, _ in request.query_params.multi_items() if name != "keep"]
    if len(set(names)) != len(names):
        raise Problem("invalid_parameter", "a parameter is repeated")
    return await acting(request, "revoke")


Running = Annotated[Services, Depends(services_of)]
Opener = Annotated[Actor, Depends(may_open)]
Revoker = Annotated[Actor, Depends(may_revoke)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OpenBody(_Body):
    """A login.

    ``auth_time`` (s) is when the credential was checked: state it, so that a login that races a
    password change is refused.
    """

    sub: Name
    iss: Name | None = None
    client_id: Name | None = None
    scope: Annotated[Text, Field(pattern=SCOPE_PATTERN)] | None = None
    audience: Word | Annotated[list[Word], Field(max_length=16)] | None = None
    acr: Name | None = None
    amr: list[Word] | None = Field(None, max_length=16)
    auth_time: Seconds | None = None
    if_version: Seconds | None = None
    ip: str | None = None
    user_agent: Text | None = None
    device: Text | None = None
    claims: dict[str, Any] | None = None


class StepUpBody(_Body):
    """A fresh authentication of a session. ``auth_time`` (s) is now when it is not stated."""

    acr: Name | None = None
    amr: list[Word] | None = Field(None, max_length=16)
    auth_time: Seconds | None = None
    if_version: Seconds | None = None


class ListQuery(_Body):
    """Whose sessions. A mistyped name is refused: it must not widen what is asked."""

    sub: Name
    iss: Name | None = None


class DeleteQuery(_Body):
    """Whose sessions to end, and which of them to keep. A mistyped `keep` must not end them all."""

    sub: str | None = None
    iss: Name | None = None
    keep: list[str] = Field([], max_length=MAX_KEEP)
    cause: Cause = Cause.ADMIN


@router.post("/sessions", status_code=201, summary="Open a session")
async def open_session(services: Running, who: Opener, body: OpenBody) -> Response:
    """Open a session at login. The refresh token is returned once; nothing secret is stored."""
    iss = issuer_of(services, who, body.iss)
    now_s = services.clock.now_ms() // 1000
    _not_ahead(services, body.auth_time)
    fields = _fields(who, iss, body, now_s)
    sid = new_session_id(user_tag(iss, body.sub), services.random_bytes)
    if services.minter is not None and iss == services.settings.issuer:
        await services.minter.ready()
    secret = services.secrets.newest
    done = await services.store.open(
        who, sid, issuer=iss, secret=secret, fields=fields, auth_time=body.auth_time, if_version=body.if_version
    )
    match done:
        case Opened(version, idle_end, absolute_end):
            services.metrics.opened.inc()
            live = LiveSession(sid, 0, secret, version, idle_end, absolute_end, fields)
            return answer_tokens(await refreshed(services, live, None), 201)
        case Superseded():
            raise Problem("authentication_superseded")
        case OpenLimited():
            raise Problem("too_many_sessions", headers={"retry-after": "60"})
        case OpenRevoked():
            raise Problem("session_ended")


def _not_ahead(services: Services, auth_time: int | None) -> None:
    ahead = services.clock.latest_ms() // 1000 + services.settings.leeway_s + 1
    if auth_time is not None and auth_time > ahead:
        raise Problem("instant_out_of_range", "auth_time lies ahead: it is in seconds, and at most now")


def _fields(who: Actor, iss: str, body: OpenBody, now_s: int) -> dict[str, str]:
    """Return the session's metadata; what was not stated has no field."""
    ip = body.ip or ""
    try:
        net = network_of(ip)
    except ValueError:
        raise Problem("invalid_body", "ip: is not an address") from None
    audience = [body.audience] if isinstance(body.audience, str) else body.audience or []
    fields = {
        "iss": iss,
        "sub": body.sub,
        "caller": who.name,
        "auth_time": str(now_s if body.auth_time is None else body.auth_time),
        "client_id": body.client_id,
        "scope": body.scope,
        "audience": " ".join(audience),
        "acr": body.acr,
        "amr": " ".join(body.amr or []),
        "ip": ip,
        "net": net,
        "agent": (body.user_agent or "")[:MAX_AGENT],
        "device": body.device,
        "claims": checked_claims(body.claims) if body.claims else None,
    }
    return {name: value for name, value in fields.items() if value}


@router.get("/sessions", summary="List a user's live sessions")
async def list_sessions(services: Running, who: Revoker, asked: Annotated[ListQuery, Query()]) -> Response:
    """List a user's live sessions, the most recently used first."""
    views = await services.listing.sessions(who, issuer_of(services, who, asked.iss), asked.sub)
    return answer({"sessions": [document_of(view) for view in views]})


@router.delete("/sessions", summary="Revoke all of a user")
async def delete_sessions(services: Running, who: Revoker, asked: Annotated[DeleteQuery, Query()]) -> Response:
    """Sign the user out everywhere: every token and session but the kept ones' refresh tokens."""
    if not asked.sub:
        raise Problem("invalid_request", "sub is missing: whose sessions?")
    selector = ByUser(sub=_name(asked.sub), iss=asked.iss, keep=tuple(asked.keep))
    return answer(await revoked(services, who, selector, asked.cause))


def _name(sub: str) -> str:
    if not is_name(sub):
        raise Problem("invalid_parameter", "sub: must be 1-255 characters without control characters")
    return sub


@router.get("/sessions/{sid}", summary="Show one session")
async def get_session(services: Running, who: Revoker, sid: str) -> Response:
    """Show one live session."""
    view = await services.listing.session(who, sid) if is_session_id(sid) else None
    if view is None or view.ended is not None:
        raise Problem("session_unknown")
    return answer(document_of(view))


@router.delete("/sessions/{sid}", summary="End one session")
async def delete_session(services: Running, who: Revoker, sid: str, cause: Cause = Cause.LOGOUT) -> Response:
    """End one session; an unknown one is answered with ``found: false``."""
    # Not validated: what cannot be a session is as unknown as any other.
    return answer(await revoked(services, who, BySession.model_construct(session_id=sid), cause))


@router.post("/sessions/{sid}/step-up", summary="Record a fresh authentication")
async def step_up(services: Running, who: Opener, sid: str, body: StepUpBody) -> Response:
    """Record a fresh authentication and return an access token that carries it (RFC 9470 §5)."""
    _not_ahead(services, body.auth_time)
    stated = body.auth_time is not None
    done = (
        await services.store.step_up(
            who,
            sid,
            acr=body.acr or "",
            amr=" ".join(body.amr or []),
            auth_time=body.auth_time if body.auth_time is not None else services.clock.now_ms() // 1000,
            stated=stated,
            if_version=body.if_version,
        )
        if is_session_id(sid)
        else Absent()
    )
    match done:
        case SteppedUp(session):
            document = {"session_id": sid, "version": session.version, **await minted(services, session)}
            return answer_tokens(document)
        case Superseded():
            raise Problem("authentication_superseded")
        case Ended():
            raise Problem("session_ended")
        case Absent():
            raise Problem("session_unknown")


def document_of(view: SessionView) -> dict[str, object]:
    """Return a session as it is listed, here and on the command line."""
    fields, record = view.fields, view.record
    document: dict[str, object] = {
        "session_id": view.sid,
        "iss": fields["iss"],
        "sub": fields["sub"],
        "created_at": record.opened // 1000,
        "last_used_at": record.rotated // 1000,
        "idle_expires_at": record.idle_end // 1000,
        "expires_at": record.absolute_end // 1000,
        "version": record.version,
        "caller": fields["caller"],
    }
    renamed = {"user_agent": "agent"}
    for name in ("client_id", "scope", "acr", "ip", "user_agent", "device"):
        value = fields.get(renamed.get(name, name))
        if value:
            document[name] = value
    if fields.get("amr"):
        document["amr"] = fields["amr"].split(" ")
    if fields.get("audience"):
        document["audience"] = fields["audience"].split(" ")
    if fields.get("auth_time"):
        document["auth_time"] = int(fields["auth_time"])
    return document
