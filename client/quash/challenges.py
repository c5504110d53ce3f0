"""``WWW-Authenticate`` values for bearer tokens (RFC 6750 §3, RFC 9470 §3)."""

from re import compile as pattern

from .errors import TokenInvalid
from .reasons import Reason

_SAFE = pattern(r"[\x20-\x7e]*")
_ESCAPED = str.maketrans({'"': r"\"", "\\": r"\\"})


def bearer_challenge(
    *,
    realm: str | None = None,
    error: str | None = None,
    description: str | None = None,
    scope: str | None = None,
    max_age_s: int | None = None,
    acr_values: str | None = None,
) -> str:
    """Return the value of a ``WWW-Authenticate: Bearer`` header.

    ``scope`` and ``acr_values`` are space-separated, as on the wire; ``max_age_s`` is the greatest
    acceptable age of the login in seconds. What is ``None`` is left out.

    Raises ``ValueError`` for a negative age and for characters outside printable ASCII: a line
    break would let its author write headers of their own.
    """
    if max_age_s is not None and max_age_s < 0:
        message = "max_age_s must not be negative"
        raise ValueError(message)
    parameters = {
        "realm": realm,
        "error": error,
        "error_description": description,
        "scope": scope,
        "max_age": None if max_age_s is None else str(max_age_s),
        "acr_values": acr_values,
    }
    written = [f"{name}={_quoted(text)}" for name, text in parameters.items() if text is not None]
    return f"Bearer {', '.join(written)}" if written else "Bearer"


def _quoted(text: str) -> str:
    """Return ``text`` as a quoted-string (RFC 9110 §5.6.4)."""
    if not _SAFE.fullmatch(text):
        message = "a challenge holds printable ASCII only"
        raise ValueError(message)
    return f'"{text.translate(_ESCAPED)}"'


_INVALID_TOKEN = bearer_challenge(error="invalid_token")


def invalid_token(reason: Reason, message: str, **evidence: object) -> TokenInvalid:
    """Return the refusal of a token that was never good, with its challenge (RFC 6750 §3.1).

    ``message`` and ``evidence`` go to logs: names and times, never the token or a key.
    """
    return TokenInvalid(reason, message, evidence=evidence, challenge=_INVALID_TOKEN)
