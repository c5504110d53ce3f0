"""What the design says, in memory and without a word of the service's code.

Instants are epoch ms. A life ends at its end (RFC 7519: "on or after"), a grace lasts through its last ms.
"""

from dataclasses import dataclass, field

from tests.model.values import NUMBERS, Access, Device, Outcome, Refresh

SLACK_MS = 5_000
MOST_ENDS = 64


@dataclass(slots=True)
class Login:
    """One session: a device's login, and how it ended if it did."""

    sid: str
    sub: str
    version: int
    opened: int
    idle_end: int
    end: int
    used: int
    auth_time: int
    device: Device
    acr: str | None = None
    scope: str = ""
    generation: int = 0
    secrets: dict[int, str] = field(default_factory=dict)
    rotated: int = 0
    ended: str | None = None
    memory_until: int = 0
    forgettable: bool = False


@dataclass(slots=True)
class User:
    """A subject: a version that never goes back, and the single tokens taken back."""

    version: int = 0
    cause: str = ""
    revoked: set[str] = field(default_factory=set)


class Oracle:
    """The state as the design describes it. ``now`` moves only when told to."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.users: dict[str, User] = {}
        self.logins: dict[str, Login] = {}

    def user(self, sub: str) -> User:
        """Return a subject's user; one without a record has version 0."""
        return self.users.setdefault(sub, User())

    # --- what is alive

    def why_dead(self, login: Login) -> str | None:
        """Return the cause of a session's end, in the order of the rotation table; None while it lives."""
        if login.ended is not None:
            return login.ended
        if login.version < self.user(login.sub).version:
            return self.user(login.sub).cause
        if self.now >= min(login.idle_end, login.end):
            return "expired"
        return None

    def live(self, sub: str) -> list[Login]:
        """Return a user's live sessions in the order of their opening."""
        mine = [login for login in self.logins.values() if login.sub == sub]
        return [login for login in mine if self.why_dead(login) is None]

    # --- opening and stepping up

    def superseded(self, sub: str, auth_time: int | None, if_version: int | None) -> bool:
        """Tell whether an authentication is older than the user's version (a login racing a bump)."""
        version = self.user(sub).version
        if if_version is not None and if_version != version:
            return True
        return auth_time is not None and version > 0 and auth_time <= version // 1000

    def leaving(self, sub: str) -> list[Login]:
        """Return the sessions of which one must go so that another may be opened: the least recently used."""
        live = self.live(sub)
        if len(live) < NUMBERS.max_sessions:
            return []
        oldest = min(login.used for login in live)
        return [login for login in live if login.used == oldest]

    def open(
        self, sid: str, sub: str, device: Device, *, secret: str, auth_time: int | None, acr: str | None, scope: str
    ) -> Login:
        """Record a session that was opened now."""
        self._prune(sub)
        login = Login(
            sid=sid,
            sub=sub,
            version=self.user(sub).version,
            opened=self.now,
            idle_end=self.now + NUMBERS.idle_ttl_s * 1000,
            end=self.now + NUMBERS.absolute_ttl_s * 1000,
            used=self.now,
            auth_time=self.now // 1000 if auth_time is None else auth_time,
            device=device,
            acr=acr,
            scope=scope,
            secrets={0: secret},
        )
        self.logins[sid] = login
        return login

    def _prune(self, sub: str) -> None:
        """Opening may forget what no token can be good for any more, and of a user with too many ends the oldest."""
        mine = [login for login in self.logins.values() if login.sub == sub]
        crowded = len(mine) >= NUMBERS.max_sessions + MOST_ENDS
        for login in mine:
            over = login.memory_until if login.ended else min(login.idle_end, login.end)
            if self.now >= over + SLACK_MS or (crowded and self.why_dead(login) is not None):
                login.forgettable = True

    def step_up(self, sid: str, *, auth_time: int | None, if_version: int | None, acr: str | None) -> str | None:
        """Record a fresh authentication; return the refusal's code, if it is one."""
        login = self.logins[sid]
        if self.why_dead(login) is not None:
            return "session_ended"
        if self.superseded(login.sub, auth_time, if_version):
            return "authentication_superseded"
        login.auth_time = self.now // 1000 if auth_time is None else auth_time
        login.acr = acr
        return None

    # --- refreshing

    def refresh(self, token: Refresh, device: Device, newest: str, scope: str | None) -> Outcome:
        """Present a refresh token of good mac; the table of the design, row by row.

        ``scope`` is what is asked for; more than the session has is refused before anything changes, but
        only of a token that is good: it must not hide that one was stolen.
        """
        login = self.logins[token.sid]
        dead = self.why_dead(login)
        if dead is not None:
            return Outcome("ended", dead)
        if self._forged(login, token):
            return Outcome("junk")
        exceeds = scope is not None and not set(scope.split()) <= set(login.scope.split())
        if token.generation == login.generation:
            return Outcome("scope_exceeded") if exceeds else self._rotate(login, device, newest)
        elapsed = self.now - login.rotated
        previous = token.generation == login.generation - 1
        if previous and device.agent == login.device.agent and elapsed <= NUMBERS.grace_s * 1000:
            return Outcome("scope_exceeded" if exceeds else "retried")
        self.end(login.sid, "reuse")
        return Outcome("reused", self._class_of_reuse(login, token, device, elapsed))

    def _forged(self, login: Login, token: Refresh) -> bool:
        """Tell whether a token of this or the previous generation was made with another secret."""
        known = token.generation in {login.generation, login.generation - 1}
        return known and token.secret != login.secrets[token.generation]

    def _rotate(self, login: Login, device: Device, newest: str) -> Outcome:
        login.generation += 1
        login.secrets[login.generation] = newest
        login.rotated = login.used = self.now
        login.device = device
        login.idle_end = self.now + NUMBERS.idle_ttl_s * 1000
        return Outcome("rotated")

    def _class_of_reuse(self, login: Login, token: Refresh, device: Device, elapsed: int) -> str:
        same_agent = device.agent == login.device.agent
        networks = {device.network, login.device.network} - {""}
        same_place = same_agent and len(networks) < 2
        if token.generation == login.generation - 1 and same_place:
            return "concurrent_retry" if elapsed <= 2 * NUMBERS.grace_s * 1000 else "lost_response"
        if token.generation != login.generation - 1 and same_agent:
            return "stale_copy"  # also one that was never issued: the design has no class of its own for it
        return "likely_theft"

    # --- revoking

    def end(self, sid: str, cause: str) -> None:
        """End one session, also one that expired or fell with its user; what was ended keeps its cause."""
        login = self.logins[sid]
        if login.ended is None:
            login.ended = cause
            login.memory_until = max(min(login.idle_end, login.end), self.now + NUMBERS.max_access_ttl_s * 1000)

    def bump(self, sub: str, cause: str, keep: frozenset[str]) -> frozenset[str]:
        """Revoke all of a user but the refresh tokens of its own live sessions in ``keep``; return those."""
        spared = [login for login in self.live(sub) if login.sid in keep]
        user = self.user(sub)
        user.version, user.cause = max(user.version + 1, self.now), cause
        for login in spared:
            login.version = user.version
        return frozenset(login.sid for login in spared)

    # --- judging

    def access_reason(self, token: Access) -> str | None:
        """Return why an access token is not good, by the rules in their order; None when it is."""
        user, login = self.user(token.sub), self.logins[token.sid]
        if self.now >= token.exp * 1000:
            return "expired"
        if token.jti in user.revoked:
            return "token_revoked"
        if token.version < user.version:
            return "version_superseded"
        return self._session_reason(login)

    def refresh_reason(self, token: Refresh) -> str | None:
        """Return why a refresh token could not be presented now; None when it could."""
        login = self.logins[token.sid]
        dead = self.why_dead(login)
        if dead is not None:
            superseded = login.version < self.user(login.sub).version
            return "session_superseded" if superseded and not login.ended else self._session_reason(login)
        retriable = token.generation == login.generation - 1 and self.now - login.rotated <= NUMBERS.grace_s * 1000
        presentable = token.generation == login.generation or retriable
        return None if presentable and not self._forged(login, token) else "token_revoked"

    def _session_reason(self, login: Login) -> str | None:
        if login.ended is not None:
            return "session_revoked"
        if self.now >= min(login.idle_end, login.end):
            return "session_expired"
        return "session_superseded" if login.version < self.user(login.sub).version else None
