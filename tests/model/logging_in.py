"""Rules: opening, refreshing and stepping up, by users and by thieves."""

from hypothesis import strategies as st
from hypothesis.stateful import multiple, rule

from tests.model.beside import Beside, Made, refreshes
from tests.model.checks import agree, answered, refused, spoiled, stated
from tests.model.service import SECRETS
from tests.model.values import Device, Refresh

SCOPE = "read write"

devices = st.builds(
    Device,
    agent=st.sampled_from(("", "A", "B")),
    ip=st.sampled_from(("192.0.2.1", "192.0.2.9", "198.51.100.1", "")),
)
authentications = st.sampled_from((None, "now", "second of v", "after v", "before v"))
versions = st.sampled_from((None, None, "same", "other"))


class LoggingIn(Beside):
    """What a caller that opens sessions does, and what is presented to it."""

    @rule(
        target=refreshes,
        user=st.sampled_from((0, 1)),
        agent=st.sampled_from(("", "A")),
        authenticated=authentications,
        version=versions,
        acr=st.sampled_from((None, "1")),
        lost=st.booleans(),
    )
    def open(
        self, *, user: int, agent: str, authenticated: str | None, version: str | None, acr: str | None, lost: bool
    ) -> Made:
        """Log in."""
        sub = self.subs[user]
        auth_time, if_version = self._instant(sub, authenticated), self._version(sub, version)
        body = stated(sub=sub, user_agent=agent, auth_time=auth_time, if_version=if_version, acr=acr, scope=SCOPE)
        answer = self.served.call("POST", "/sessions", lost=lost, json=body)
        if self.oracle.superseded(sub, auth_time, if_version):
            refused(answer, 409, "authentication_superseded")
            return multiple()
        document = answered(answer, 201)
        self._evict(sub)
        login = self.oracle.open(
            document["session_id"], sub, secret=self.newest, auth_time=auth_time, acr=acr, scope=SCOPE
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
        target=refreshes,
        token=refreshes,
        device=devices,
        scope=st.sampled_from((None, "read", "all")),
        lost=st.booleans(),
    )
    def refresh(self, *, token: Refresh, device: Device, scope: str | None, lost: bool) -> Made:
        """Present any refresh token that there ever was."""
        login, before = self.login(token), self.served.rotations()
        form = {"grant_type": "refresh_token", "refresh_token": token.raw}
        form |= {name: str(value) for name, value in stated(user_agent=device.agent, ip=device.ip, scope=scope).items()}
        answer = self.served.call("POST", "/token", lost=lost, data=form)
        came_to, counted = self.oracle.refresh(token, device, self.newest, scope), self.counted(before)
        if not (login.forgettable and counted == {("absent", ""): 1}):
            agree(counted, {(came_to.name, came_to.detail): 1})
        if came_to.name in {"rotated", "retried"}:
            return self.remembered(login, answered(answer), scope)
        refused(answer, 400, "invalid_scope" if came_to.name == "scope_exceeded" else "invalid_grant")
        if came_to.name == "reused":
            audited = self.served.last_audit(token.sid)
            agree([audited.get(name) for name in ("kind", "class")], ["reused", came_to.detail])
        return multiple()

    @rule(target=refreshes, token=refreshes, ahead=st.sampled_from((0, 0, 1, 9)), secret=st.sampled_from(SECRETS))
    def forge(self, *, token: Refresh, ahead: int, secret: str) -> Made:
        """Make a token that the service never answered with, as whoever holds its secrets can."""
        generation = token.generation + ahead
        raw = self.served.refresh_token(token.sid, generation, secret)
        if any(raw == one.raw for one in self.tokens):
            return multiple()
        forged = Refresh(token.sid, generation, secret, raw)
        self.tokens.append(forged)
        return multiple(forged)

    @rule(token=refreshes, how=st.sampled_from(("mac", "generation", "zero", "cut")))
    def present_junk(self, *, token: Refresh, how: str) -> None:
        """Junk is refused and ends nothing."""
        before = self.served.rotations()
        form = {"grant_type": "refresh_token", "refresh_token": spoiled(token.raw, how)}
        refused(self.served.call("POST", "/token", data=form), 400, "invalid_grant")
        agree(self.counted(before), {("junk", ""): 1})

    @rule(newest=st.sampled_from(SECRETS))
    def rotate_secrets(self, *, newest: str) -> None:
        """An operator makes another secret the newest."""
        self.newest = newest
        self.served.use_secret(newest)

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
        login = self.login(token)
        auth_time, if_version = self._instant(login.sub, authenticated), self._version(login.sub, version)
        body = stated(auth_time=auth_time, if_version=if_version, acr=acr)
        answer = self.served.call("POST", f"/sessions/{token.sid}/step-up", lost=lost, json=body)
        code = self.oracle.step_up(token.sid, auth_time=auth_time, if_version=if_version, acr=acr)
        if code is None:
            self.remembered(login, answered(answer))
        elif not (login.forgettable and answer.status_code == 404):
            refused(answer, 409, code)

    @rule(user=st.sampled_from((0, 1)), ahead=st.sampled_from((60, 10**9)))
    def authenticate_ahead(self, *, user: int, ahead: int) -> None:
        """An authentication in the future is refused."""
        body = {"sub": self.subs[user], "auth_time": self.oracle.now // 1000 + ahead}
        refused(self.served.call("POST", "/sessions", json=body), 422, "instant_out_of_range")

    def _instant(self, sub: str, which: str | None) -> int | None:
        """Return an authentication's time (s) around the user's version, and never ahead of now."""
        now, bumped = self.oracle.now // 1000, self.oracle.user(sub).version // 1000
        if which is None or not bumped:
            return now if which else None
        return min(now, {"now": now, "second of v": bumped, "after v": bumped + 1, "before v": bumped - 1}[which])

    def _version(self, sub: str, which: str | None) -> int | None:
        version = self.oracle.user(sub).version
        return {None: None, "same": version, "other": version + 1}[which]
