"""Who calls: Basic, form parameters, or ``Authorization: Bearer qk_<name>.<secret>``.

A user's access token never authenticates a caller.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from urllib.parse import unquote_plus

from starlette.requests import Request

from quash.errors import Unavailable
from quash_service.callers import Caller
from quash_service.services import Services
from quash_service.store import Actor
from quash_service.tokens.refresh import RefreshToken, UnknownSecret

from .problems import Problem

_BASIC = 'Basic realm="quash", charset="UTF-8"'
_BEARER = 'Bearer realm="quash", error="invalid_token"'
_BEARER_PREFIX = "qk_"

_Credentials = tuple[str, str]


def services_of(request: Request) -> Services:
    """Return the running service's parts."""
    services: Services = request.app.state.services
    return services


def _from_basic(encoded: str) -> tuple[_Credentials, ...]:
    """RFC 6749 §2.3.1 form-encodes both parts inside Basic; most programs, curl among them, do not."""
    try:
        name, colon, secret = b64decode(encoded, validate=True).decode().partition(":")
    except (Base64Error, UnicodeDecodeError, ValueError):
        return ()
    if not colon:
        return ()
    plain, decoded = (name, secret), (unquote_plus(name), unquote_plus(secret))
    return (decoded,) if plain == decoded else (decoded, plain)


def _from_header(header: str) -> tuple[_Credentials, ...]:
    scheme, _, credentials = header.partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "basic":
        return _from_basic(credentials)
    if scheme.lower() == "bearer" and credentials.startswith(_BEARER_PREFIX):
        name, dot, secret = credentials.removeprefix(_BEARER_PREFIX).partition(".")
        return ((name, secret),) if dot else ()
    return ()


def _credentials(request: Request, form: Mapping[str, str] | None) -> tuple[_Credentials, ...]:
    """Return what the request may mean to authenticate by; none, one, or two readings of Basic."""
    headers = request.headers.getlist("authorization")
    in_form = form is not None and "client_secret" in form
    if len(headers) + in_form > 1:
        raise Problem("invalid_request", "authenticate in one way only (RFC 6749, section 2.3)")
    if headers:
        return _from_header(headers[0])
    if form is not None and in_form and "client_id" in form:
        return ((form["client_id"], form["client_secret"]),)
    return ()


def _refused(request: Request, form: Mapping[str, str] | None) -> Problem:
    """RFC 6749 §5.2 wants a challenge of the scheme that was tried; whoever tried none is told of Basic."""
    tried = request.headers.get("authorization", "").partition(" ")[0].lower()
    challenge = _BEARER if tried == "bearer" else _BASIC
    return Problem("unauthenticated" if form is None else "invalid_client", headers={"www-authenticate": challenge})


def parse_refresh(services: Services, token: str) -> RefreshToken | None:
    """Return a refresh token of good mac taken apart, ``None`` for junk.

    Raises ``Unavailable`` for one made with a secret that another host of this state has.
    """
    parsed = services.secrets.parse(token)
    if isinstance(parsed, UnknownSecret):
        if parsed.secret in services.floor.known_secrets:
            raise Unavailable(evidence={"state": "secret_lacking"})
        return None
    return parsed


async def caller_of(request: Request, form: Mapping[str, str] | None = None) -> Caller:
    """Return the authenticated caller. Raises ``invalid_client`` or ``unauthenticated`` (401).

    ``form`` is given on OAuth routes only, where the caller may name itself in it.
    """
    for name, secret in _credentials(request, form):
        caller = await services_of(request).callers.authenticate(name, secret)
        if caller is not None:
            return caller
    raise _refused(request, form)


async def acting(request: Request, scope: str, form: Mapping[str, str] | None = None) -> Actor:
    """Return who acts, if the caller has ``scope``. Raises 401, or ``insufficient_scope`` (403)."""
    return actor(request, await caller_of(request, form), scope)


def actor(request: Request, caller: Caller, scope: str) -> Actor:
    """Return who acts, if ``caller`` has ``scope``. Raises ``insufficient_scope`` (403)."""
    if not caller.has(scope):
        challenge = f'Bearer realm="quash", error="insufficient_scope", scope="{scope}"'
        raise Problem("insufficient_scope", headers={"www-authenticate": challenge})
    return Actor(caller.name, caller.has("admin"), caller.issuers, request.scope["quash.request_id"])
