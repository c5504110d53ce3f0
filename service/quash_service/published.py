"""Keys that other issuers publish: fetched once for all who wait, and refreshed in the background."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from quash.errors import Unavailable
from quash.jwks import Published, Step
from quash.jwks_http import fetch_jwks
from quash.keys import Key, KeyRefused, keys_from_jwks
from quash.policy import Issuer

from .logs import get_logger

WAIT_S = 2.0
"""The longest that a check waits for a fetch."""
Fetch = Callable[[str], object]
log = get_logger()


@dataclass(slots=True)
class _Source:
    policy: Issuer
    uri: str
    published: Published = field(default_factory=Published)
    flight: asyncio.Task[None] | None = None


class PublishedKeys:
    """The keys behind the ``jwks_uri`` of each issuer that has one.

    Parameters: ``sources`` maps a policy's issuer to policy and URI, ``now_ms`` is a clock in epoch
    ms, ``fetch`` returns the document behind a URI (blocking; it runs in a thread).
    """

    def __init__(
        self,
        sources: Mapping[str, tuple[Issuer, str]],
        *,
        now_ms: Callable[[], int],
        fetch: Fetch = fetch_jwks,
    ) -> None:
        self._sources = {name: _Source(policy, uri) for name, (policy, uri) in sources.items()}
        self._now_ms = now_ms
        self._fetch = fetch

    def keys(self) -> tuple[Key, ...]:
        """Return all keys at hand."""
        return tuple(key for source in self._sources.values() for key in source.published.keys)

    async def ready(self, iss: str, kid: str | None, alg: str) -> None:
        """Make the keys at hand those that decide about a token of ``iss`` that names ``kid``.

        A token that the issuer's policy refuses anyway is worth no fetch. Raises ``Unavailable``
        when the issuer could not be reached for a key that is not at hand.
        """
        source = self._sources.get(iss)
        if source is None or alg not in source.policy.algorithms:
            return
        step = source.published.step(kid, self._now_ms())
        if step is Step.REFRESH:
            self._start(source)
        elif step is Step.FETCH:
            await self._landed(self._start(source), iss)
        elif source.flight is not None and not source.published.knows(kid):
            # A fetch under way may bring the key.
            await self._landed(source.flight, iss)
        if source.published.step(kid, self._now_ms()) is Step.UNAVAILABLE:
            raise _unreachable(iss)

    async def _landed(self, flight: "asyncio.Task[None]", iss: str) -> None:
        """Wait for a fetch, but not as long as a fetch may take: it goes on for those who ask later."""
        try:
            await asyncio.wait_for(asyncio.shield(flight), WAIT_S)
        except TimeoutError:
            raise _unreachable(iss) from None

    async def aclose(self) -> None:
        """Give up the fetches under way."""
        flights = [source.flight for source in self._sources.values() if source.flight is not None]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _start(self, source: _Source) -> "asyncio.Task[None]":
        if source.flight is None:
            source.published.trying(self._now_ms())
            source.flight = asyncio.get_running_loop().create_task(self._fly(source))
        return source.flight

    async def _fly(self, source: _Source) -> None:
        issuer = source.policy.issuer
        try:
            document = await asyncio.to_thread(self._fetch, source.uri)
            keys = keys_from_jwks(document, issuer=issuer, algorithms=source.policy.algorithms, allow_symmetric=False)
        except (Unavailable, KeyRefused) as error:
            source.published.missed()
            kind = error.evidence["jwks"] if isinstance(error, Unavailable) else error.code
            log.warning("jwks_unreachable", issuer=issuer, kind=kind)
        else:
            before = source.published.keys
            source.published.arrived(keys, self._now_ms())
            if keys != before:
                log.info("jwks_changed", issuer=issuer, kids=[key.kid for key in keys])
        finally:
            source.flight = None


def _unreachable(iss: str) -> Unavailable:
    return Unavailable("the issuer's keys could not be fetched; try again shortly", evidence={"jwks": iss})
