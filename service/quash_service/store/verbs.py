"""The store: one typed method per script. Who acts is always the first parameter."""

from collections.abc import Mapping
from dataclasses import dataclass

from quash.ids import issuer_tag, jti_id, partition, session_tag, user_tag
from quash.keyspace import CODE_OF_CAUSE, bucket_key, metadata_key, quiet_key, sightings_key, user_key
from quash.reasons import Cause
from quash_service.rotation import Rotation, StepUp, Superseded, read_rotation, read_step_up

from .everywhere import write_everywhere
from .outcomes import HouseFull, Opened, OpenLimited, OpenRevoked, UserRevoked, read_opening
from .runner import Actor, IssuerTable, Runner
from .scripts import Argument


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token of good mac, as presented, and from where."""

    sid: str
    generation: int
    secret: str
    agent: str
    net: str
    ip: str


class Store:
    """Writes to the state. Every method raises ``Unavailable``; ``open`` also ``StateFull``."""

    def __init__(self, runner: Runner, issuers: IssuerTable) -> None:
        self.runner = runner
        self.issuers = issuers

    async def open(
        self,
        actor: Actor,
        sid: str,
        *,
        issuer: str,
        secret: str,
        fields: Mapping[str, str],
        auth_time: int | None,
        if_version: int | None,
    ) -> Opened | Superseded | OpenLimited | OpenRevoked:
        """Open the session ``sid``, evicting the least recently used one of a full house.

        ``fields`` is its metadata; ``auth_time`` (s) and ``if_version`` are judged when stated.
        """
        limits = self.runner.limits
        flat = [item for pair in fields.items() for item in pair]
        arguments: dict[str, Argument] = {
            "sid": sid,
            "issuer": bytes((self.issuers.index[issuer],)),
            "issuers": self.issuers.packed(actor),
            "idle": limits.idle_ms,
            "absolute": limits.absolute_ms,
            "secret": secret,
            "auth_time": "" if auth_time is None else auth_time,
            "if_version": "" if if_version is None else if_version,
            "max_sessions": limits.max_sessions,
            "max_opens": limits.max_opens,
            "fields": flat,
        }
        victim = ""
        while True:
            keys = _opening_keys(sid, victim or sid)
            reply = await self.runner.run("open", partition(sid), keys, {**arguments, "victim": victim}, actor)
            outcome = read_opening(reply)
            if not isinstance(outcome, HouseFull):
                return outcome
            victim = outcome.victim

    async def rotate(
        self,
        actor: Actor,
        presented: Presented,
        *,
        newest: str,
        scope: str,
        session_scope: str | None,
        claims: str | None,
    ) -> Rotation:
        """Rotate a refresh token of good mac; ``newest`` is the id of the secret for the successor.

        ``scope`` is what is asked for this access token, ``session_scope`` and ``claims`` replace
        the session's when given.
        """
        sid = presented.sid
        reply = await self.runner.run(
            "rotate",
            partition(sid),
            {**_session_keys(sid), "quiet": quiet_key(sid), "budget": quiet_key(f"{session_tag(sid)}:audit")},
            {
                **self._may(actor),
                "sid": sid,
                "generation": presented.generation,
                "secret": presented.secret,
                "newest": newest,
                "agent": presented.agent,
                "net": presented.net,
                "ip": presented.ip,
                "grace": self.runner.limits.grace_ms,
                "idle": self.runner.limits.idle_ms,
                "op": self.runner.random_bytes(8).hex(),
                "scope": scope,
                "session_scope": "" if session_scope is None else f"={session_scope}",
                "claims": claims or "",
            },
            actor,
        )
        return read_rotation(sid, reply)

    async def step_up(
        self,
        actor: Actor,
        sid: str,
        *,
        acr: str,
        amr: str,
        auth_time: int,
        stated: bool,
        if_version: int | None,
    ) -> StepUp:
        """Record a fresh authentication at ``auth_time`` (s), judged against the version if stated."""
        reply = await self.runner.run(
            "step_up",
            partition(sid),
            _session_keys(sid),
            {
                **self._may(actor),
                "sid": sid,
                "acr": acr,
                "amr": amr,
                "auth_time": auth_time,
                "stated": "1" if stated else "0",
                "if_version": "" if if_version is None else if_version,
            },
            actor,
        )
        return read_step_up(sid, reply)

    async def revoke_session(self, actor: Actor, sid: str, cause: Cause) -> bool:
        """End one session; tell whether this caller knows it."""
        reply = await self.runner.run(
            "revoke_session",
            partition(sid),
            _session_keys(sid),
            {
                "sid": sid,
                "issuers": self.issuers.packed(actor),
                "cause": CODE_OF_CAUSE[cause],
                "cause_name": cause.value,
            },
            actor,
        )
        return reply[1] == b"1"

    async def revoke_token(
        self,
        actor: Actor,
        *,
        iss: str,
        sub: str,
        jti: str,
        exp: int,
        exact: bool,
        cause: Cause,
    ) -> bool:
        """Blacklist one token until ``exp`` (s; an upper bound unless exact); tell whether it was already."""
        tag, jti16 = user_tag(iss, sub), jti_id(iss, jti)
        reply = await self.runner.run(
            "revoke_token",
            partition(tag),
            {"u": user_key(tag), "bucket": bucket_key(tag, jti16, exp)},
            {
                "tag": tag,
                "jti16": jti16,
                "exp": exp,
                "loose": "0" if exact else "1",
                "cause_name": cause.value,
                "iss": iss,
                "sub": sub,
            },
            actor,
        )
        return reply[1] == b"1"

    async def revoke_user(
        self,
        actor: Actor,
        *,
        iss: str,
        sub: str,
        cause: Cause,
        keep: tuple[str, ...] = (),
        access_only: bool = False,
    ) -> UserRevoked:
        """Bump a user: all of its tokens and sessions die but the kept ones' refresh tokens."""
        tag = user_tag(iss, sub)
        reply = await self.runner.run(
            "revoke_user",
            partition(tag),
            {"u": user_key(tag)},
            {
                "tag": tag,
                "op": self.runner.random_bytes(8),
                "cause": CODE_OF_CAUSE[cause],
                "cause_name": cause.value,
                "iss": iss,
                "sub": sub,
                "issuers": self.issuers.packed(actor),
                "access_only": "1" if access_only else "0",
                "keep": [sid for sid in keep if session_tag(sid) == tag],
            },
            actor,
        )
        return UserRevoked(int(reply[1]), reply[2] == b"1", tuple(one.decode() for one in reply[3:]))

    async def revoke_key(self, actor: Actor, *, iss: str, tag: str, kid: str, cause: Cause) -> bool:
        """Revoke a signing key everywhere, for ever; tell whether it was already."""
        return await write_everywhere(
            self.runner, actor, cause, kind="k", tag=tag, instant_ms=self.runner.now_ms(), iss=iss, detail=kid
        )

    async def revoke_issuer(self, actor: Actor, *, iss: str, before_ms: int, cause: Cause) -> bool:
        """Revoke all that an issuer issued up to an instant; tell whether it was already."""
        return await write_everywhere(
            self.runner, actor, cause, kind="i", tag=issuer_tag(iss), instant_ms=before_ms, iss=iss, detail=""
        )

    def _may(self, actor: Actor) -> dict[str, str | bytes]:
        return {"caller": actor.name, "admin": "1" if actor.admin else "0", "issuers": self.issuers.packed(actor)}


def _opening_keys(sid: str, victim: str) -> dict[str, str]:
    return {
        "u": user_key(session_tag(sid)),
        "meta": metadata_key(sid),
        "opens": quiet_key(session_tag(sid)),
        "m": metadata_key(victim),
        "sightings": sightings_key(victim),
    }


def _session_keys(sid: str) -> dict[str, str]:
    return {"u": user_key(session_tag(sid)), "m": metadata_key(sid), "sightings": sightings_key(sid)}
