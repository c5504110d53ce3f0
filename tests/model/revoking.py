"""Rules: everything that takes something back."""

from typing import Any

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.model.beside import picks, refreshes
from tests.model.checks import agree, answered
from tests.model.values import Refresh
from tests.model.verbs import Verbs

causes = st.sampled_from(("logout", "password_change", "admin", "compromised", "detection"))
NO_SESSIONS = ["x" * 38, "no session"]


class Revoking(Verbs):
    """What a caller that may revoke does."""

    @rule(
        token=refreshes,
        how=st.sampled_from(("form", "token", "session_id", "delete")),
        cause=causes,
        lost=st.booleans(),
    )
    def end_session(self, *, token: Refresh, how: str, cause: str, lost: bool) -> None:
        """End a session: by its id, or by a refresh token of any generation."""
        answer = self._end(token, how, cause, lost=lost)
        self.oracle.end(token.sid, "logout" if how == "form" else cause)
        document = answered(answer)
        if how != "form" and not self.login(token).forgettable:
            # Known, whether or not it lived: so a repeat after a lost answer says the same.
            agree((document["revoked"], document["found"]), ("session", True))

    def _end(self, token: Refresh, how: str, cause: str, *, lost: bool) -> httpx.Response:
        if how == "form":
            return self.served.call("POST", "/revoke", lost=lost, data={"token": token.raw})
        if how == "delete":
            return self.served.call("DELETE", f"/sessions/{token.sid}", lost=lost, params={"cause": cause})
        named = {"token": token.raw, "session_id": token.sid}[how]
        return self.served.call("POST", "/revoke", lost=lost, json={how: named, "cause": cause})

    @rule(
        pick=picks,
        how=st.sampled_from(("form", "token", "jti", "jti, expiry unknown")),
        lost=st.booleans(),
    )
    def revoke_token(self, *, pick: int, how: str, lost: bool) -> None:
        """Take back one access token, at hand or not; an expired one is forgotten, not remembered."""
        token = self.access(pick)
        request: dict[str, Any] = {"data": {"token": token.raw}} if how == "form" else {"json": {"token": token.raw}}
        if how.startswith("jti"):
            exp = token.exp if how == "jti" else max(token.exp, self.oracle.now // 1000 + 100)
            request = {"json": {"jti": token.jti, "sub": token.sub, "exp": exp, "cause": "admin"}}
        answered(self.served.call("POST", "/revoke", lost=lost, **request))
        self.oracle.user(token.sub).revoked.add(token.jti)

    @rule(
        user=st.sampled_from((0, 1)),
        keep=st.lists(refreshes, max_size=3),
        junk=st.booleans(),
        how=st.sampled_from(("delete", "json", "access_only")),
        cause=causes,
        times=st.sampled_from((1, 1, 2)),
        lost=st.booleans(),
    )
    def revoke_user(
        self, *, user: int, keep: list[Refresh], junk: bool, how: str, cause: str, times: int, lost: bool
    ) -> None:
        """Revoke all of a user but what it may keep: its own sessions, and only those alive; perhaps twice at once."""
        sub = self.subs[user]
        sids = [token.sid for token in keep] + NO_SESSIONS * junk
        for _ in range(times):
            self.revoke_all(sub, sids, how, cause, lost=lost)
