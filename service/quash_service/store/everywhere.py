"""What has to stand in every partition: the revocation of a key or of an issuer."""

import asyncio

from quash.ids import PARTITIONS, partition
from quash.keyspace import CODE_OF_CAUSE
from quash.reasons import Cause

from .runner import Actor, Runner
from .scripts import Argument


async def write_everywhere(
    runner: Runner, actor: Actor, cause: Cause, *, kind: str, tag: str, instant_ms: int, iss: str, detail: str
) -> bool:
    """Write to all partitions; acknowledged only when all have it, and safe to repeat.

    ``kind`` is ``k`` for a key and ``i`` for an issuer, ``tag`` names it, ``instant_ms`` is until when it is
    revoked, ``detail`` is for the audit of one partition. Return whether it stood in all of them already.
    Raises ``Unavailable``.
    """
    arguments: dict[str, Argument] = {
        "kind": kind,
        "tag": tag,
        "instant": instant_ms,
        "cause": CODE_OF_CAUSE[cause],
        "cause_name": cause.value,
        "iss": iss,
        "detail": detail,
    }
    audited_in = partition(tag)
    replies = await asyncio.gather(
        *(
            runner.run(
                "revoke_everywhere", part, {}, {**arguments, "audited": "1" if part == audited_in else "0"}, actor
            )
            for part in range(PARTITIONS)
        )
    )
    return all(reply[1] == b"1" for reply in replies)
