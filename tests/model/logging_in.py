"""Rules: opening sessions and stepping up."""

from hypothesis import strategies as st
from hypothesis.stateful import multiple, rule

from tests.model.beside import Made, moves, refreshes
from tests.model.values import NUMBERS, Device, Refresh
from tests.model.verbs import Verbs

devices = st.builds(
    Device,
    agent=st.sampled_from(("", "A", "B")),
    ip=st.sampled_from(("192.0.2.1", "192.0.2.9", "198.51.100.1", "")),
)
authentications = st.sampled_from((None, "now", "second of v", "after v", "before v"))
versions = st.sampled_from((None, None, "same", "other"))


class LoggingIn(Verbs):
    """What a caller that opens sessions does, and what is presented to it."""

    @rule(target=refreshes, user=st.sampled_from((0, 0, 0, 1)), later=st.sampled_from((1, 0)), lost=st.booleans())
    def open(self, *, user: int, later: int, lost: bool) -> Made:
        """Log in, saying nothing of the authentication, so that it is never refused."""
        self.pass_ms(later)
        return self.log_in(self.subs[user], lost=lost)

    @rule(target=refreshes, token=refreshes, lost=st.booleans())
    def crowd(self, *, token: Refresh, lost: bool) -> Made:
        """Log in on so many devices that others must go."""
        made: list[Refresh] = []
        for _ in range(NUMBERS.max_sessions):
            self.pass_ms(1)
            made += self.log_in(self.login(token).sub, lost=lost).values
        return multiple(*made)

    @rule(
        target=refreshes,
        user=st.sampled_from((0, 0, 0, 1)),
        authenticated=authentications,
        version=versions,
        acr=st.sampled_from((None, "1")),
        lost=st.booleans(),
    )
    def open_stating(
        self, *, user: int, authenticated: str | None, version: str | None, acr: str | None, lost: bool
    ) -> Made:
        """Log in with an authentication that may be older than the user's last revocation."""
        sub = self.subs[user]
        auth_time, if_version = self.instant(sub, authenticated), self.version(sub, version)
        return self.log_in(sub, auth_time=auth_time, if_version=if_version, acr=acr, lost=lost)

    @rule(
        token=refreshes,
        authenticated=authentications,
        version=versions,
        acr=st.sampled_from((None, "2")),
        lost=st.booleans(),
    )
    def authenticate_again(
        self, *, token: Refresh, authenticated: str | None, version: str | None, acr: str | None, lost: bool
    ) -> None:
        """Authenticate again in a session, alive or not."""
        sub = self.login(token).sub
        auth_time, if_version = self.instant(sub, authenticated), self.version(sub, version)
        self.step_up(token.sid, auth_time=auth_time, if_version=if_version, acr=acr, lost=lost)

    @rule(token=refreshes, which=st.sampled_from(("idle", "end")))
    def step_up_late(self, *, token: Refresh, which: str) -> None:
        """Authenticate again in the last ms of a session: the access token does not outlive it."""
        login = self.living(token)
        end = self.end_of(login, which)
        self.wait_until(end - 1)
        self.step_up(login.sid)
        self.every_token_is_judged_alike()
        self.wait_until(end)

    @rule(
        target=refreshes, token=refreshes, how=st.sampled_from(("json", "access_only")), by=moves, again=st.booleans()
    )
    def race_a_bump(self, *, token: Refresh, how: str, by: int, again: bool) -> Made:
        """Authenticate in, before and after the second of a bump, in a session that it spares or in a new one."""
        login = self.living(token)
        self.revoke_all(login.sub, [login.sid], how, "password_change")
        self.pass_ms(1000)
        bumped = self.oracle.user(login.sub).version // 1000
        auth_time = min(bumped + by, self.oracle.now // 1000)
        if not again:
            return self.log_in(login.sub, auth_time=auth_time)
        self.step_up(login.sid, auth_time=auth_time)
        return multiple()
