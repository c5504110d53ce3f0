"""The floor of the state: joining it, its birth, and making again what was lost of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from redis.exceptions import RedisError

from quash.keyspace import (
    ALL_PARTITIONS,
    CODE_OF_CAUSE,
    FLOOR,
    SCHEMA,
    TAGS,
    feed_key,
    global_key,
    read_number,
    unpack_revoked,
)
from quash.reasons import Cause
from quash.state_redis import unreadable
from quash_service.clock import Clock

from .runner import IssuerTable, Runner

MAX_ROUND_TRIP_MS = 200
TAGS_FINGERPRINT = sha256(" ".join(TAGS).encode()).hexdigest()[:16]


class FloorRefused(Exception):
    """This host must not serve this state. ``code`` is stable, the message says how to mend it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


_LACKED = (
    "this host lacks the refresh secret {detail!r} of this state: share one QUASH_KEYS_DIR between all its hosts; "
    "if it is lost for ever, `quash key drop-refresh-secret {detail} --yes` gives it and its sessions up"
)
_REFUSALS: dict[bytes, tuple[str, str]] = {
    b"schema": (
        "schema_newer",
        "this state was written by a newer Quash (schema {detail}, this one knows {schema}): upgrade this service",
    ),
    b"tags": (
        "tag_table_differs",
        "this state was laid out with another partition table: it is not one of this Quash's, use another database",
    ),
    b"issuers": (
        "too_many_issuers",
        "this state has seen 255 issuers, which is all that it can tell apart; {detail!r} needs another state",
    ),
    b"secrets": (
        "unknown_refresh_secret",
        _LACKED,
    ),
}


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a heartbeat saw.

    How many partitions were made (again), whether the instant given for trusting older tokens is
    what judges them everywhere, the clock difference in ms, and the tags of the keys that are
    revoked in every partition.
    """

    born: int
    trusted: bool
    offset_ms: int
    revoked_keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Trust:
    """Tokens issued since ``since_ms`` are accepted when a state is born, if not older than ``longest_ms``."""

    since_ms: int
    longest_ms: int


class Floor:
    """Joins the state and keeps it whole. Raises ``Unavailable`` when the engine does not answer.

    Parameters: ``secrets`` returns id → fingerprint of the refresh secrets of this host, ``dropped``
    the ids that no host needs any more, ``revoked_keys`` the tags of our own revoked keys and since
    when (epoch s), which a state that has forgotten everything is told again, ``configured`` the
    issuers that it accepts, ``trust`` the instant that was given on purpose for tokens older than
    the birth. It counts only at a birth, and never for sessions.
    """

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        table: IssuerTable,
        *,
        configured: tuple[str, ...],
        secrets: Callable[[], Mapping[str, str]],
        trust: Trust | None,
        dropped: Callable[[], Sequence[str]] = tuple,
        revoked_keys: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._runner = runner
        self._clock = clock
        self._table = table
        self._configured = configured
        self._secrets = secrets
        self._dropped = dropped
        self._revoked_keys = revoked_keys
        self._trust = trust
        self.known_secrets: frozenset[str] = frozenset()

    async def join(self) -> None:
        """Register this host's secrets and issuers. Raises ``FloorRefused``."""
        secrets = self._secrets()
        reply = await self._runner.run(
            "join_floor",
            0,
            {"floor": FLOOR},
            {
                "schema": SCHEMA,
                "tags": TAGS_FINGERPRINT,
                "secret_count": len(secrets),
                "dropped": "".join(self._dropped()),
                "names": [*(item for pair in secrets.items() for item in pair), *self._configured],
            },
        )
        if reply[0] != b"joined":
            code, message = _REFUSALS[reply[0]]
            detail = reply[1].decode() if len(reply) > 1 else ""
            raise FloorRefused(code, message.format(detail=detail, schema=SCHEMA))
        self._table.index = dict(zip(self._configured, (int(one) for one in reply[1:]), strict=True))

    async def pulse(self) -> Pulse:
        """Measure the primary's clock and make every partition that has no ``g``.

        A partition made again is born now, and gets the revoked keys and issuers that the others
        still know: what it forgot itself is refused, not resurrected.
        """
        sent_at = self._clock.host_ms()
        try:
            pipe = self._runner.client.pipeline(transaction=False)
            pipe.time()
            pipe.hkeys(FLOOR)
            for part in ALL_PARTITIONS:
                pipe.hmget(global_key(part), ("born", "since", "r"))
            (seconds, micros), floor, *partitions = await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            raise unreadable(error) from error
        self._follow(seconds * 1000 + micros // 1000, sent_at)
        await self._stand_on(floor)
        lost = [part for part, (born, *_) in enumerate(partitions) if born is None]
        revoked = [packed or b"" for *_, packed in partitions]
        known = merge_revoked([*revoked, self._own_revoked()])
        born = self._runner.now_ms() // 1000 * 1000
        # A partition lost alone has forgotten revocations: what adopting a new state trusts does not hold for it.
        since = self._since(born) if len(lost) == len(partitions) else born
        for part in lost:
            await self._runner.run(
                "birth",
                part,
                {"g": global_key(part), "f": feed_key(part)},
                {"born": born, "since": since, "revoked": known},
            )
        in_force = {since if known_since is None else read_number(known_since) for _, known_since, _ in partitions}
        trusted = self._trust is not None and in_force == {self._trust.since_ms}
        return Pulse(len(lost), trusted, self._clock.offset_ms, frozenset.intersection(*map(_key_tags, revoked)))

    async def _stand_on(self, floor: Sequence[bytes]) -> None:
        """Join again where the floor is gone, or where secrets came or went without its hearing of it.

        Not where this host lacks one: that would be refused, and the rest of the heartbeat with it.
        """
        known = {name[-1:].decode() for name in floor if name.startswith(b"secret:")}
        own, dropped = set(self._secrets()), set(self._dropped())
        self.known_secrets = frozenset((known | own) - dropped)
        if not floor or (self.known_secrets == own and known != own):
            await self.join()

    def _own_revoked(self) -> bytes:
        return b"".join(
            b"k" + tag.encode() + (since * 1000).to_bytes(6, "big") + CODE_OF_CAUSE[Cause.COMPROMISED].encode()
            for tag, since in self._revoked_keys().items()
        )

    def _follow(self, primary_ms: int, sent_at: int) -> None:
        """Take over the primary's time, but not from an answer so late that it says little about now."""
        round_trip_ms = self._clock.host_ms() - sent_at
        if 0 <= round_trip_ms <= MAX_ROUND_TRIP_MS:
            self._clock.follow(primary_ms, sent_at + round_trip_ms // 2)

    def _since(self, born: int) -> int:
        trust = self._trust
        if trust is None or born - trust.since_ms > trust.longest_ms:
            return born
        return min(born, trust.since_ms)

    async def ready(self) -> bool:
        """Tell whether the state may be served: every partition born, and the second of the last birth over."""
        try:
            pipe = self._runner.client.pipeline(transaction=False)
            for part in ALL_PARTITIONS:
                pipe.hget(global_key(part), "born")
            born = await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            raise unreadable(error) from error
        return None not in born and self._runner.now_ms() >= max(map(read_number, born)) + 1000


def _key_tags(packed: bytes) -> frozenset[str]:
    entries = (packed[at : at + 17] for at in range(0, len(packed), 24))
    return frozenset(entry[1:].decode("ascii", "replace") for entry in entries if entry.startswith(b"k"))


def merge_revoked(packed: list[bytes]) -> bytes:
    """Return the union of several partitions' ``r``: each key and issuer once, the latest instant.

    Raises ``Unavailable`` for a damaged one: what it held may be what a lost partition needs.
    """
    entries: dict[bytes, bytes] = {}
    for one in packed:
        unpack_revoked(one)
        for at in range(0, len(one), 24):
            entry = one[at : at + 24]
            if entry[17:] > entries.get(entry[:17], b"")[17:]:
                entries[entry[:17]] = entry
    return b"".join(entries.values())
