"""What a check raises.

::

    QuashError
    ├── Unauthenticated                     401: this token is not good
    │   ├── TokenInvalid                    it never was
    │   │   └── TokenExpired                it was, until its exp
    │   └── TokenRevoked                    it was taken back
    ├── Forbidden                           the token is good, but not enough
    │   ├── InsufficientScope               403
    │   └── ReauthenticationRequired        401 with an RFC 9470 challenge
    └── Unavailable                         503: nobody could look; never a kind of Unauthenticated

Each carries ``code`` (a published reason), ``evidence`` (what was seen: names, times, never the
token or a key) and ``challenge`` (the ``WWW-Authenticate`` value, empty for ``Unavailable``).
"""

from collections.abc import Mapping
from types import MappingProxyType


class QuashError(Exception):
    """Base of everything a check raises.

    Parameters: ``code`` is the stable reason, ``message`` says what happened and what to do,
    ``evidence`` what was seen, ``challenge`` the ``WWW-Authenticate`` header value.
    """

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        evidence: Mapping[str, object] | None = None,
        challenge: str = "",
    ) -> None:
        super().__init__(message or code)
        self.code = code
        self.evidence: Mapping[str, object] = MappingProxyType(dict(evidence or {}))
        self.challenge = challenge


class Unauthenticated(QuashError):
    """The token does not prove who its bearer is."""


class TokenInvalid(Unauthenticated):
    """The token was never good here: malformed, unsigned, foreign, for somebody else."""


class TokenExpired(TokenInvalid):
    """The token was good until its ``exp`` (RFC 7519 §4.1.4)."""


class TokenRevoked(Unauthenticated):
    """The token was taken back: itself, its session, its user, its key or its issuer."""


class Forbidden(QuashError):
    """The token is active, but not enough for what was asked."""


class InsufficientScope(Forbidden):
    """The token lacks a scope that was asked for (RFC 6750 §3.1)."""


class ReauthenticationRequired(Forbidden):
    """The login is too old or too weak for a critical check (RFC 9470 §3)."""


class Unavailable(QuashError):
    """The state or a key could not be read, so nobody knows: deny and try again."""

    def __init__(self, message: str = "", *, evidence: Mapping[str, object] | None = None) -> None:
        super().__init__(
            "unavailable",
            message or "the revocation state could not be read; try again shortly",
            evidence=evidence,
        )
