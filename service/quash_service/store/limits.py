"""Publishing how long each issuer's access tokens may live, so that all readers hold them to it."""

from collections.abc import Mapping

from redis.exceptions import RedisError

from quash.ids import issuer_tag
from quash.keyspace import ALL_PARTITIONS, global_key, unpack_limits
from quash.state_redis import unreadable

from .runner import Runner


class LifetimeLimits:
    """The limits that this host is configured with. Raises ``Unavailable``.

    Parameters: ``longest_s`` maps each issuer to the longest life of its access tokens. ``due``
    says that some partition may not have them yet.
    """

    def __init__(self, runner: Runner, longest_s: Mapping[str, int]) -> None:
        self._runner = runner
        self._longest = {issuer_tag(name): seconds for name, seconds in longest_s.items()}
        self.due = True

    async def publish(self) -> None:
        """Write the limits into every partition that has others, or none."""
        packed = b"".join(tag.encode() + seconds.to_bytes(4, "big") for tag, seconds in self._longest.items())
        for part in await self._lacking():
            await self._runner.run("publish_limits", part, {}, {"limits": packed})
        self.due = False

    async def _lacking(self) -> list[int]:
        try:
            pipe = self._runner.client.pipeline(transaction=False)
            for part in ALL_PARTITIONS:
                pipe.hget(global_key(part), "l")
            held = await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            raise unreadable(error) from error
        return [part for part, one in enumerate(held) if not self._matches(one or b"")]

    def _matches(self, packed: bytes) -> bool:
        held = unpack_limits(packed)
        return all(tag in held and held[tag].now_s == seconds for tag, seconds in self._longest.items())
