"""``POST /introspect`` (RFC 7662) and ``POST /introspect/batch``: is this token still good?

The hot path: plain Starlette routes and orjson, because a FastAPI route with form and response
models costs several times what the check itself does.
"""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from quash.claims import Claims
from quash.errors import Unavailable
from quash.policy import Ask
from quash.reasons import Reason
from quash_service.judge import LiveRefresh
from quash_service.services import Services
from quash_service.store import Actor
from quash_service.tokens.mint import REGISTERED
from quash_service.tokens.refresh import PREFIX

from .bodies import read_form, read_json
from .callers import actor, caller_of, parse_refresh, services_of
from .problems import Problem, answer

MAX_BATCH = 1_000
AT_ONCE = 50
"""How many tokens of all batches are verified before others have their turn.

1,000 signatures are up to half a second of computing, in which every answer of the engine would be late.
"""
_INACTIVE: dict[str, object] = {"active": False}
_NOT_CUSTOM = (REGISTERED - {"cnf", "act", "azp", "nonce", "at_hash", "events"}) | {
    *("active", "token_type", "username", "step_up_required")
}
"""What a token's own claims must not say in an introspection answer: that is ours to say."""


async def introspect(request: Request) -> Response:
    """RFC 7662 §2: whatever is not active is exactly ``{"active": false}``."""
    form = await read_form(request)
    caller = await caller_of(request, form)
    who = actor(request, caller, "introspect")
    token = form.get("token")
    if token is None:
        raise Problem("invalid_request", "token is missing")
    services = services_of(request)
    ask = Ask(
        audiences=frozenset(form["audience"].split(" ")) if "audience" in form else frozenset(),
        leeway_s=services.settings.leeway_s,
    )
    return answer(await _introspected(services, who, token, ask, custom=caller.has("introspect:claims")))


async def _introspected(services: Services, who: Actor, token: str, ask: Ask, *, custom: bool) -> dict[str, object]:
    if token.startswith(PREFIX):
        live = await _judged_refresh(services, who, token)
        services.metrics.verdicts.labels(live if isinstance(live, Reason) else "active").inc()
        return _INACTIVE if isinstance(live, Reason) else _refresh_document(live)
    judged = await services.judge.judge(who, token, ask)
    services.metrics.verdicts.labels(judged.reason or "active").inc()
    if judged.reason is not None or judged.claims is None:
        return _INACTIVE
    return _document(judged.claims, custom=custom)


async def _judged_refresh(services: Services, who: Actor, token: str) -> LiveRefresh | Reason:
    parsed = parse_refresh(services, token)
    return await services.judge.judge_refresh(who, parsed) if parsed is not None else Reason.MALFORMED


def _document(claims: Claims, *, custom: bool) -> dict[str, object]:
    """Return RFC 7662 §2.2's members, and the session's own claims for callers that may see them."""
    document: dict[str, object] = {
        "active": True,
        "iss": claims.iss,
        "sub": claims.sub,
        "exp": claims.exp,
        "iat": claims.iat,
        "token_type": "Bearer",
    }
    if claims.aud:
        document["aud"] = claims.aud[0] if len(claims.aud) == 1 else list(claims.aud)
    if claims.scopes:
        document["scope"] = " ".join(sorted(claims.scopes))
    optional = {
        "nbf": claims.nbf,
        "jti": claims.jti,
        "client_id": claims.client_id,
        "sid": claims.sid,
        "ver": claims.ver,
        "auth_time": claims.auth_time,
        "acr": claims.acr,
    }
    document.update({name: value for name, value in optional.items() if value is not None})
    if claims.amr:
        document["amr"] = list(claims.amr)
    if custom:
        document.update({name: value for name, value in claims.all.items() if name not in _NOT_CUSTOM})
    return document


def _refresh_document(live: LiveRefresh) -> dict[str, object]:
    fields = live.fields
    document: dict[str, object] = {
        "active": True,
        "iss": fields["iss"],
        "sub": fields["sub"],
        "exp": live.ends_at // 1000,
        "iat": live.opened_at // 1000,
        "token_type": "refresh_token",
        "sid": live.sid,
        "ver": live.version,
        "client_id": fields.get("client_id", fields["caller"]),
    }
    if fields.get("scope"):
        document["scope"] = fields["scope"]
    return document


async def batch(request: Request) -> Response:
    """Judge up to 1,000 tokens in one request, each with its verdict and reason, in order."""
    caller = await caller_of(request)
    who = actor(request, caller, "introspect")
    body = await read_json(request)
    tokens = body.get("tokens") if isinstance(body, dict) else None
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise Problem("invalid_body", "tokens must be a list of strings")
    if len(tokens) > MAX_BATCH:
        raise Problem("too_many_tokens")
    services = services_of(request)
    judging = []
    for at in range(0, len(tokens), AT_ONCE):
        async with services.batches:
            judging += [asyncio.create_task(_result(services, who, token)) for token in tokens[at : at + AT_ONCE]]
            await asyncio.sleep(0)
    results = await asyncio.gather(*judging)
    if results and all(one["verdict"] == "unavailable" for one in results):
        raise Unavailable(evidence={"state": "batch"})
    return answer({"results": results})


async def _result(services: Services, who: Actor, token: str) -> dict[str, Any]:
    try:
        if token.startswith(PREFIX):
            live = await _judged_refresh(services, who, token)
            reason = live if isinstance(live, Reason) else None
        else:
            judged = await services.judge.judge(who, token, Ask(leeway_s=services.settings.leeway_s))
            reason = judged.reason
    except Unavailable:
        services.metrics.verdicts.labels("unavailable").inc()
        return {"active": False, "verdict": "unavailable", "reason": "unavailable"}
    services.metrics.verdicts.labels(reason or "active").inc()
    if reason is not None:
        return {"active": False, "verdict": "revoked", "reason": reason.value}
    return {"active": True, "verdict": "active"}
