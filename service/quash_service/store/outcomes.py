"""What became of opening a session and of bumping a user, as values."""

from collections.abc import Sequence
from dataclasses import dataclass

from quash_service.rotation import Superseded


@dataclass(frozen=True, slots=True)
class Opened:
    """A session was opened. Ends are epoch ms."""

    version: int
    idle_end: int
    absolute_end: int


@dataclass(frozen=True, slots=True)
class OpenLimited:
    """The user opened too many sessions within a minute."""


@dataclass(frozen=True, slots=True)
class OpenRevoked:
    """The session was revoked before the answer to its opening arrived."""


@dataclass(frozen=True, slots=True)
class UserRevoked:
    """A user was bumped. ``kept`` lists the sessions that live on."""

    version: int
    found: bool
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HouseFull:
    """The user has as many sessions as may be: ``victim`` has to go first."""

    victim: str


def read_opening(reply: Sequence[bytes]) -> Opened | Superseded | OpenLimited | OpenRevoked | HouseFull:
    """Return what the script ``open`` answered."""
    match reply[0]:
        case b"opened":
            return Opened(*(int(one) for one in reply[1:4]))
        case b"superseded":
            return Superseded()
        case b"limited":
            return OpenLimited()
        case b"ended":
            return OpenRevoked()
        case _:
            return HouseFull(reply[1].decode())
