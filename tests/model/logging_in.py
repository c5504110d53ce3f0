"""Rules: opening sessions and stepping up."""

from hypothesis import strategies as st
from hypothesis.stateful import multiple, rule

from tests.model.beside import Beside, Made, refreshes
from tests.model.checks import answered, refused, stated
from tests.model.values import NUMBERS, Device, Refresh

SCOPE = "read write"
HOME = Device("A", "")

devices = st.builds(
    Device,
    agent=st.sampled_from(("", "A", "B")),
    ip=st.sampled_from(("192.0.2.1", "192.0.2.9", "198.51.100.1", "")),
)
authentications = st.sampled_from((None, "now", "second of v", "after v", "before v"))
versions = st.sampled_from((None, None, "same", "other"))


class LoggingIn(Beside):
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
        auth_time, if_version = self._instant(sub, authenticated), self._version(sub, version)
        return self.log_in(sub, auth_time=auth_time, if_version=if_version, acr=acr, lost=lost)

    def log_in(
        self,
        sub: str,
        *,
        auth_time: int | None = None,
        if_version: int | None = None,
        acr: str | None = None,
        lost: bool = False,
    ) -> Made:
        """Open a session on both sides."""
        body = stated(sub=sub, user_agent=HOME.agent, auth_time=auth_time, if_version=if_version, acr=acr, scope=SCOPE)
        answer = self.served.call("POST", "/sessions", lost=lost, json=body)
        if self.oracle.superseded(sub, auth_time, if_version):
            refused(answer, 409, "authentication_superseded")
            return multiple()
        document = answered(answer, 201)
        self._evict(sub)
        login = self.oracle.open(
            document["session_id"], sub, HOME, secret=self.newest, auth_time=auth_time, acr=acr, scope=SCOPE
        )
        return self.remembered(login, document)

    def _evict(self, sub: str) -> None:
        """End the least recently used session; of several used at once, the one that the service ended."""
        leaving = self.oracle.leaving(sub)
        if leaving:
            listed = {one["session_id"] for one in self.listed(sub)}
            gone = [login.sid for login in leaving if login.sid not in listed]
            assert len(gone) == 1, f"{len(gone)} of the {len(leaving)} least recently used were evicted"
            self.oracle.end(gone[0], "evicted")

    @rule(
        token=refreshes,
        authenticated=authentications,
        version=versions,
        acr=st.sampled_from((None, "2")),
        lost=st.booleans(),
    )
    def step_up(
        self, *, token: Refresh, authenticated: str | None, version: str | None, acr: str | None, lost: bool
    ) -> None:
        """Authenticate again in a session, alive or not."""
        sub = self.login(token).sub
        auth_time, if_version = self._instant(sub, authenticated), self._version(sub, version)
        self._step_up(token.sid, auth_time=auth_time, if_version=if_version, acr=acr, lost=lost)

    @rule(token=refreshes, which=st.sampled_from(("idle", "end")))
    def step_up_late(self, *, token: Refresh, which: str) -> None:
        """Authenticate again in the last ms of a session: the access token does not outlive it."""
        login = self.living(token)
        end = self.end_of(login, which)
        self.wait_until(end - 1)
        self._step_up(login.sid)
        self.every_token_is_judged_alike()
        self.wait_until(end)

    def _step_up(
        self,
        sid: str,
        *,
        auth_time: int | None = None,
        if_version: int | None = None,
        acr: str | None = None,
        lost: bool = False,
    ) -> None:
        login, body = self.oracle.logins[sid], stated(auth_time=auth_time, if_version=if_version, acr=acr)
        answer = self.served.call("POST", f"/sessions/{sid}/step-up", lost=lost, json=body)
        code = self.oracle.step_up(sid, auth_time=auth_time, if_version=if_version, acr=acr)
        if code is None:
            self.remembered(login, answered(answer))
        elif not (login.forgettable and answer.status_code == 404):
            refused(answer, 409, code)

    def _instant(self, sub: str, which: str | None) -> int | None:
        """Return an authentication's time (s) around the user's version, and never ahead of now."""
        now, bumped = self.oracle.now // 1000, self.oracle.user(sub).version // 1000
        if which is None or not bumped:
            return now if which else None
        return min(now, {"now": now, "second of v": bumped, "after v": bumped + 1, "before v": bumped - 1}[which])

    def _version(self, sub: str, which: str | None) -> int | None:
        version = self.oracle.user(sub).version
        return {None: None, "same": version, "other": version + 1}[which]
