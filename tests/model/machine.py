"""The state machine: every verb, time, and every token judged after every step."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.model.beside import ISS, Made, ends, moves, picks, refreshes
from tests.model.checks import agree, answered, payload
from tests.model.logging_in import LoggingIn
from tests.model.presenting import Presenting
from tests.model.revoking import Revoking
from tests.model.service import Served
from tests.model.values import NUMBERS, Access, Refresh

_GRACE_MS = NUMBERS.grace_s * 1000
waits = st.sampled_from((1, 999, 1000, *(_GRACE_MS + by for by in (-1, 0, 1)), NUMBERS.access_ttl_s * 1000))


class Model(LoggingIn, Presenting, Revoking):
    """All rules together."""

    @initialize(target=refreshes)
    def first(self) -> Made:
        """Begin with a session, so that no step is wasted on nothing."""
        return self.log_in(self.subs[0])

    @rule(ms=waits)
    def wait(self, *, ms: int) -> None:
        """Let time pass."""
        self.pass_ms(ms)

    @rule(token=refreshes, which=ends, by=moves)
    def wait_for_session(self, *, token: Refresh, which: str, by: int) -> None:
        """Let time pass to the instant at, before or after an end in a session."""
        self.wait_until(self.end_of(self.login(token), which) + by)

    @rule(pick=picks, by=moves)
    def wait_for_token(self, *, pick: int, by: int) -> None:
        """Let time pass to the instant at, before or after an access token's expiry."""
        self.wait_until(self.access(pick).exp * 1000 + by)

    @rule(pick=picks)
    def look_at_access(self, *, pick: int) -> None:
        """RFC 7662: an active token's own words; of any other exactly that it is not active."""
        token = self.access(pick)
        wanted: dict[str, Any] = {"active": False}
        if self.reason(token) is None:
            said = payload(token.raw)
            words = ("iss", "sub", "aud", "exp", "iat", "jti", "sid", "ver", "auth_time", "acr", "scope", "client_id")
            wanted = {name: said[name] for name in words if name in said} | {"active": True, "token_type": "Bearer"}
        agree(self._introspected(token), wanted)

    @rule(token=refreshes)
    def look_at_refresh(self, *, token: Refresh) -> None:
        """A refresh token is active when it could be presented; looking changes nothing."""
        login = self.login(token)
        wanted: dict[str, Any] = {"active": False}
        if self.reason(token) is None:
            end = min(login.idle_end, login.end) // 1000
            wanted = {"active": True, "token_type": "refresh_token", "iss": ISS, "sub": login.sub, "sid": login.sid}
            wanted |= {"exp": end, "iat": login.opened // 1000, "ver": login.version, "scope": login.scope}
            wanted |= {"client_id": "admin"}
        agree(self._introspected(token), wanted)

    def _introspected(self, token: Access | Refresh) -> dict[str, Any]:
        document: dict[str, Any] = answered(self.served.call("POST", "/introspect", data={"token": token.raw}))
        return document


def model_of(served: Served) -> type[RuleBasedStateMachine]:
    """Return the machine of one service."""

    class ModelOfServed(Model):
        def __init__(self) -> None:
            super().__init__(served)

    return ModelOfServed
