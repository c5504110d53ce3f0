"""The OpenAPI page: FastAPI's own routes, and the plain ones described here."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from .problems import STATUS

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_SECURITY: list[dict[str, list[str]]] = [{"callerBasic": []}, {"callerBearer": []}]


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required or []}


def _content(media: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {media: {"schema": schema}}}


_PROBLEM = _content(
    "application/problem+json",
    _object(
        {"type": _TEXT, "title": _TEXT, "status": _NUMBER, "code": {"enum": sorted(STATUS)}, "detail": _TEXT},
        ["type", "title", "status", "code", "detail"],
    ),
)
_OAUTH_ERROR = _content("application/json", _object({"error": _TEXT, "error_description": _TEXT}, ["error"]))


def _errors(statuses: tuple[int, ...], form: dict[str, Any]) -> dict[str, Any]:
    return {str(status): {"description": _titles(status), **form} for status in statuses}


def _titles(status: int) -> str:
    return "; ".join(sorted(f"`{code}`" for code, (at, _) in STATUS.items() if at == status))


_ACTIVE = _object(
    {
        "active": {"type": "boolean"},
        **dict.fromkeys(("iss", "sub", "scope", "client_id", "token_type", "jti", "sid", "acr"), _TEXT),
        **dict.fromkeys(("exp", "iat", "nbf", "ver", "auth_time"), _NUMBER),
        "aud": {"oneOf": [_TEXT, {"type": "array", "items": _TEXT}]},
        "amr": {"type": "array", "items": _TEXT},
    },
    ["active"],
)
_TOKENS = _object(
    {
        **dict.fromkeys(("session_id", "refresh_token", "access_token", "token_type", "scope"), _TEXT),
        **dict.fromkeys(("version", "refresh_expires_in", "expires_in"), _NUMBER),
    },
    ["session_id", "version", "refresh_token", "refresh_expires_in"],
)
_REVOKED = _object(
    {
        "revoked": {"enum": ["token", "session", "user", "key", "issuer"]},
        "found": {"type": "boolean"},
        "at": _NUMBER,
        "version": _NUMBER,
        "kept": {"type": "array", "items": _TEXT},
    }
)
_CALLER = {"client_id": _TEXT, "client_secret": _TEXT}
_OAUTH = "application/x-www-form-urlencoded"
_OAUTH_STATUSES = (400, 401, 403, 413, 503)
_STATUSES = (401, 403, 413, 415, 422, 503)


def _operation(
    summary: str, body: dict[str, Any] | None, ok: dict[str, Any], errors: dict[str, Any], *, public: bool = False
) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": summary, "responses": {"200": {"description": "OK", **ok}, **errors}}
    if body is not None:
        operation["requestBody"] = {"required": True, **body}
    if not public:
        operation["security"] = _SECURITY
    return operation


def _form(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return _content(_OAUTH, _object({**properties, **_CALLER}, required))


def _hot_paths() -> dict[str, Any]:
    oauth = _errors(_OAUTH_STATUSES, _OAUTH_ERROR)
    problems = _errors(_STATUSES, _PROBLEM)
    hint = {"token": _TEXT, "token_type_hint": _TEXT}
    introspect = _form({**hint, "audience": _TEXT, "ip": _TEXT, "user_agent": _TEXT}, ["token"])
    refresh = dict.fromkeys(("refresh_token", "scope", "session_scope", "claims", "ip", "user_agent"), _TEXT)
    refresh_form = _form({"grant_type": {"enum": ["refresh_token"]}, **refresh}, ["grant_type", "refresh_token"])
    revoke = _form(hint, ["token"])
    revoke["content"]["application/json"] = {"schema": _REVOKE_JSON}
    tokens = {"tokens": {"type": "array", "items": _TEXT, "maxItems": 1000}}
    batch_body = _content("application/json", _object(tokens, ["tokens"]))
    verdicts = {"results": {"type": "array", "items": _VERDICT}}
    return {
        "/introspect": _operation("Is this token still good? (RFC 7662)", introspect, _json(_ACTIVE), oauth),
        "/introspect/batch": _operation(
            "Up to 1,000 at once, with reasons", batch_body, _json(_object(verdicts)), problems
        ),
        "/token": _operation("Refresh (RFC 6749 §6)", refresh_form, _json(_TOKENS), oauth),
        "/revoke": _operation(
            "Take back a token (RFC 7009), or by JSON a session, user, key or issuer",
            revoke,
            _json(_REVOKED),
            {**problems, **oauth},
        ),
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return _content("application/json", schema)


_VERDICT = _object(
    {"active": {"type": "boolean"}, "verdict": {"enum": ["active", "revoked", "unavailable"]}, "reason": _TEXT},
    ["active", "verdict"],
)
_REVOKE_JSON = _object(
    {
        **dict.fromkeys(("token", "session_id", "jti", "sub", "iss", "kid", "thumbprint", "issuer", "cause"), _TEXT),
        **dict.fromkeys(("exp", "before"), _NUMBER),
        "keep": {"type": "array", "items": _TEXT},
        "access_only": {"type": "boolean"},
    }
)


def _open_paths() -> dict[str, Any]:
    anything = _json({"type": "object"})
    unavailable = _errors((503,), _PROBLEM)
    query = [
        {"name": name, "in": "query", "required": False, "schema": _TEXT}
        for name in ("check", "max_age", "acr", "scope", "audience")
    ]
    forward = _operation(
        "A live check for proxies", None, anything, _errors((401, 403, 422, 503), _PROBLEM), public=True
    )
    return {
        "/forward-auth": {**forward, "parameters": query},
        "/.well-known/oauth-authorization-server": _operation("RFC 8414 metadata", None, anything, {}, public=True),
        "/.well-known/jwks.json": _operation("Public keys (RFC 7517)", None, anything, {}, public=True),
        "/healthz": _operation("Liveness", None, anything, {}, public=True),
        "/readyz": _operation("Readiness", None, anything, unavailable, public=True),
        "/metrics": _operation("Prometheus metrics", None, _content("text/plain", _TEXT), {}, public=True),
    }


def schema_of(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of all routes."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        for operations in document.get("paths", {}).values():
            for operation in operations.values():
                operation["security"] = _SECURITY
                operation["responses"].pop("422", None)
                operation["responses"].update(_errors((400, 401, 403, 404, 409, 422, 429, 503), _PROBLEM))
        document["paths"] |= {path: {"post": operation} for path, operation in _hot_paths().items()}
        document["paths"] |= {path: {"get": operation} for path, operation in _open_paths().items()}
        document.setdefault("components", {})["securitySchemes"] = {
            "callerBasic": {"type": "http", "scheme": "basic"},
            "callerBearer": {"type": "http", "scheme": "bearer", "bearerFormat": "qk_<name>.<secret>"},
        }
        app.openapi_schema = document
    return app.openapi_schema
