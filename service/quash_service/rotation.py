"""What became of a presented refresh token: outcomes as values.

The script decides; this module names its answers. A caller sees ``invalid_grant`` for all but the
first three, while log, metric and audit see which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quash.keyspace import CAUSE_CODES, corrupt, read_number
from quash.parse import strict_json

EXPIRED = "expired"
STORE_REBORN = "store_reborn"

_OWNERS = frozenset({"iss", "sub", "caller"})
_FACTS = 6
_OWN_WORDS = frozenset({EXPIRED, STORE_REBORN})


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session as minting needs it. Ends are epoch ms; ``fields`` is its metadata as stored."""

    sid: str
    generation: int
    secret: str
    version: int
    idle_end: int
    absolute_end: int
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rotated:
    """The current token was presented: the next generation."""

    session: LiveSession


@dataclass(frozen=True, slots=True)
class Retried:
    """The previous token came again within the grace, from the same agent: the same successor."""

    session: LiveSession


@dataclass(frozen=True, slots=True)
class Healed:
    """A token newer than a state that had lost a write: adopted, and the next generation."""

    session: LiveSession


@dataclass(frozen=True, slots=True)
class Reused:
    """A token of the past: the session was killed. The class is for the audit."""

    classified: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over: a ``Cause``, or ``expired``, or ``store_reborn``."""

    cause: str


@dataclass(frozen=True, slots=True)
class Absent:
    """No such session that this caller may refresh."""


@dataclass(frozen=True, slots=True)
class Junk:
    """Signed with another secret than the one stored for its generation: refused, nothing killed."""


@dataclass(frozen=True, slots=True)
class ScopeExceeded:
    """More scope was asked for than the session has (RFC 6749 §6); nothing was rotated."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """The authentication is older than the user's last revocation, or ``if_version`` differs."""


@dataclass(frozen=True, slots=True)
class SteppedUp:
    """A fresh authentication was recorded."""

    session: LiveSession


Rotation = Rotated | Retried | Healed | Reused | Ended | Absent | Junk | ScopeExceeded
StepUp = SteppedUp | Superseded | Ended | Absent


def read_fields(stored: Mapping[bytes, bytes]) -> dict[str, str]:
    """Read a session's metadata. Raises ``Unavailable`` when it does not say whose session it is."""
    try:
        fields = {name.decode(): value.decode() for name, value in stored.items()}
    except UnicodeDecodeError:
        raise corrupt() from None
    if not _OWNERS.issubset(fields) or not isinstance(strict_json(stored.get(b"claims", b"{}")), dict):
        raise corrupt()
    if b"auth_time" in stored:
        read_number(stored[b"auth_time"])
    return fields


def read_live(sid: str, reply: Sequence[bytes]) -> LiveSession:
    """Read a live session from a script's reply: tag, five facts, then names and values. Raises ``Unavailable``."""
    if len(reply) < _FACTS or len(reply) % 2:
        raise corrupt()
    generation, secret, version, idle_end, absolute_end = reply[1:_FACTS]
    if len(secret) != 1 or not secret.isalnum():
        raise corrupt()
    return LiveSession(
        sid=sid,
        generation=read_number(generation),
        secret=secret.decode(),
        version=read_number(version),
        idle_end=read_number(idle_end),
        absolute_end=read_number(absolute_end),
        fields=read_fields(dict(zip(reply[_FACTS::2], reply[_FACTS + 1 :: 2], strict=True))),
    )


def cause_name(word: bytes) -> str:
    """Return the name of a cause letter; ``expired`` and ``store_reborn`` stand for themselves.

    Raises ``Unavailable`` for the letter of a damaged record.
    """
    text = word.decode("ascii", "replace")
    if text in _OWN_WORDS:
        return text
    if text not in CAUSE_CODES:
        raise corrupt()
    return CAUSE_CODES[text].value


def read_rotation(sid: str, reply: Sequence[bytes]) -> Rotation:
    """Read the rotate script's reply. Raises ``Unavailable``."""
    match list(reply):
        case [b"rotated", *_]:
            return Rotated(read_live(sid, reply))
        case [b"retried", *_]:
            return Retried(read_live(sid, reply))
        case [b"healed", *_]:
            return Healed(read_live(sid, reply))
        case [b"reused", classified]:
            return Reused(classified.decode("ascii", "replace"))
        case [b"ended", cause]:
            return Ended(cause_name(cause))
        case [b"junk"]:
            return Junk()
        case [b"scope"]:
            return ScopeExceeded()
        case _:
            return Absent()


def read_step_up(sid: str, reply: Sequence[bytes]) -> StepUp:
    """Read the step_up script's reply. Raises ``Unavailable``."""
    match list(reply):
        case [b"stepped", *_]:
            return SteppedUp(read_live(sid, reply))
        case [b"superseded"]:
            return Superseded()
        case [b"ended", cause]:
            return Ended(cause_name(cause))
        case _:
            return Absent()
