"""What the OpenAPI document says of requests: forms, JSON bodies and queries, as exact as the routes are.

What a route validates with a model is described by that model; here stands what is read by hand.
"""

from typing import Any

from pydantic import TypeAdapter

from quash.reasons import Cause
from quash_service.tokens.mint import REGISTERED

from .bodies import MAX_FIELDS
from .claims import SCOPE_PATTERN
from .forward_auth import MAX_AGE_DIGITS, WORDS_PATTERN
from .introspect import MAX_BATCH
from .selectors import Selector

Schema = dict[str, Any]

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
GIVEN: Schema = {"type": "string", "minLength": 1}
MAX_NUMBER = 2**53


def ref(name: str) -> Schema:
    """Return a reference to one of the document's own schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


SHARED: dict[str, Schema] = {
    "Value": {
        "description": "Any JSON that nests at most 8 deep and has no number beyond 2^53.",
        "anyOf": [
            {"type": ["string", "boolean", "null"]},
            {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER},
            {"type": "array", "items": ref("Value")},
            {"type": "object", "additionalProperties": ref("Value")},
        ],
    },
    "SessionClaims": {
        "description": "A session's own claims: at most 4 KiB of JSON, without registered names.",
        "type": "object",
        "propertyNames": {"not": {"enum": sorted(REGISTERED)}},
        "additionalProperties": ref("Value"),
    },
    "Address": {
        "description": "An IP address without a zone. An empty one counts as absent.",
        "anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}, {"const": ""}],
    },
}
"""Schemas that several routes name."""

# RFC 6749 §3.2: an empty parameter counts as absent, an unknown one is ignored, none may be repeated.
_SCOPE: Schema = {"type": "string", "pattern": SCOPE_PATTERN}
_CLAIMS_TEXT: Schema = {"type": "string", "contentMediaType": JSON, "contentSchema": ref("SessionClaims")}
_HINTED: Schema = {"token": GIVEN, "token_type_hint": TEXT}


def _form(properties: Schema, required: list[str], example: Schema) -> Schema:
    schema = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": TEXT,
        "maxProperties": MAX_FIELDS,
    }
    return {FORM: {"schema": schema, "example": example}}


def body(content: Schema) -> Schema:
    """Return a request body that has to be there."""
    return {"required": True, "content": content}


INTROSPECT = body(
    _form({**_HINTED, "audience": TEXT, "ip": TEXT, "user_agent": TEXT}, ["token"], {"token": "eyJhbGciOi.eyJp.c2ln"})
)
REFRESH = body(
    _form(
        {
            "grant_type": {"const": "refresh_token"},
            "refresh_token": GIVEN,
            "scope": _SCOPE,
            "session_scope": _SCOPE,
            "claims": _CLAIMS_TEXT,
            "ip": ref("Address"),
            "user_agent": TEXT,
        },
        ["grant_type", "refresh_token"],
        {"grant_type": "refresh_token", "refresh_token": "qrt_sid.0.mac"},
    )
)
BATCH = body(
    {
        JSON: {
            "schema": {
                "type": "object",
                "properties": {"tokens": {"type": "array", "items": TEXT, "maxItems": MAX_BATCH}},
                "required": ["tokens"],
            },
            "example": {"tokens": ["eyJhbGciOi.eyJp.c2ln", "qrt_sid.0.mac"]},
        }
    }
)


def _selectors() -> dict[str, Schema]:
    """Return what a JSON revocation may name, one schema for each kind, as their models have it."""
    kinds: dict[str, Schema] = TypeAdapter(Selector).json_schema(ref_template="{model}")["$defs"]
    for kind in kinds.values():
        kind["properties"]["cause"] = {"enum": [*Cause, None], "default": Cause.OTHER}
    kinds["ByKey"]["anyOf"] = [{"required": ["kid"]}, {"required": ["thumbprint"]}]
    return kinds


SELECTORS = _selectors()
REVOKE = body(
    {
        **_form(_HINTED, ["token"], {"token": "eyJhbGciOi.eyJp.c2ln"}),
        JSON: {
            "schema": {"oneOf": [ref(kind) for kind in SELECTORS]},
            "example": {"sub": "alice", "cause": "password_change"},
        },
    }
)


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


FORWARD_AUTH = [
    _query("check", {"enum": ["offline", "cached", "live"]}, "Accepted; it always looks live."),
    _query("max_age", {**NUMBER, "minimum": 0, "maximum": 10**MAX_AGE_DIGITS - 1}, "Seconds since the login."),
    _query("acr", {"type": "string", "pattern": WORDS_PATTERN}, "One of these, separated by spaces."),
    _query("scope", {"type": "string", "pattern": WORDS_PATTERN}, "All of these, separated by spaces."),
    _query("audience", TEXT, "One of these, separated by spaces."),
]
