"""``GET /forward-auth``: a live check for proxies (nginx ``auth_request``, Traefik, Caddy).

Every ``X-Auth-*`` header is always sent, empty if there is nothing to say, so that a proxy which
copies them overwrites whatever the end user sent under that name.
"""

from re import compile as pattern
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from quash.challenges import bearer_challenge
from quash.claims import Claims
from quash.errors import Unavailable
from quash.policy import Ask
from quash.reasons import INSUFFICIENT, Reason
from quash_service.store import Actor

from .callers import services_of
from .edge import translate
from .problems import Problem, answer

IDENTITY_HEADERS = tuple(
    f"x-auth-{name}"
    for name in ("subject", "issuer", "session", "token-id", "client", "scope", "acr", "auth-time", "expires-at")
)
"""What a proxy is told about who calls."""
_QUERY = frozenset({"check", "max_age", "acr", "scope", "audience"})
MAX_AGE_DIGITS = 10
WORDS_PATTERN = r"^[\x20\x21\x23-\x5b\x5d-\x7e]*$"
_WORDS = pattern(WORDS_PATTERN)


async def forward_auth(request: Request) -> Response:
    """Judge the bearer token of the request that the proxy holds (RFC 6750 §2.1)."""
    try:
        return await _judged(request)
    except (Problem, Unavailable) as error:
        problem = translate(request, error)
        raise Problem(problem.code, problem.detail, headers={**(problem.headers or {}), **_headers(None)}) from error


async def _judged(request: Request) -> Response:
    services = services_of(request)
    ask = _ask(request, services.settings.leeway_s)
    credentials = request.headers.getlist("authorization")
    if len(credentials) > 1:
        # The application behind the proxy may read another one than that which is judged here.
        return _refused(401, bearer_challenge(realm="quash", error="invalid_request"), "malformed")
    scheme, _, token = "".join(credentials).partition(" ")
    if scheme.lower() != "bearer" or not token:
        return _refused(401, bearer_challenge(realm="quash"), "missing")
    anyone = Actor("forward-auth", admin=False, issuers=None, request_id=request.scope["quash.request_id"])
    judged = await services.judge.judge(anyone, token.strip(" "), ask)
    services.metrics.verdicts.labels(judged.reason or "active").inc()
    if judged.claims is None or (judged.reason is not None and judged.reason not in INSUFFICIENT):
        challenge = bearer_challenge(realm="quash", error="invalid_token", description="the token is not active")
        return _refused(401, challenge, judged.reason or "malformed")
    if judged.reason is Reason.INSUFFICIENT_SCOPE:
        wanted = " ".join(sorted(ask.scopes))
        challenge = bearer_challenge(realm="quash", error="insufficient_scope", scope=wanted)
        return _refused(403, challenge, judged.reason)
    if judged.reason is Reason.REAUTHENTICATION_REQUIRED:
        challenge = bearer_challenge(
            realm="quash",
            error="insufficient_user_authentication",
            max_age_s=ask.max_age_s,
            acr_values=" ".join(ask.acr) or None,
        )
        return _refused(401, challenge, judged.reason)
    response = answer({"active": True})
    response.headers.update(_headers(judged.claims))
    return response


def _ask(request: Request, leeway_s: int) -> Ask:
    query = request.query_params
    names = [name for name, _ in query.multi_items()]
    if len(set(names)) != len(names) or not set(names) <= _QUERY:
        raise Problem("invalid_parameter", f"the query takes each of {', '.join(sorted(_QUERY))} at most once")
    # Whatever check is asked for, this service has the state at hand and looks.
    if query.get("check", "live") not in {"offline", "cached", "live"}:
        raise Problem("invalid_parameter", "check: must be offline, cached or live")
    # Both return in the challenge, which is a header.
    for name in ("acr", "scope"):
        if _WORDS.fullmatch(query.get(name, "")) is None:
            raise Problem("invalid_parameter", f"{name}: must be printable ASCII (RFC 6749 §3.3)")
    max_age = query.get("max_age")
    if max_age is not None and not (max_age.isascii() and max_age.isdigit() and len(max_age) <= MAX_AGE_DIGITS):
        raise Problem("invalid_parameter", "max_age: must be a number of seconds")
    return Ask(
        check="live",
        scopes=frozenset(query.get("scope", "").split()),
        audiences=frozenset(query.get("audience", "").split()),
        max_age_s=None if max_age is None else int(max_age),
        acr=tuple(query.get("acr", "").split()),
        leeway_s=leeway_s,
    )


def _refused(status: int, challenge: str, reason: str) -> Response:
    """Refuse; the reason is for the proxy's own log, the challenge for the end user's program."""
    response = answer({"active": False, "reason": str(reason)}, status)
    response.headers["www-authenticate"] = challenge
    response.headers.update(_headers(None))
    return response


def _headers(claims: Claims | None) -> dict[str, str]:
    if claims is None:
        return dict.fromkeys(IDENTITY_HEADERS, "")
    scope = " ".join(_quoted(name) for name in sorted(claims.scopes))
    said = (
        *map(_quoted, (claims.sub, claims.iss, claims.sid, claims.jti, claims.client_id)),
        *(scope, *map(_quoted, (claims.acr, claims.auth_time, claims.exp))),
    )
    return dict(zip(IDENTITY_HEADERS, said, strict=True))


def _quoted(value: object) -> str:
    """Percent-encode, spaces too: HTTP cuts them off at the ends, and ` admin` is not `admin`."""
    return quote(str(value), safe=":/@") if value else ""
