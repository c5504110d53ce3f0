"""The service and the oracle, side by side: what every step does before, after and in between."""

from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, invariant, multiple

from tests.model.checks import agree, answered, payload
from tests.model.oracle import Login, Oracle
from tests.model.service import SECRETS, Served
from tests.model.values import NUMBERS, Access, Refresh

ISS = "http://127.0.0.1:8400"

picks = st.integers(0, 40)
ends = st.sampled_from(("grace", "grace", "grace twice", "idle"))
moves = st.sampled_from((0, -1, 1))
refreshes: Bundle[Refresh] = Bundle("refreshes")

Made = MultipleResults[Refresh]
_examples = count()


class Beside(RuleBasedStateMachine):
    """Two users of the service and of the oracle. ``served`` is shared, so every example has users of its own."""

    def __init__(self, served: Served) -> None:
        super().__init__()
        self.served = served
        served.begin()
        self.oracle = Oracle(served.now)
        example = next(_examples)
        self.subs = [f"u{example}-{number}" for number in range(2)]
        self.tokens: list[Refresh | Access] = []
        self.raw: dict[tuple[str, int], str] = {}
        self.newest = SECRETS[0]
        served.use_secret(self.newest)

    # --- what must hold after every step

    @invariant()
    def every_token_is_judged_alike(self) -> None:
        if not self.tokens:
            return
        answer = self.served.call("POST", "/introspect/batch", json={"tokens": [one.raw for one in self.tokens]})
        for token, result in zip(self.tokens, answered(answer)["results"], strict=True):
            reason, wanted = result.get("reason"), self.reason(token)
            agree((result["active"], result["verdict"]), (reason is None, "revoked" if reason else "active"))
            forgotten = reason == "session_unknown" and self.login(token).forgettable
            assert forgotten or reason == wanted, f"{token}: the service says {reason}, the oracle {wanted}"

    @invariant()
    def every_live_session_is_listed(self) -> None:
        for sub in self.subs:
            listed = self.listed(sub)
            agree({one["session_id"]: _seen(one) for one in listed}, {x.sid: _wanted(x) for x in self.oracle.live(sub)})
            used = [one["last_used_at"] for one in listed]
            agree(used, sorted(used, reverse=True))

    def reason(self, token: Refresh | Access) -> str | None:
        """Return why the oracle refuses a token; None when it does not."""
        if isinstance(token, Access):
            return self.oracle.access_reason(token)
        return self.oracle.refresh_reason(token)

    # --- time

    def pass_ms(self, ms: int) -> None:
        """Let time pass on both sides."""
        self.served.clock.advance(ms)
        self.oracle.now += ms

    def wait_until(self, instant: int) -> None:
        """Let time pass to an instant, unless it is over."""
        self.pass_ms(max(0, instant - self.oracle.now))

    def end_of(self, login: Login, which: str) -> int:
        """Return an instant at which something in a session ends."""
        return {
            "grace": login.rotated + NUMBERS.grace_s * 1000,
            "grace twice": login.rotated + 2 * NUMBERS.grace_s * 1000,
            "idle": login.idle_end,
            "end": login.end,
        }[which]

    # --- reading

    def login(self, token: Refresh | Access) -> Login:
        """Return a token's session."""
        return self.oracle.logins[token.sid]

    def access(self, pick: int) -> Access:
        """Return an access token, the newest for 0."""
        mine = [one for one in self.tokens if isinstance(one, Access)]
        return mine[-1 - pick % len(mine)]

    def listed(self, sub: str) -> list[dict[str, Any]]:
        """Return a user's sessions as the service lists them."""
        sessions: list[dict[str, Any]] = answered(self.served.call("GET", "/sessions", params={"sub": sub}))["sessions"]
        return sessions

    def counted(self, before: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
        """Return the outcomes that were counted since."""
        after = self.served.rotations()
        return {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}

    # --- remembering what was answered

    def remembered(self, login: Login, document: dict[str, Any], scope: str | None = None) -> Made:
        """Check an answer's new access token, and its refresh token if it has one; return what is new of that."""
        self._access(login, document, scope)
        if "refresh_token" not in document:
            return multiple()
        now, end = self.oracle.now // 1000, min(login.idle_end, login.end) // 1000
        agree(document["refresh_expires_in"], end - now)
        raw = document["refresh_token"]
        if (login.sid, login.generation) in self.raw:
            agree(raw, self.raw[login.sid, login.generation])
            return multiple()
        assert raw not in self.raw.values(), "a successor that was there before"
        self.raw[login.sid, login.generation] = raw
        token = Refresh(login.sid, login.generation, login.secrets[login.generation], raw)
        self.tokens.append(token)
        return multiple(token)

    def _access(self, login: Login, document: dict[str, Any], scope: str | None) -> None:
        raw = document["access_token"]
        said = payload(raw)
        now = self.oracle.now // 1000
        exp = min(now + NUMBERS.access_ttl_s, login.end // 1000)
        wanted = {
            "iss": ISS,
            "sub": login.sub,
            "sid": login.sid,
            "ver": login.version,
            "iat": now,
            "exp": exp,
            "auth_time": login.auth_time,
            "acr": login.acr,
            "scope": scope or login.scope,
        }
        agree({word: said.get(word) for word in wanted}, wanted)
        agree((document["session_id"], document["version"]), (login.sid, login.version))
        agree(document["expires_in"], exp - now)
        self.tokens.append(Access(login.sid, login.sub, said["jti"], said["ver"], now, exp, raw))


def _seen(session: dict[str, Any]) -> dict[str, Any]:
    names = ("created_at", "last_used_at", "idle_expires_at", "expires_at", "version", "auth_time", "acr")
    return {name: session.get(name) for name in names}


def _wanted(login: Login) -> dict[str, Any]:
    return {
        "created_at": login.opened // 1000,
        "last_used_at": login.used // 1000,
        "idle_expires_at": min(login.idle_end, login.end) // 1000,
        "expires_at": login.end // 1000,
        "version": login.version,
        "auth_time": login.auth_time,
        "acr": login.acr,
    }
