"""Key names, records and the layout of the state: what readers and scripts agree on.

Everything here is frozen: other programs read the same keys. A change of any byte is a new schema.
What is stored in another form raises ``Unavailable`` (state ``corrupt``): nobody can say what it meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from .errors import Unavailable
from .ids import PARTITIONS, partition
from .reasons import Cause

SCHEMA = 1
SLACK_MS = 5_000
"""Clock error allowed between hosts, added to every lifetime."""

TAGS = (
    *("mm", "ry", "9i", "e8", "v1", "qt", "ap", "ax", "tb", "kv", "dn", "df", "wo", "o6", "gc", "xw"),
    *("8g", "d6", "lc", "02", "g3", "pk", "on", "pz", "99", "zt", "ul", "m5", "fm", "yy", "va", "iu"),
    *("si", "k0", "ce", "8y", "pd", "op", "x9", "x1", "jf", "ur", "zj", "b3", "ik", "q2", "yg", "fs"),
    *("bk", "z2", "rg", "ms", "af", "an", "qj", "i3", "c5", "dp", "kh", "0t", "xi", "xa", "he", "44"),
)
"""Hash tags of the 64 partitions: tag i hashes to within 20 of the middle of the i-th 256 slots."""

FEED_CHANNEL = "quash:feed"
FLOOR = "quash:{0}:floor"
CALLERS = "quash:{0}:callers"
JTI_SHARDS = 16
_MAX_DIGITS = 16
_REVOKED_BYTES, _RECORD_BYTES, _TOMBSTONE_BYTES = 24, 39, 15
_LIMIT_BYTES = 30

CAUSE_CODES: dict[str, Cause] = {
    "l": Cause.LOGOUT,
    "p": Cause.PASSWORD_CHANGE,
    "r": Cause.PERMISSIONS_CHANGED,
    "a": Cause.ADMIN,
    "d": Cause.ACCOUNT_DISABLED,
    "u": Cause.REUSE,
    "t": Cause.DETECTION,
    "e": Cause.EVICTED,
    "c": Cause.COMPROMISED,
    "o": Cause.OTHER,
}
CODE_OF_CAUSE: dict[str, str] = {cause.value: code for code, cause in CAUSE_CODES.items()}


def global_key(part: int) -> str:
    """Return the key of a partition's ``g``: born, revoked keys and issuers, the feed's tail."""
    return f"quash:{{{TAGS[part]}}}:g"


def feed_key(part: int) -> str:
    """Return the key of a partition's feed."""
    return f"quash:{{{TAGS[part]}}}:f"


def audit_key(part: int) -> str:
    """Return the key of a partition's audit."""
    return f"quash:{{{TAGS[part]}}}:a"


def user_key(tag: str) -> str:
    """Return the key of the user ``tag``: version, sessions, single revocations."""
    return f"quash:{{{TAGS[partition(tag)]}}}:u:{tag}"


def _session_key(kind: str, sid: str) -> str:
    return f"quash:{{{TAGS[partition(sid)]}}}:{kind}:{sid}"


def metadata_key(sid: str) -> str:
    """Return the key of a session's metadata."""
    return _session_key("m", sid)


def sightings_key(sid: str) -> str:
    """Return the key of a session's sightings."""
    return _session_key("s", sid)


def quiet_key(name: str) -> str:
    """Return the key that bounds what an end user can repeat: audits of a sid, openings of a tag."""
    return _session_key("q", name)


def bucket_key(tag: str, jti16: bytes, exp_s: int) -> str:
    """Return the key of the blacklist bucket of a token of the user ``tag`` that expires at exp_s."""
    shard = jti16[0] % JTI_SHARDS
    return f"quash:{{{TAGS[partition(tag)]}}}:j:{exp_s // 60}:{shard:x}"


def corrupt() -> Unavailable:
    """Return the ``Unavailable`` for a stored value of another form. It does not repeat the value."""
    return Unavailable("a record of the state is damaged", evidence={"state": "corrupt"})


def read_number(stored: bytes) -> int:
    """Read a number that is stored in digits. Raises ``Unavailable``."""
    if not 0 < len(stored) <= _MAX_DIGITS or not stored.isdigit():
        raise corrupt()
    return int(stored)


