"""Judging a token: verify it, read the state, give the verdict. The library's own functions, composed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from quash.cache import VerifiedCache
from quash.challenges import invalid_token
from quash.claims import Claims
from quash.errors import TokenInvalid
from quash.keys import Key, KeySet
from quash.keyspace import Record, metadata_key
from quash.parse import parse
from quash.policy import Ask, Issuer
from quash.reader import question, session_question
from quash.reasons import Reason
from quash.signature import verify_signature
from quash.state_redis import RedisState
from quash.verdict import claims_verdict, verdict

from .clock import Clock
from .published import PublishedKeys
from .rotation import read_fields
from .store import Actor, session_end
from .tokens.refresh import RefreshToken

CACHE_SIZE = 10_000
BACK_MS = 2_000
"""How far one host's clock may be behind another's, as in the rotate script."""
_METADATA = ("iss", "sub", "client_id", "caller", "scope", "audience")


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict: active when ``reason`` is ``None``. ``claims`` are there once the signature was good."""

    claims: Claims | None
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class LiveRefresh:
    """A refresh token that could be presented now. ``ends_at`` is in epoch ms."""

    sid: str
    version: int
    ends_at: int
    opened_at: int
    fields: Mapping[str, str]


class Judge:
    """Judges tokens of the configured issuers. Raises ``Unavailable`` when it could not look.

    Parameters: ``own_keys`` returns our signing keys as they are now, ``foreign_keys`` those that
    other issuers' files hold, ``published`` fetches those that other issuers publish,
    ``issuer_name`` the issuer of an index in the state's records, ``grace_ms`` how long a previous
    refresh token may be presented.
    """

    def __init__(
        self,
        state: RedisState,
        clock: Clock,
        *,
        issuers: Mapping[str, Issuer],
        own_keys: Callable[[], tuple[Key, ...]],
        foreign_keys: tuple[Key, ...],
        published: PublishedKeys,
        issuer_name: Callable[[int], str | None],
        grace_ms: int,
    ) -> None:
        self._state = state
        self._clock = clock
        self._issuers = issuers
        self._own_keys = own_keys
        self._foreign_keys = foreign_keys
        self._published = published
        self._issuer_name = issuer_name
        self._grace_ms = grace_ms
        self._cache = VerifiedCache(CACHE_SIZE)
        self._keys = KeySet()
        self.reload_keys()

    def reload_keys(self) -> None:
        """Take over the keys as they are now; verified tokens of a key that is gone are forgotten."""
        now = (*self._own_keys(), *self._foreign_keys, *self._published.keys())
        if now == self._keys.keys:
            return
        before = {key.tag for key in self._keys.keys}
        self._keys = KeySet(now)
        for tag in before - {key.tag for key in self._keys.keys}:
            self._cache.drop_key(tag)

    def find_key(self, iss: str, *, kid: str | None, thumbprint: str | None) -> Key | None:
        """Return an issuer's key by its ``kid`` or RFC 7638 thumbprint."""
        for key in self._keys.keys:
            if key.issuer == iss and (key.kid == kid if thumbprint is None else key.thumbprint == thumbprint):
                return key
        return None

    async def verify(self, actor: Actor, raw: str) -> Claims:
        """Return the claims of a token whose signature is good; clock and state are not looked at.

        An issuer that the actor may not act on is as unknown as any other. Raises ``TokenInvalid``,
        and ``Unavailable`` when the issuer that publishes the key could not be reached.
        """
        claims = self._cache.get(raw)
        if claims is None:
            unverified = parse(raw)
            iss = unverified.iss
            if iss is not None:
                if not actor.may_act_on(iss):
                    raise invalid_token(Reason.UNKNOWN_ISSUER, "no such issuer is configured")
                await self._published.ready(iss, unverified.kid, unverified.alg)
                self.reload_keys()
            claims = verify_signature(unverified, self._issuers, self._keys)
            self._cache.put(raw, claims)
        elif not actor.may_act_on(claims.iss):
            raise invalid_token(Reason.UNKNOWN_ISSUER, "no such issuer is configured")
        return claims

    async def judge(self, actor: Actor, raw: str, ask: Ask) -> Judged:
        """Return the verdict on an access token."""
        try:
            claims = await self.verify(actor, raw)
        except TokenInvalid as error:
            return Judged(None, Reason(error.code))
        # What no state can mend is refused without reading it.
        reason = claims_verdict(claims, self._clock.latest_ms(), ask)
        if reason is None:
            state = await self._state.ask(question(claims))
            reason = verdict(claims, state, self._clock.latest_ms(), ask)
        return Judged(claims, reason)

    async def judge_refresh(self, actor: Actor, token: RefreshToken) -> LiveRefresh | Reason:
        """Return what a refresh token of good mac stands for, or why it could not be presented now.

        Looking has no side effect: a token of the past is not treated as reuse.
        """
        state = await self._state.ask(session_question(token.sid))
        record = state.session
        if not isinstance(record, Record):
            owner = None if record is None else self._issuer_name(record.issuer)
            known = owner is not None and actor.may_act_on(owner)
            return Reason.SESSION_REVOKED if known else Reason.SESSION_UNKNOWN
        values = await self._state.fields(metadata_key(token.sid), _METADATA)
        stored = {name.encode(): value for name, value in zip(_METADATA, values, strict=True) if value is not None}
        fields = read_fields(stored) if stored else {}
        iss = fields.get("iss")
        if iss is None or not actor.may_act_on(iss):
            return Reason.SESSION_UNKNOWN
        ended = session_end(record, state.version, "superseded", state.shared, iss=iss, now_ms=self._clock.latest_ms())
        if ended is not None:
            return _REASON_OF_END[ended]
        if not self._presentable(record, token):
            return Reason.TOKEN_REVOKED
        return LiveRefresh(token.sid, record.version, min(record.idle_end, record.absolute_end), record.opened, fields)

    def _presentable(self, record: Record, token: RefreshToken) -> bool:
        if token.generation == record.generation:
            return token.secret == record.secret
        elapsed = self._clock.now_ms() - record.rotated
        in_grace = -BACK_MS <= elapsed <= self._grace_ms
        return token.generation == record.generation - 1 and token.secret == record.previous_secret and in_grace


_REASON_OF_END = {
    "superseded": Reason.SESSION_SUPERSEDED,
    "store_reborn": Reason.STORE_REBORN,
    "issuer_revoked": Reason.ISSUER_REVOKED,
    "expired": Reason.SESSION_EXPIRED,
}
