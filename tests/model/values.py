"""What the model speaks of: the numbers the service runs with, tokens, and outcomes."""

from dataclasses import dataclass, field
from ipaddress import ip_address


@dataclass(frozen=True, slots=True)
class Numbers:
    """Small lifetimes (seconds) and counts, so that every boundary is a few steps away."""

    access_ttl_s: int = 60
    idle_ttl_s: int = 300
    absolute_ttl_s: int = 500
    grace_s: int = 10
    max_sessions: int = 3
    max_access_ttl_s: int = 120


NUMBERS = Numbers()


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token that the service answered with, or that somebody made with a leaked secret."""

    sid: str
    generation: int
    secret: str
    raw: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """An access token, as its own payload states it. Instants in seconds, as in the token."""

    sid: str
    sub: str
    jti: str
    version: int
    iat: int
    exp: int
    raw: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a presented refresh token came to: an outcome and a class of reuse or cause of the end."""

    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """Where a refresh token is presented from; both empty when nothing is stated."""

    agent: str
    ip: str

    @property
    def network(self) -> str:
        """The first three bytes of the address: a network, as the design compares them."""
        return str(ip_address(self.ip)).rpartition(".")[0] if self.ip else ""