class Limit(NamedTuple):
    """The longest life of an issuer's access tokens: ``now_s`` for those issued after ``since`` (epoch ms)."""

    now_s: int
    since: int
    before_s: int


class Global(NamedTuple):
    """A partition's ``g`` as a reader needs it. Instants are epoch ms.

    ``since`` judges the ``iat`` of tokens without a session of ours; it equals ``born`` unless
    older tokens are trusted on purpose. ``keys`` and ``issuers`` map tags to instants, ``limits``
    maps the tags of issuers to what is published about them.
    """

    born: int
    since: int
    keys: dict[str, int]
    issuers: dict[str, int]
    limits: Mapping[str, Limit] = MappingProxyType({})


def unpack_limits(packed: bytes) -> dict[str, Limit]:
    """Return the limits of a ``g``'s ``l``: 30 bytes each, tag limit since limit-before. Raises ``Unavailable``."""
    starts = range(0, len(packed), _LIMIT_BYTES)
    if len(packed) % _LIMIT_BYTES or not all(packed[at : at + 16].isascii() for at in starts):
        raise corrupt()
    number = int.from_bytes
    return {
        packed[at : at + 16].decode(): Limit(
            number(packed[at + 16 : at + 20], "big"),
            number(packed[at + 20 : at + 26], "big"),
            number(packed[at + 26 : at + 30], "big"),
        )
        for at in starts
    }


def unpack_revoked(packed: bytes) -> tuple[dict[str, int], dict[str, int]]:
    """Return the revoked keys and issuers of a ``g``'s ``r``: 24 bytes each, kind tag instant cause."""
    found: dict[int, dict[str, int]] = {ord("k"): {}, ord("i"): {}}
    if len(packed) % _REVOKED_BYTES:
        raise corrupt()
    for at in range(0, len(packed), _REVOKED_BYTES):
        kind, tag = packed[at], packed[at + 1 : at + 17]
        if kind not in found or not tag.isascii():
            raise corrupt()
        found[kind][tag.decode()] = int.from_bytes(packed[at + 17 : at + 23], "big")
    return found[ord("k")], found[ord("i")]


@dataclass(frozen=True, slots=True)
class Record:
    """A session that was opened. Instants are epoch ms; secrets are ids, not secrets."""

    generation: int
    version: int
    opened: int
    rotated: int
    idle_end: int
    absolute_end: int
    secret: str
    previous_secret: str
    issuer: int
    flags: str


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A session that was ended: kept until no token of it can be good. Instants are epoch ms."""

    until: int
    at: int
    cause: Cause
    issuer: int


def unpack_session(packed: bytes) -> Record | Tombstone:
    """Read a session field: ``S`` and 38 bytes, or ``T`` and 14 bytes, integers big-endian."""
    number = int.from_bytes
    if len(packed) == _TOMBSTONE_BYTES and packed[0] == ord("T") and chr(packed[13]) in CAUSE_CODES:
        return Tombstone(
            until=number(packed[1:7], "big"),
            at=number(packed[7:13], "big"),
            cause=CAUSE_CODES[chr(packed[13])],
            issuer=packed[14],
        )
    if len(packed) != _RECORD_BYTES or packed[0] != ord("S"):
        raise corrupt()
    return Record(
        generation=number(packed[1:5], "big"),
        version=number(packed[5:11], "big"),
        opened=number(packed[11:17], "big"),
        rotated=number(packed[17:23], "big"),
        idle_end=number(packed[23:29], "big"),
        absolute_end=number(packed[29:35], "big"),
        secret=chr(packed[35]),
        previous_secret=chr(packed[36]),
        issuer=packed[37],
        flags=chr(packed[38]),
    )


def unpack_version(packed: bytes | None) -> tuple[int, Cause]:
    """Read a user's ``v``: the version and a letter for the last bump's cause; absent is 0."""
    if packed is None:
        return 0, Cause.OTHER
    cause = CAUSE_CODES.get(chr(packed[-1])) if packed else None
    if cause is None:
        raise corrupt()
    return read_number(packed[:-1]), cause


ALL_PARTITIONS = range(PARTITIONS)
