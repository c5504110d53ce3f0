"""What is accepted from an issuer, and what is asked of one check."""

from dataclasses import dataclass
from typing import Literal

ALGORITHMS = frozenset(
    {
        *("RS256", "RS384", "RS512"),
        *("PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512"),
        "EdDSA",
        *("HS256", "HS384", "HS512"),
    }
)
"""Every signature algorithm that can be allowed; ``none`` is not one."""

MAX_LEEWAY_S = 60
"""The greatest leeway a check may ask for; every lifetime in the state is extended by it."""

Check = Literal["offline", "cached", "live"]
"""How hard to look: signature and claims; plus the replica; plus the state itself."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """What is accepted from one issuer.

    ``audiences`` empty means that no audience is demanded. ``embeds`` lists which of Quash's own
    claims (``sid``, ``ver``) the issuer puts into its tokens: listed ones are required, others
    ignored. ``types`` are the accepted ``typ`` headers in lower case, ``""`` for an absent one.
    ``require`` lists claims that must have a value, such as the one that tells the issuer's access
    tokens from its id tokens (RFC 8725 §3.12). ``max_access_ttl_s`` bounds exp − iat; ``skew_s`` is
    how far its clock may differ.
    """

    issuer: str
    algorithms: frozenset[str]
    audiences: frozenset[str] = frozenset()
    max_access_ttl_s: int = 3600
    skew_s: int = 1
    has_jti: bool = True
    embeds: frozenset[str] = frozenset()
    require: frozenset[tuple[str, str]] = frozenset()
    types: frozenset[str] = frozenset({"", "jwt", "at+jwt"})


OWN_TYPES = frozenset({"at+jwt"})
"""The ``typ`` values of access tokens that Quash mints (RFC 9068 §2.1)."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What one check demands beyond the token being good.

    ``audiences`` narrows what the issuer's policy accepts; ``max_age_s`` is the greatest age of
    the login and ``acr`` the accepted authentication classes (RFC 9470 §4), either of which makes
    the check critical. ``leeway_s`` is at most 60.
    """

    check: Check = "live"
    scopes: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()
    max_age_s: int | None = None
    acr: tuple[str, ...] = ()
    leeway_s: int = 0

    @property
    def critical(self) -> bool:
        """Whether the check states ``live``, ``max_age`` or ``acr``."""
        return self.check == "live" or self.max_age_s is not None or bool(self.acr)
