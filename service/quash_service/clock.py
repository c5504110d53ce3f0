"""The service's clock: this host's own, moved to the primary's."""

import time
from collections.abc import Callable


def system_ms() -> int:
    """Return this host's time in epoch ms."""
    return time.time_ns() // 1_000_000


class Clock:
    """Epoch ms as the engine's primary counts them, so that all hosts agree.

    Parameters: ``source`` returns this host's epoch ms; ``follow`` is called about once a second
    with what the primary's TIME said.
    """

    tolerance_ms = 2_000
    """How far a script lets the time it is given be from the primary's."""

    def __init__(self, source: Callable[[], int] = system_ms) -> None:
        self._source = source
        self.offset_ms = 0

    def follow(self, primary_ms: int, measured_at_ms: int) -> None:
        """Take over the primary's time, read when this host's clock said ``measured_at_ms``."""
        self.offset_ms = primary_ms - measured_at_ms

    def host_ms(self) -> int:
        """Return this host's own epoch ms."""
        return self._source()

    def now_ms(self) -> int:
        """Return the primary's epoch ms: what is written into the state."""
        return self._source() + self.offset_ms

    def latest_ms(self) -> int:
        """Return the later of both clocks: what expiry is judged by."""
        now = self._source()
        return max(now, now + self.offset_ms)
