"""The OpenAPI document: FastAPI's own routes, and the plain ones, described here as exactly as they behave.

``tests/thirdparty`` shows with a program of others that the service and its document agree.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from . import openapi_bodies as bodies
from .forward_auth import IDENTITY_HEADERS
from .openapi_answers import (
    DOCUMENTS,
    HEADERS,
    INTROSPECTED,
    REVOKED,
    SESSIONS,
    VERDICTS,
    answered,
    either,
    oauth_errors,
    problems,
)
from .openapi_bodies import TEXT, Schema, ref

_CALLERS: list[dict[str, list[str]]] = [{"callerBasic": []}, {"callerBearer": []}]
_USERS: list[dict[str, list[str]]] = [{"userToken": []}]
_SCHEMES = {
    "callerBasic": {
        "type": "http",
        "scheme": "basic",
        "description": "Name and secret. On OAuth routes the form's client_id and client_secret do as well, "
        "but not both ways in one request.",
    },
    "callerBearer": {"type": "http", "scheme": "bearer", "bearerFormat": "qk_<name>.<secret>"},
    "userToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An end user's token."},
}
_CALLER_PROBLEMS = ("unauthenticated", "insufficient_scope", "unavailable")
_BODY_PROBLEMS = (*_CALLER_PROBLEMS, "request_timeout", "body_too_large", "invalid_body")
_FORM_ERRORS = (
    *("invalid_request", "invalid_client", "insufficient_scope"),
    *("request_timeout", "body_too_large", "unavailable"),
)
_ISSUER_PROBLEMS = ("unknown_issuer", "issuer_required")
_LOGIN_PROBLEMS = ("instant_out_of_range", "authentication_superseded", "session_ended", "state_full")
_CLAIMS_ERRORS = ("invalid_body", "reserved_claim", "claims_too_large")


def _operation(name: str, summary: str, responses: Schema, **members: Any) -> Schema:  # noqa: ANN401 - members of the document
    return {"operationId": name, "summary": summary, "responses": responses, "security": _CALLERS, **members}


def _link(name: str, **members: Any) -> Schema:  # noqa: ANN401 - members of the document
    return {"operationId": name, **members}


_THE_SESSION: Schema = {"parameters": {"sid": "$response.body#/session_id"}}
_LINKS: Schema = {
    "session": _link("get_session", **_THE_SESSION),
    "end": _link("delete_session", **_THE_SESSION),
    "stepUp": _link("step_up", **_THE_SESSION, requestBody={}),
    "refresh": _link(
        "token", requestBody={"grant_type": "refresh_token", "refresh_token": "$response.body#/refresh_token"}
    ),
    "introspect": _link("introspect", requestBody={"token": "$response.body#/access_token"}),
    "introspectRefresh": _link("introspect", requestBody={"token": "$response.body#/refresh_token"}),
    "revoke": _link("revoke", requestBody={"token": "$response.body#/refresh_token"}),
}
_AGAIN = {name: _LINKS[name] for name in ("session", "refresh", "introspect", "introspectRefresh", "revoke")}

_OAUTH: dict[str, Schema] = {
    "/introspect": _operation(
        "introspect",
        "Is this token still good? (RFC 7662)",
        {"200": answered(INTROSPECTED), **oauth_errors(*_FORM_ERRORS)},
        requestBody=bodies.INTROSPECT,
    ),
    "/introspect/batch": _operation(
        "introspect_batch",
        "Up to 1,000 at once, with reasons",
        {"200": answered(VERDICTS), **problems(*_BODY_PROBLEMS, "too_many_tokens", "unsupported_media_type")},
        requestBody=bodies.BATCH,
    ),
    "/token": _operation(
        "token",
        "Refresh (RFC 6749 §6)",
        {
            "200": {**answered(ref("Tokens")), "links": _AGAIN},
            **oauth_errors(
                *(*_FORM_ERRORS, "unsupported_grant_type", "invalid_grant", "invalid_scope", "state_full"),
                *_CLAIMS_ERRORS,
            ),
        },
        requestBody=bodies.REFRESH,
    ),
    "/revoke": _operation(
        "revoke",
        "Take back a token (RFC 7009), or by JSON a session, user, key or issuer",
        {
            "200": answered({"oneOf": [{"type": "object", "maxProperties": 0}, *REVOKED["oneOf"]]}),
            **either(
                oauth_errors(*_FORM_ERRORS, "unsupported_token_type", "state_full"),
                problems(
                    *(*_BODY_PROBLEMS, *_ISSUER_PROBLEMS, "key_unknown", "instant_out_of_range"),
                    *("unsupported_token_type", "state_full"),
                ),
            ),
        },
        requestBody=bodies.REVOKE,
    ),
}

_FOUND_NONE = ("session_unknown", "not_found")
_SESSIONS: dict[tuple[str, str], Schema] = {
    ("/sessions", "post"): {
        "operationId": "open_session",
        "responses": {
            "201": {**answered(ref("Tokens"), "Opened"), "links": _LINKS},
            **problems(
                *(*_BODY_PROBLEMS, *_ISSUER_PROBLEMS, *_LOGIN_PROBLEMS, *_CLAIMS_ERRORS[1:]),
                *("too_many_sessions", "invalid_request"),
            ),
        },
    },
    ("/sessions", "get"): {
        "operationId": "list_sessions",
        "responses": {
            "200": answered(SESSIONS),
            **problems(*_CALLER_PROBLEMS, *_ISSUER_PROBLEMS, "invalid_parameter"),
        },
    },
    ("/sessions", "delete"): {
        "operationId": "delete_sessions",
        "responses": {
            "200": answered(ref("RevokedUser")),
            **problems(*_CALLER_PROBLEMS, *_ISSUER_PROBLEMS, "invalid_parameter", "invalid_request", "state_full"),
        },
    },
    ("/sessions/{sid}", "get"): {
        "operationId": "get_session",
        "responses": {
            "200": answered(ref("Session")),
            **problems(*_CALLER_PROBLEMS, *_FOUND_NONE, "invalid_parameter"),
        },
    },
    ("/sessions/{sid}", "delete"): {
        "operationId": "delete_session",
        "responses": {
            "200": answered(ref("RevokedSession")),
            **problems(*_CALLER_PROBLEMS, "not_found", "invalid_parameter", "state_full"),
        },
    },
    ("/sessions/{sid}/step-up", "post"): {
        "operationId": "step_up",
        "responses": {
            "200": answered(ref("SteppedUp")),
            **problems(*_BODY_PROBLEMS, *_LOGIN_PROBLEMS, *_FOUND_NONE, "invalid_request"),
        },
    },
}


def _forward_auth() -> Schema:
    refused = answered(ref("Refused"), "Not active, or not enough")
    refused["headers"] |= {"WWW-Authenticate": {"$ref": "#/components/headers/WWW-Authenticate"}}
    responses = {"200": answered({"properties": {"active": {"const": True}}}), "401": refused, "403": refused}
    responses |= problems("invalid_parameter", "unavailable")
    identity = {name: {"required": True, "schema": TEXT} for name in IDENTITY_HEADERS}
    for response in responses.values():
        response["headers"] = {**response["headers"], **identity}
    return _operation(
        "forward_auth", "A live check for proxies", responses, parameters=bodies.FORWARD_AUTH, security=_USERS
    )


def _public(name: str, summary: str, schema: Schema, media: str = bodies.JSON, *errors: str) -> Schema:
    return _operation(name, summary, {"200": answered(schema, media=media), **problems(*errors)}, security=[])


_OBJECT: Schema = {"type": "object"}
_OPEN: dict[str, Schema] = {
    "/forward-auth": _forward_auth(),
    "/.well-known/oauth-authorization-server": _public(
        "metadata", "RFC 8414 metadata", {**_OBJECT, "required": ["issuer", "response_types_supported"]}
    ),
    "/.well-known/jwks.json": _public("jwks", "Public keys (RFC 7517)", {**_OBJECT, "required": ["keys"]}),
    "/healthz": _public("healthz", "Liveness", {"properties": {"status": {"const": "ok"}}}),
    "/readyz": _public(
        "readyz", "Readiness", {"properties": {"status": {"const": "ready"}}}, bodies.JSON, "unavailable"
    ),
    "/metrics": _public("metrics", "Prometheus metrics", TEXT, "text/plain"),
}


def _complete(document: Schema) -> None:
    """Add to what FastAPI knows of its own routes what only the routes themselves know."""
    paths, schemas = document["paths"], document["components"]["schemas"]
    for (path, method), members in _SESSIONS.items():
        paths[path][method] |= {**members, "security": _CALLERS}
    schemas["OpenBody"]["properties"] |= {
        "claims": {"anyOf": [ref("SessionClaims"), {"type": "null"}]},
        "ip": {"anyOf": [ref("Address"), {"type": "null"}]},
    }
    # Without `sub` the answer is 400, not 422: there is no way to say "everybody".
    sub = {one["name"]: one for one in paths["/sessions"]["get"]["parameters"]}["sub"]
    asked = paths["/sessions"]["delete"]["parameters"]
    asked[:] = [sub if one["name"] == "sub" else one for one in asked]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas |= {**bodies.SHARED, **bodies.SELECTORS, **DOCUMENTS}


def schema_of(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of all routes."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        _complete(document)
        document["paths"] |= {path: {"post": operation} for path, operation in _OAUTH.items()}
        document["paths"] |= {path: {"get": operation} for path, operation in _OPEN.items()}
        document["components"] |= {"headers": HEADERS, "securitySchemes": _SCHEMES}
        app.openapi_schema = document
    return app.openapi_schema
