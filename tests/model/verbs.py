"""The verbs as the rules use them: each acts on the service and on the oracle, and compares the answers."""

import httpx
from hypothesis.stateful import multiple

from tests.model.beside import Beside, Made
from tests.model.checks import agree, answered, refused, stated
from tests.model.oracle import Login
from tests.model.values import Device, Refresh

SCOPE = "read write"
HOME = Device("A", "")


class Verbs(Beside):
    """What rules are made of."""

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

    def living(self, token: Refresh) -> Login:
        """Return a token's session, or the newest that lives when that one does not; at least a new one."""
        login = self.login(token)
        live = [one for sub in self.subs for one in self.oracle.live(sub)]
        if not live:
            self.log_in(login.sub)
            live = self.oracle.live(login.sub)
        return login if login in live else max(live, key=lambda one: one.opened)

    def step_up(
        self,
        sid: str,
        *,
        auth_time: int | None = None,
        if_version: int | None = None,
        acr: str | None = None,
        lost: bool = False,
    ) -> None:
        """Authenticate again in a session on both sides."""
        login, body = self.oracle.logins[sid], stated(auth_time=auth_time, if_version=if_version, acr=acr)
        answer = self.served.call("POST", f"/sessions/{sid}/step-up", lost=lost, json=body)
        code = self.oracle.step_up(sid, auth_time=auth_time, if_version=if_version, acr=acr)
        if code is None:
            self.remembered(login, answered(answer))
        elif not (login.forgettable and answer.status_code == 404):
            refused(answer, 409, code)

    def instant(self, sub: str, which: str | None) -> int | None:
        """Return an authentication's time (s) around the user's version, and never ahead of now."""
        now, bumped = self.oracle.now // 1000, self.oracle.user(sub).version // 1000
        if which is None or not bumped:
            return now if which else None
        return min(now, {"now": now, "second of v": bumped, "after v": bumped + 1, "before v": bumped - 1}[which])

    def version(self, sub: str, which: str | None) -> int | None:
        """Return the user's version, or another."""
        version = self.oracle.user(sub).version
        return {None: None, "same": version, "other": version + 1}[which]

    def present(self, token: Refresh, device: Device, scope: str | None = None, *, lost: bool = False) -> Made:
        """Present a refresh token on both sides."""
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

    def revoke_all(self, sub: str, keep: list[str], how: str, cause: str, *, lost: bool = False) -> None:
        """Bump a user on both sides."""
        document = answered(self._bump(sub, keep, how, cause, lost=lost))
        spared = {login.sid for login in self.oracle.live(sub)} if how == "access_only" else set(keep)
        kept = self.oracle.bump(sub, cause, frozenset(spared))
        agree((document["version"], sorted(document["kept"])), (self.oracle.user(sub).version, sorted(kept)))

    def _bump(self, sub: str, keep: list[str], how: str, cause: str, *, lost: bool) -> httpx.Response:
        if how == "delete":
            params = {"sub": sub, "keep": keep, "cause": cause}
            return self.served.call("DELETE", "/sessions", lost=lost, params=params)
        body = {"sub": sub, "keep": keep, "access_only": how == "access_only", "cause": cause}
        return self.served.call("POST", "/revoke", lost=lost, json=body)
