"""What the OpenAPI document says of answers: each route's documents, its errors by code, and their headers."""

from collections.abc import Iterable
from typing import Any

from quash.reasons import Reason

from .openapi_bodies import JSON, NUMBER, TEXT, Schema, ref
from .problems import OAUTH_NAMES, REPEATABLE, STATUS

PROBLEM = "application/problem+json"
_WORDS: Schema = {"type": "array", "items": TEXT}


def _object(properties: Schema, required: Iterable[str], *, closed: bool = True) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": not closed,
    }


def _texts(*names: str) -> Schema:
    return dict.fromkeys(names, TEXT)


def _numbers(*names: str) -> Schema:
    return dict.fromkeys(names, NUMBER)


_ACCESS: Schema = {"access_token": TEXT, "token_type": {"const": "Bearer"}, "expires_in": NUMBER}
_REFRESH = ("session_id", "version", "refresh_token", "refresh_expires_in")
_STEPPED: Schema = {"session_id": TEXT, "version": NUMBER, **_ACCESS}
_FOUND: Schema = {"found": {"type": "boolean"}, "at": NUMBER}


def _revoked(kind: str, properties: Schema, optional: tuple[str, ...] = ()) -> Schema:
    members = {"revoked": {"const": kind}, **properties, **_FOUND}
    return _object(members, [name for name in members if name not in optional])


_TOKEN_NAMES = ("iss", "sub", "jti")
_KEY: Schema = {"iss": TEXT, "kid": {"type": ["string", "null"]}, "thumbprint": TEXT}

DOCUMENTS: dict[str, Schema] = {
    "Inactive": _object({"active": {"const": False}}, ["active"]),
    "Active": _object(
        {
            "active": {"const": True},
            **_texts("iss", "sub", "scope", "client_id", "jti", "sid", "acr"),
            **_numbers("exp", "iat", "nbf", "ver", "auth_time"),
            "token_type": {"enum": ["Bearer", "refresh_token"]},
            "aud": {"oneOf": [TEXT, _WORDS]},
            "amr": _WORDS,
        },
        ["active", "iss", "sub", "exp", "iat", "token_type"],
        closed=False,
    ),
    "Tokens": _object(
        {**_texts("session_id", "refresh_token", "scope"), **_numbers("version", "refresh_expires_in"), **_ACCESS},
        _REFRESH,
    ),
    "SteppedUp": _object(_STEPPED, ["session_id", "version"]),
    "Verdict": _object(
        {
            "active": {"type": "boolean"},
            "verdict": {"enum": ["active", "revoked", "unavailable"]},
            "reason": {"enum": sorted({*Reason, "unavailable"})},
        },
        ["active", "verdict"],
    ),
    "RevokedToken": _revoked("token", {**_texts(*_TOKEN_NAMES), "exp": NUMBER}, (*_TOKEN_NAMES, "exp")),
    "RevokedSession": _revoked("session", {"session_id": TEXT}),
    "RevokedUser": _revoked("user", {**_texts("iss", "sub"), "version": NUMBER, "kept": _WORDS}),
    "RevokedKey": _revoked("key", _KEY),
    "RevokedIssuer": _revoked("issuer", {"iss": TEXT, "before": NUMBER}),
    "Session": _object(
        {
            **_texts("session_id", "iss", "sub", "caller", "client_id", "scope", "acr", "ip", "user_agent", "device"),
            **_numbers("created_at", "last_used_at", "idle_expires_at", "expires_at", "version", "auth_time"),
            "amr": _WORDS,
            "audience": _WORDS,
        },
        ["session_id", "iss", "sub", "created_at", "last_used_at", "idle_expires_at", "expires_at", "version"],
    ),
    "Problem": _object(
        {"type": {"const": "about:blank"}, "title": TEXT, "status": NUMBER, "code": TEXT, "detail": TEXT},
        ["type", "title", "status", "code", "detail"],
    ),
    "OAuthError": _object({"error": TEXT, "error_description": TEXT}, ["error", "error_description"]),
    "Refused": _object({"active": {"const": False}, "reason": {"enum": sorted({*Reason, "missing"})}}, ["active"]),
}
"""Every document that is answered."""

REVOKED = {"oneOf": [ref(name) for name in DOCUMENTS if name.startswith("Revoked")]}
VERDICTS = _object({"results": {"type": "array", "items": ref("Verdict")}}, ["results"])
SESSIONS = _object({"sessions": {"type": "array", "items": ref("Session")}}, ["sessions"])
INTROSPECTED = {"oneOf": [ref("Inactive"), ref("Active")]}

_HEADERS: dict[str, Schema] = {
    "X-Request-Id": {"schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}},
    "Cache-Control": {"schema": TEXT},
    "Retry-After": {"description": "Seconds.", "schema": {**NUMBER, "minimum": 1}},
    "WWW-Authenticate": {"schema": TEXT},
}
HEADERS = {name: {"required": True, **header} for name, header in _HEADERS.items()}
"""Headers that stand wherever they are named."""


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", "Cache-Control", *names)}


def _headers_at(status: int) -> dict[str, Any]:
    if status in REPEATABLE:
        return _headers("Retry-After")
    return _headers("WWW-Authenticate") if status in {401, 403} else _headers()


def answered(schema: Schema, description: str = "OK", media: str = JSON) -> Schema:
    """Return a successful answer, with the headers that all of them have."""
    return {"description": description, "headers": _headers(), "content": {media: {"schema": schema}}}


def problems(*codes: str) -> dict[str, Schema]:
    """Return the answers of a route whose errors are RFC 9457 documents, by status."""
    return _by_status(codes, _problem, PROBLEM)


def oauth_errors(*codes: str) -> dict[str, Schema]:
    """Return the answers of a route whose errors are RFC 6749 §5.2 ones, by status."""
    return _by_status(codes, _oauth_error, JSON)


def _by_status(codes: Iterable[str], schema_of: Any, media: str) -> dict[str, Schema]:  # noqa: ANN401 - a callable
    grouped: dict[int, list[str]] = {}
    for code in codes:
        grouped.setdefault(STATUS[code][0], []).append(code)
    return {
        str(status): {
            "description": "; ".join(f"`{code}`: {STATUS[code][1]}" for code in sorted(found)),
            "headers": _headers_at(status),
            "content": {media: {"schema": schema_of(status, sorted(found))}},
        }
        for status, found in sorted(grouped.items())
    }


def _problem(status: int, codes: list[str]) -> Schema:
    return {"allOf": [ref("Problem"), {"properties": {"status": {"const": status}, "code": {"enum": codes}}}]}


def _oauth_error(_: int, codes: list[str]) -> Schema:
    named = sorted({OAUTH_NAMES.get(code, code) for code in codes})
    return {"allOf": [ref("OAuthError"), {"properties": {"error": {"enum": named}}}]}


def either(one: dict[str, Schema], other: dict[str, Schema]) -> dict[str, Schema]:
    """Return the answers of a route that speaks in two ways."""
    merged = {**one, **other}
    for status in one.keys() & other.keys():
        merged[status] = {
            **one[status],
            "description": f"{one[status]['description']}; {other[status]['description']}",
            "content": {**one[status]["content"], **other[status]["content"]},
        }
    return merged
