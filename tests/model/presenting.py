"""Rules: refresh tokens presented by users, by thieves, and by whoever holds a leaked secret."""

from hypothesis import strategies as st
from hypothesis.stateful import multiple, rule

from tests.model.beside import Beside, Made, ends, moves, refreshes
from tests.model.checks import agree, answered, refused, spoiled, stated
from tests.model.oracle import Login
from tests.model.service import SECRETS
from tests.model.values import Device, Refresh

devices = st.builds(
    Device,
    agent=st.sampled_from(("A", "B", "")),
    ip=st.sampled_from(("192.0.2.1", "192.0.2.9", "198.51.100.1", "")),
)
scopes = st.sampled_from((None, None, "read", "all"))


class Presenting(Beside):
    """What is presented to be refreshed."""

    @rule(target=refreshes, token=refreshes, device=st.none() | devices, scope=scopes, lost=st.booleans())
    def refresh(self, *, token: Refresh, device: Device | None, scope: str | None, lost: bool) -> Made:
        """Present any refresh token that there ever was, from the device of the last rotation or any other."""
        return self._present(token, device or self.login(token).device, scope, lost=lost)

    @rule(
        target=refreshes,
        token=refreshes,
        back=st.sampled_from((1, 0, 2)),
        which=ends,
        by=moves,
        device=st.none() | devices,
        lost=st.booleans(),
    )
    def refresh_at(self, *, token: Refresh, back: int, which: str, by: int, device: Device | None, lost: bool) -> Made:
        """Present one of the last three generations at the instant at, before or after an end in its session."""
        login = self.login(token)
        self.wait_until(self.end_of(login, which) + by)
        latest = self._answered(login, login.generation - back) or token
        return self._present(latest, device or login.device, None, lost=lost)

    def _answered(self, login: Login, generation: int) -> Refresh | None:
        """Return the token of a generation as the service answered with it, if there is one."""
        raw = self.raw.get((login.sid, generation))
        return next((one for one in self.tokens if isinstance(one, Refresh) and one.raw == raw), None)

    @rule(
        target=refreshes,
        token=refreshes,
        ahead=st.sampled_from((0, -1, 1, 9)),
        secret=st.sampled_from(SECRETS),
        device=st.none() | devices,
    )
    def forge(self, *, token: Refresh, ahead: int, secret: str, device: Device | None) -> Made:
        """Present a token that the service never answered with, as whoever holds its secrets can."""
        login = self.login(token)
        generation = max(0, login.generation + ahead)
        forged = Refresh(token.sid, generation, secret, self.served.refresh_token(token.sid, generation, secret))
        if forged not in self.tokens:
            self.tokens.append(forged)
            self.every_token_is_judged_alike()
        return self._present(forged, device or login.device, None, lost=False)

    def _present(self, token: Refresh, device: Device, scope: str | None, *, lost: bool) -> Made:
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
