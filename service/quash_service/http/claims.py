"""What a session may carry: its own claims, scopes, and strings without control characters."""

import json
from re import compile as pattern
from typing import Annotated, Any

from pydantic import StringConstraints

from quash.parse import strict_json
from quash_service.tokens.mint import REGISTERED

from .problems import Problem

MAX_CLAIMS = 4096
MAX_SCOPE = 1024
_NAMES = r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*"
SCOPE_PATTERN = rf"^({_NAMES})?$"
"""Names separated by single spaces (RFC 6749 §3.3), or nothing."""
_SCOPE = pattern(_NAMES)

Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
"""A string of 1-255 characters without control characters: a subject, an issuer, a class."""
Word = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x20\x7f-\x9f]*$")]
"""A name without spaces: an audience, a way to authenticate (RFC 8176)."""
Text = Annotated[str, StringConstraints(max_length=1024, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
"""A string for people: an agent, a device."""


def checked_claims(claims: Any) -> str:  # noqa: ANN401 - whatever JSON the caller sent
    """Return a session's own claims as JSON text.

    Raises ``reserved_claim``, ``claims_too_large`` and ``invalid_body`` for what is no object.
    """
    if not isinstance(claims, dict):
        raise Problem("invalid_body", "claims must be an object")
    taken = sorted(REGISTERED & set(claims))
    if taken:
        raise Problem("reserved_claim", f"claims must not use registered names: {', '.join(taken)}")
    try:
        text = json.dumps(claims, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        raise Problem("invalid_body", "claims hold what JSON cannot, or nest too deeply") from None
    if len(text) > MAX_CLAIMS:
        raise Problem("claims_too_large")
    if strict_json(text) is None:
        raise Problem("invalid_body", "claims nest too deeply, or hold numbers beyond 2^53: no check would accept them")
    return text.decode()


def checked_scope(scope: str) -> str:
    """Return a scope in RFC 6749 §3.3's form, single spaces between. Raises ``invalid_scope``.

    It goes into every access token, and one of over 16 KiB would be refused by every check.
    """
    if len(scope) > MAX_SCOPE:
        raise Problem("invalid_scope", f"scope takes at most {MAX_SCOPE} characters")
    if scope and _SCOPE.fullmatch(scope) is None:
        raise Problem("invalid_scope", "scope must be names separated by single spaces (RFC 6749, section 3.3)")
    return scope
