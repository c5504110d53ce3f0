"""The parts of a running service: what the HTTP face and the command line work with."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from redis.asyncio import Redis

from quash.reasons import Cause

from .callers import CallerBook
from .clock import Clock
from .judge import Judge
from .logs import get_logger
from .metrics import Metrics
from .published import PublishedKeys
from .settings import Settings
from .store import Actor, Floor, LifetimeLimits, Listing, Pulse, Store
from .tokens.keyring import Keyring
from .tokens.mint import Minter
from .tokens.refresh import RefreshSecrets

HEART = Actor("quash", admin=True, issuers=None, request_id="")
"""Who acts when nobody asked."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running service. ``minter`` is ``None`` with minting off.

    ``serving`` tells a service, which tends keys and secrets, from a command, which leaves them alone.
    """

    serving: bool
    settings: Settings
    clock: Clock
    client: Redis
    store: Store
    listing: Listing
    floor: Floor
    lifetimes: LifetimeLimits
    judge: Judge
    published: PublishedKeys
    keyring: Keyring
    secrets: RefreshSecrets
    minter: Minter | None
    callers: CallerBook
    metrics: Metrics
    random_bytes: Callable[[int], bytes]
    batches: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def pulse(self) -> Pulse:
        """Do what is due every second: follow the clock, mend the floor, take over changed keys.

        Raises ``Unavailable`` when the engine does not answer, ``FloorRefused``.
        """
        pulse = await self.floor.pulse()
        if pulse.born:
            self.lifetimes.due = True
            self.metrics.births.inc(pulse.born)
            log.warning("state_born", partitions=pulse.born, older_tokens_trusted=pulse.trusted)
            if self.settings.issuers and not pulse.trusted:
                log.warning("older_tokens_refused", mend="QUASH_TRUST_TOKENS_SINCE, see docs, if no revocation is lost")
            self.say_trust(pulse)
        # Not in the second of a birth, which may be that of one partition alone.
        if self.lifetimes.due and not pulse.born and await self.floor.ready():
            await self.lifetimes.publish()
        # Last, so that a broken file of keys leaves the state well kept.
        await self._keep_keys(pulse)
        return pulse

    async def _keep_keys(self, pulse: Pulse) -> None:
        """Do what is due in the life of keys and secrets, and take over what others did."""
        kid = await self.keyring.tend()
        if kid is not None:
            log.info("signing_key_rotated", kid=kid)
        if self.serving and self.secrets.tend():
            log.info("refresh_secrets_changed")
        self.judge.reload_keys()
        if self.secrets.refresh():
            await self.floor.join()
        if self.serving and not pulse.born:
            # A revocation that was cut short after our file had it: the state must have it too.
            for tag in self.keyring.revoked().keys() - pulse.revoked_keys:
                await self.store.revoke_key(
                    HEART, iss=self.settings.issuer, tag=tag, kid=self.keyring.kid_of(tag), cause=Cause.COMPROMISED
                )

    def say_trust(self, pulse: Pulse) -> None:
        """Say it loudly when the setting for trusting older tokens is not what judges them."""
        if self.settings.trust_tokens_since is not None and not pulse.trusted:
            why = "it counts only when a state is born, and only if not older than the longest max_access_ttl_s"
            log.error("trust_tokens_since_ignored", why=why)
