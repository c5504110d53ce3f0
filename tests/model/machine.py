"""The state machine: every verb, time, and every token judged after every step."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.model.beside import ISS, Made, moves, picks, refreshes
from tests.model.checks import agree, answered, payload, refused, spoiled
from tests.model.logging_in import LoggingIn
from tests.model.presenting import Presenting
from tests.model.revoking import Revoking
from tests.model.service import Served
from tests.model.values import NUMBERS, Access, Refresh

waits = st.sampled_from(("expiry", "grace", "idle", "end", 1, 999, 1000, NUMBERS.grace_s * 1000))


class Model(LoggingIn, Presenting, Revoking):
    """All rules together."""

    @initialize(target=refreshes)
    def first(self) -> Made:
        """Begin with a session, so that no step is wasted on nothing."""
        return self.log_in(self.subs[0])

    @rule(pick=picks, token=refreshes, which=waits, by=moves)
    def wait(self, *, pick: int, token: Refresh, which: str | int, by: int) -> None:
        """Let some ms pass, or until the instant at, before or after an access token's or a session's end."""
        if isinstance(which, int):
            self.pass_ms(which)
        elif which == "expiry":
            self.wait_until(self.access(pick).exp * 1000 + by)
        else:
            self.wait_until(self.end_of(self.living(token), which) + by)

    @rule(token=refreshes, pick=picks)
    def slip(self, *, token: Refresh, pick: int) -> None:
        """Instants ahead, milliseconds for seconds, and junk are refused, and change nothing."""
        now, access = self.oracle.now // 1000, self.access(pick)
        for ahead in (60, 10**9):
            body: dict[str, object] = {"sub": access.sub, "auth_time": now + ahead}
            refused(self.served.call("POST", "/sessions", json=body), 422, "instant_out_of_range")
        body = {"jti": access.jti, "sub": access.sub, "exp": access.exp * 1000}
        refused(self.served.call("POST", "/revoke", json=body), 422, "instant_out_of_range")
        before = self.served.rotations()
        junk = spoiled(token.raw)
        for raw in junk:
            form = {"grant_type": "refresh_token", "refresh_token": raw}
            refused(self.served.call("POST", "/token", data=form), 400, "invalid_grant")
        agree(self.counted(before), {("junk", ""): len(junk)})

    @invariant()
    def a_look_at_the_newest_token_says_what_it_is(self) -> None:
        """RFC 7662: an active token's own words; of any other exactly that it is not active."""
        for token in self.tokens[-1:]:
            active = self.reason(token) is None
            agree(self._introspected(token), self._words(token) if active else {"active": False})

    def _words(self, token: Access | Refresh) -> dict[str, Any]:
        if isinstance(token, Access):
            said = payload(token.raw)
            words = ("iss", "sub", "aud", "exp", "iat", "jti", "sid", "ver", "auth_time", "acr", "scope", "client_id")
            return {name: said[name] for name in words if name in said} | {"active": True, "token_type": "Bearer"}
        login = self.login(token)
        words_of_session = {"iss": ISS, "sub": login.sub, "sid": login.sid, "ver": login.version, "scope": login.scope}
        ends = {"iat": login.opened // 1000, "exp": min(login.idle_end, login.end) // 1000}
        return words_of_session | ends | {"active": True, "token_type": "refresh_token", "client_id": "admin"}

    def _introspected(self, token: Access | Refresh) -> dict[str, Any]:
        document: dict[str, Any] = answered(self.served.call("POST", "/introspect", data={"token": token.raw}))
        return document


def model_of(served: Served) -> type[RuleBasedStateMachine]:
    """Return the machine of one service."""

    class ModelOfServed(Model):
        def __init__(self) -> None:
            super().__init__(served)

    return ModelOfServed
