"""What an acknowledged write survives (`QUASH_DURABILITY`, DESIGN §10)."""

from enum import StrEnum


class Durability(StrEnum):
    """What the engine must be able to prove before the service trusts it."""

    FSYNC = "fsync"
    MEMORY = "memory"

    @property
    def promise(self) -> str:
        """What it promises and what it risks, in one sentence."""
        return _PROMISES[self]


_PROMISES = {
    Durability.FSYNC: (
        "an acknowledged revocation is on the engine's disk and survives a crash of the service, the engine "
        "and the machine, though not the loss of that disk"
    ),
    Durability.MEMORY: (
        "an acknowledged revocation is in the engine's memory: a crash of the engine or a failover may lose "
        "the last ones, and what was revoked there counts as good again"
    ),
}


def parse_durability(text: str) -> Durability:
    """Read the setting; raises ValueError that lists what is allowed."""
    try:
        return Durability(text.strip().lower())
    except ValueError:
        allowed = " or ".join(Durability)
        raise ValueError(f"durability must be {allowed} in this version of Quash") from None
