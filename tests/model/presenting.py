"""Rules: refresh tokens presented by users, by thieves, and by whoever holds a leaked secret."""

from hypothesis import strategies as st
from hypothesis.stateful import multiple, rule

from tests.model.beside import Made, ends, moves, refreshes
from tests.model.oracle import Login
from tests.model.service import SECRETS
from tests.model.values import Device, Refresh
from tests.model.verbs import Verbs

devices = st.builds(
    Device,
    agent=st.sampled_from(("A", "B", "")),
    ip=st.sampled_from(("192.0.2.1", "192.0.2.9", "198.51.100.1", "")),
)
mostly_the_same = st.sampled_from((None, None, None, Device("B", ""), Device("A", "198.51.100.1"), Device("", "")))
scopes = st.sampled_from((None, None, "read", "all"))


class Presenting(Verbs):
    """What is presented to be refreshed."""

    @rule(target=refreshes, token=refreshes, device=st.none() | devices, scope=scopes, lost=st.booleans())
    def refresh(self, *, token: Refresh, device: Device | None, scope: str | None, lost: bool) -> Made:
        """Present any refresh token that there ever was, from the device of the last rotation or any other."""
        return self.present(token, device or self.login(token).device, scope, lost=lost)

    @rule(
        target=refreshes,
        token=refreshes,
        times=st.sampled_from((1, 1, 1, 2)),
        before=st.booleans(),
        at=st.sampled_from((("grace", 0), ("grace", 1), ("grace twice", 0), ("grace twice", 1), ("idle", 0))),
        device=mostly_the_same,
        lost=st.booleans(),
    )
    def retry_at(
        self,
        *,
        token: Refresh,
        times: int,
        before: bool,
        at: tuple[str, int],
        device: Device | None,
        lost: bool,
    ) -> Made:
        """Rotate, and retry in the last ms of a time or after it; perhaps a second time, or an older token."""
        login = self.living(token)
        used = self._latest(login)
        made: tuple[Refresh, ...] = ()
        for _ in range(times):
            made += self.present(self._latest(login), login.device, lost=lost).values
        if before:
            self.pass_ms(1)
            made += self.present(used, login.device, lost=lost).values
        which, by = at
        self.wait_until(self.end_of(login, which) + by)
        return multiple(*made, *self.present(used, device or login.device, lost=lost).values)

    @rule(target=refreshes, token=refreshes, which=ends, by=moves)
    def refresh_at(self, *, token: Refresh, which: str, by: int) -> Made:
        """Present the newest token at the instant at, before or after an end in its session."""
        login = self.living(token)
        self.wait_until(self.end_of(login, which) + by)
        return self.present(self._latest(login), login.device)

    def _latest(self, login: Login) -> Refresh:
        """Return the token of a session's generation, as the service answered with it."""
        generation = login.generation
        raw = self.raw[login.sid, generation]
        return Refresh(login.sid, generation, login.secrets[generation], raw)

    @rule(
        target=refreshes,
        token=refreshes,
        ahead=st.sampled_from((0, -1, 1, 9)),
        secret=st.sampled_from(SECRETS),
        newest=st.sampled_from(SECRETS),
    )
    def forge(self, *, token: Refresh, ahead: int, secret: str, newest: str) -> Made:
        """Present what the service never answered with, as whoever holds its secrets can; then rotate those.

        First a token of the right generation made with another secret than the stored one.
        """
        login = self.living(token)
        dropped = next(one for one in SECRETS if one != login.secrets[login.generation])
        made: tuple[Refresh, ...] = ()
        for generation, by in ((login.generation, dropped), (max(0, login.generation + ahead), secret)):
            forged = Refresh(login.sid, generation, by, self.served.refresh_token(login.sid, generation, by))
            if forged not in self.tokens:
                self.tokens.append(forged)
                self.every_token_is_judged_alike()
            made += (forged, *self.present(forged, login.device).values)
        self.newest = newest
        self.served.use_secret(newest)
        return multiple(*made)
