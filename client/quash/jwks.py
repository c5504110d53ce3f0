"""When to fetch an issuer's published keys: the rules, without any I/O.

Published keys are used for a while, refreshed in the background after that, and kept in use for a
bounded time when the issuer cannot be reached. A ``kid`` that is not among them is asked for once
in a while only, so that a flood of invented ones cannot become a flood of fetches.
"""

from dataclasses import dataclass
from enum import Enum

from .keys import Key

FRESH_MS = 300_000
"""How long fetched keys are used without a second look."""
STALE_MS = 3_600_000
"""How long they are used beyond that while the issuer cannot be reached."""
MISS_MS = 30_000
"""How often an unknown ``kid`` may make us fetch."""
RETRY_MS = 5_000
"""How long after a failure the next try is due."""


class Step(Enum):
    """What to do for a token that names a key."""

    USE = "use"
    """The keys at hand decide, also that the key is unknown."""
    REFRESH = "refresh"
    """The keys at hand decide; fetch again in the background."""
    FETCH = "fetch"
    """Fetch first, then the fetched keys decide."""
    UNAVAILABLE = "unavailable"
    """The issuer could not be reached, so nobody knows this key."""


@dataclass(slots=True)
class Published:
    """The published keys of one issuer, as last fetched. Instants are epoch ms, ``None`` for never."""

    keys: tuple[Key, ...] = ()
    fetched_at: int | None = None
    tried_at: int | None = None
    failed: bool = False

    def step(self, kid: str | None, now_ms: int) -> Step:
        """Return what to do for a token that names ``kid`` (``None``: the issuer's only key)."""
        if self.fetched_at is None:
            return Step.UNAVAILABLE if self._tried_within(RETRY_MS, now_ms) else Step.FETCH
        age = now_ms - self.fetched_at
        if not self.knows(kid):
            if not self._tried_within(MISS_MS, now_ms):
                return Step.FETCH
            # The last try answered without it, or did not answer: only the former says "unknown".
            return Step.UNAVAILABLE if self.failed else Step.USE
        if age < FRESH_MS:
            return Step.USE
        due = not self._tried_within(RETRY_MS, now_ms)
        if age < FRESH_MS + STALE_MS:
            return Step.REFRESH if due else Step.USE
        return Step.FETCH if due else Step.UNAVAILABLE

    def knows(self, kid: str | None) -> bool:
        """Tell whether the keys at hand decide about ``kid``; about no ``kid`` they do once fetched."""
        return self.fetched_at is not None and (kid is None or any(key.kid == kid for key in self.keys))

    def trying(self, now_ms: int) -> None:
        """Note that a fetch begins."""
        self.tried_at = now_ms

    def arrived(self, keys: tuple[Key, ...], now_ms: int) -> None:
        """Take over fetched keys."""
        self.keys, self.fetched_at, self.failed = keys, now_ms, False

    def missed(self) -> None:
        """Note that the fetch failed; the keys at hand stay."""
        self.failed = True

    def _tried_within(self, ms: int, now_ms: int) -> bool:
        return self.tried_at is not None and 0 <= now_ms - self.tried_at < ms
