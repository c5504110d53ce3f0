"""The state machine: every verb over HTTP, the oracle beside it, every token judged after every step."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from itertools import count
from typing import Any

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from tests.model.oracle import Login, Oracle
from tests.model.service import SECRETS, Served
from tests.model.values import NUMBERS, Access, Device, Outcome, Refresh

ISS = "http://127.0.0.1:8400"
CAUSES = ("logout", "password_change", "admin", "compromised", "detection")

devices = st.builds(
    Device, agent=st.sampled_from(("", "A", "B")), ip=st.sampled_from(("", "192.0.2.1", "192.0.2.9", "198.51.100.1"))
)
lost = st.booleans()
users = st.sampled_from((0, 1))
causes = st.sampled_from(CAUSES)
moves = st.sampled_from((-1, 0, 1))
_S = 1000
_GRACE = NUMBERS.grace_s * _S
waits = st.sampled_from(
    (
        *(1, 999, 1000, _GRACE - 1, _GRACE, _GRACE + 1, 2 * _GRACE - 1, 2 * _GRACE),
        *(NUMBERS.access_ttl_s * _S + by for by in (-1, 0, 1)),
        *(NUMBERS.idle_ttl_s * _S + by for by in (-1, 0, 1)),
    )
)
_examples = count()


def payload(raw: str) -> dict[str, Any]:
    """Return what an access token says, without asking who signed it."""
    part = raw.split(".")[1]
    document: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return document


class Model(RuleBasedStateMachine):
    """Two users of one service. ``served`` is shared: every example has users of its own."""

    logins = Bundle("logins")
    refreshes = Bundle("refreshes")
    accesses = Bundle("accesses")

    def __init__(self, served: Served) -> None:
        super().__init__()
        self.served = served
        served.clock.advance(2000)
        self.oracle = Oracle(served.now)
        example = next(_examples)
        self.subs = [f"u{example}-{number}" for number in range(2)]
        self.raw: dict[tuple[str, int], str] = {}
        self.tokens: list[Refresh | Access] = []
        self.newest = SECRETS[0]
        served.use_secret(self.newest)

    # --- opening

    @rule(
        target=refreshes,
        user=users,
        lost=lost,
        agent=st.sampled_from(("", "A", "B")),
        auth=st.sampled_from((None, "now", "second of v", "after v", "before v")),
        version=st.sampled_from((None, "same", "other")),
        acr=st.sampled_from((None, "1", "2")),
    )
    def open(self, user: int, lost: bool, agent: str, auth: str | None, version: str | None, acr: str | None) -> Any:
        sub = self.subs[user]
        auth_time, if_version = self._instant(sub, auth), self._version(sub, version)
        body = {"sub": sub, "user_agent": agent, "auth_time": auth_time, "if_version": if_version, "acr": acr}
        answer = self.served.call("POST", "/sessions", lost=lost, json=stated(body))
        if self.oracle.superseded(sub, auth_time, if_version):
            assert_problem(answer, 409, "authentication_superseded")
            return multiple()
        assert answer.status_code == 201, answer.text
        document = answer.json()
        self._evict(sub)
        login = self.oracle.open(
            document["session_id"], sub, secret=self.newest, auth_time=auth_time, acr=acr
        )
        self._check_access(login, document)
        return self._new_refresh(login, document)

    def _evict(self, sub: str) -> None:
        """End the least recently used session; of several that were used at once, the one that the service ended."""
        leaving = self.oracle.leaving(sub)
        if leaving:
            listed = {one["session_id"] for one in self._list(sub)}
            gone = [login for login in leaving if login.sid not in listed]
            assert len(gone) == 1, f"{len(gone)} of {len(leaving)} sessions were evicted"
            self.oracle.end(gone[0].sid, "evicted")

    # --- refreshing

    @rule(target=refreshes, token=refreshes, device=devices, lost=lost)
    def refresh(self, token: Refresh, device: Device, lost: bool) -> Any:
        login = self.oracle.logins[token.sid]
        before = self.served.rotations()
        form = {"grant_type": "refresh_token", "refresh_token": token.raw, "user_agent": device.agent, "ip": device.ip}
        answer = self.served.call("POST", "/token", lost=lost, data=form)
        expected = self.oracle.refresh(token, device, self.newest)
        counted = self._counted(before)
        if not (login.forgettable and counted == {("absent", ""): 1}):
            agree(counted, {(expected.name, expected.detail): 1})
        if expected.name in {"rotated", "retried"}:
            return self._check_refreshed(login, expected, answer)
        agree((answer.status_code, answer.json()["error"]), (400, "invalid_grant"))
        if expected.name == "reused":
            audited = self.served.last_audit(token.sid)
            agree(audited.get("class"), expected.detail)
        return multiple()

    def _counted(self, before: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
        after = self.served.rotations()
        return {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}

    def _check_refreshed(self, login: Login, expected: Outcome, answer: httpx.Response) -> Any:
        assert answer.status_code == 200, answer.text
        document = answer.json()
        self._check_access(login, document)
        if expected.name == "rotated":
            return self._new_refresh(login, document)
        assert document["refresh_token"] == self.raw[login.sid, login.generation], "another successor"
        return multiple()

    @rule(target=refreshes, login=refreshes, ahead=st.sampled_from((0, 1, 2, 9)), secret=st.sampled_from(SECRETS))
    def leak(self, login: Refresh, ahead: int, secret: str) -> Any:
        """Somebody holds a refresh secret and makes tokens that this service never did."""
        generation = login.generation + ahead
        raw = self.served.refresh_token(login.sid, generation, secret)
        if raw in self.raw.values():
            return multiple()
        token = Refresh(login.sid, generation, secret, raw, "forged")
        self.tokens.append(token)
        return token

    @rule(token=refreshes, spoil=st.sampled_from(("mac", "generation", "zero", "cut")))
    def present_junk(self, token: Refresh, spoil: str) -> None:
        before = self.served.rotations()
        form = {"grant_type": "refresh_token", "refresh_token": spoiled(token.raw, spoil)}
        answer = self.served.call("POST", "/token", data=form)
        agree((answer.status_code, answer.json()["error"]), (400, "invalid_grant"))
        agree(self._counted(before), {("junk", ""): 1})

    @rule(newest=st.sampled_from(SECRETS))
    def rotate_secrets(self, newest: str) -> None:
        self.newest = newest
        self.served.use_secret(newest)

    # --- stepping up

    @rule(
        token=refreshes,
        lost=lost,
        auth=st.sampled_from((None, "now", "second of v", "after v", "before v")),
        version=st.sampled_from((None, "same", "other")),
        acr=st.sampled_from((None, "3")),
    )
    def step_up(self, token: Refresh, lost: bool, auth: str | None, version: str | None, acr: str | None) -> None:
        login = self.oracle.logins[token.sid]
        auth_time, if_version = self._instant(login.sub, auth), self._version(login.sub, version)
        body = stated({"auth_time": auth_time, "if_version": if_version, "acr": acr})
        answer = self.served.call("POST", f"/sessions/{token.sid}/step-up", lost=lost, json=body)
        refused = self.oracle.step_up(token.sid, auth_time=auth_time, if_version=if_version, acr=acr)
        if refused is None:
            assert answer.status_code == 200, answer.text
            self._check_access(login, answer.json())
        elif not (login.forgettable and answer.status_code == 404):
            assert_problem(answer, 409, refused)

    @rule(user=users, ahead=st.sampled_from((60, 10**9)))
    def authenticate_ahead(self, user: int, ahead: int) -> None:
        body = {"sub": self.subs[user], "auth_time": self.oracle.now // 1000 + ahead}
        assert_problem(self.served.call("POST", "/sessions", json=body), 422, "instant_out_of_range")

    # --- revoking

    @rule(token=refreshes, how=st.sampled_from(("form", "token", "session_id", "delete")), cause=causes, lost=lost)
    def end_session(self, token: Refresh, how: str, cause: str, lost: bool) -> None:
        if how == "form":
            answer = self.served.call("POST", "/revoke", lost=lost, data={"token": token.raw})
            cause = "logout"
        elif how == "delete":
            answer = self.served.call("DELETE", f"/sessions/{token.sid}", lost=lost, params={"cause": cause})
        else:
            named = {"token": token.raw, "session_id": token.sid}[how]
            answer = self.served.call("POST", "/revoke", lost=lost, json={how: named, "cause": cause})
        assert answer.status_code == 200, answer.text
        self.oracle.end(token.sid, cause)
        if how != "form" and not self.oracle.logins[token.sid].forgettable:
            # Known, whether or not it lived: so a repeat after a lost answer says the same.
            agree((answer.json()["revoked"], answer.json()["found"]), ("session", True))

    @precondition(lambda self: any(isinstance(one, Access) for one in self.tokens))
    @rule(pick=st.integers(0, 99), how=st.sampled_from(("form", "token", "jti")), later=st.sampled_from((0, 1, 30)), lost=lost)
    def revoke_token(self, pick: int, how: str, later: int, lost: bool) -> None:
        mine = [one for one in self.tokens if isinstance(one, Access)]
        token = mine[-1 - pick % len(mine)]
        if how == "form":
            answer = self.served.call("POST", "/revoke", lost=lost, data={"token": token.raw})
        elif how == "token":
            answer = self.served.call("POST", "/revoke", lost=lost, json={"token": token.raw})
        else:
            body = {"jti": token.jti, "sub": token.sub, "exp": token.exp + later, "cause": "admin"}
            answer = self.served.call("POST", "/revoke", lost=lost, json=body)
        assert answer.status_code == 200, answer.text
        self.oracle.user(token.sub).revoked.add(token.jti)

    @rule(user=users, cause=causes, access_only=st.booleans(), keep=st.lists(refreshes, max_size=3), junk=st.booleans(), how=st.sampled_from(("json", "delete")), lost=lost)
    def revoke_user(self, user: int, cause: str, access_only: bool, keep: list[Refresh], junk: bool, how: str, lost: bool) -> None:
        sub = self.subs[user]
        sids = [token.sid for token in keep] + ["x" * 38, "no session"] * junk
        if how == "delete":
            access_only = False
            answer = self.served.call("DELETE", "/sessions", lost=lost, params={"sub": sub, "keep": sids, "cause": cause})
        else:
            body = {"sub": sub, "keep": sids, "access_only": access_only, "cause": cause}
            answer = self.served.call("POST", "/revoke", lost=lost, json=body)
        assert answer.status_code == 200, answer.text
        document = answer.json()
        spared = {login.sid for login in self.oracle.live(sub)} if access_only else set(sids)
        kept = self.oracle.bump(sub, cause, frozenset(spared))
        agree(document["version"], self.oracle.user(sub).version)
        agree(sorted(document["kept"]), sorted(kept))

    # --- time

    @rule(ms=waits)
    def wait(self, ms: int) -> None:
        self.served.clock.advance(ms)
        self.oracle.now += ms

    @precondition(lambda self: self.oracle.logins)
    @rule(pick=st.integers(0, 99), by=moves)
    def wait_until(self, pick: int, by: int) -> None:
        """Let time pass to the instant before, at or after the end of something."""
        ends = [end + by for end in self._ends() if end + by > self.oracle.now]
        if ends:
            self.wait(ends[pick % len(ends)] - self.oracle.now)

    def _ends(self) -> list[int]:
        ends = {token.exp * 1000 for token in self.tokens if isinstance(token, Access)}
        for login in self.oracle.logins.values():
            ends |= {login.idle_end, login.end, login.rotated + _GRACE, login.rotated + 2 * _GRACE}
        return sorted(ends)

    # --- what must hold after every step

    @invariant()
    def every_token_is_judged_alike(self) -> None:
        if not self.tokens:
            return
        answer = self.served.call("POST", "/introspect/batch", json={"tokens": [one.raw for one in self.tokens]})
        assert answer.status_code == 200, answer.text
        judged = [one.get("reason") for one in answer.json()["results"]]
        expected = [self._reason(one) for one in self.tokens]
        wrong = [
            (token, got, want)
            for token, got, want in zip(self.tokens, judged, expected, strict=True)
            if got != want and not (got == "session_unknown" and self.oracle.logins[token.sid].forgettable)
        ]
        assert not wrong, wrong[:3]

    @invariant()
    def every_live_session_is_listed(self) -> None:
        for sub in self.subs:
            listed = {one["session_id"]: one for one in self._list(sub)}
            live = {login.sid: login for login in self.oracle.live(sub)}
            agree(listed.keys(), live.keys())
            for sid, login in live.items():
                seen = {name: listed[sid][name] for name in ("created_at", "last_used_at", "version", "expires_at")}
                wanted = (login.opened // 1000, login.used // 1000, login.version, login.end // 1000)
                agree(tuple(seen.values()), wanted)

    def _reason(self, token: Refresh | Access) -> str | None:
        if isinstance(token, Access):
            return self.oracle.access_reason(token)
        return self.oracle.refresh_reason(token)

    # --- helpers

    def _list(self, sub: str) -> list[dict[str, Any]]:
        answer = self.served.call("GET", "/sessions", params={"sub": sub})
        assert answer.status_code == 200, answer.text
        sessions: list[dict[str, Any]] = answer.json()["sessions"]
        return sessions

    def _instant(self, sub: str, which: str | None) -> int | None:
        """Return an authentication's time, around the user's version; never ahead of now."""
        if which is None:
            return None
        now, bumped = self.oracle.now // 1000, self.oracle.user(sub).version // 1000
        around = {"now": now, "second of v": bumped, "after v": bumped + 1, "before v": bumped - 1}[which]
        return min(now, around) if bumped else now

    def _version(self, sub: str, which: str | None) -> int | None:
        version = self.oracle.user(sub).version
        return {None: None, "same": version, "other": version + 1}[which]

    def _new_refresh(self, login: Login, document: dict[str, Any]) -> Refresh:
        raw = document["refresh_token"]
        assert raw not in self.raw.values(), "a successor that was there before"
        now, end = self.oracle.now // 1000, min(login.idle_end, login.end) // 1000
        agree(document["refresh_expires_in"], end - now)
        self.raw[login.sid, login.generation] = raw
        token = Refresh(login.sid, login.generation, login.secrets[login.generation], raw)
        self.tokens.append(token)
        return token

    def _check_access(self, login: Login, document: dict[str, Any]) -> None:
        """Compare an access token's own words with the session's; remember it."""
        said = payload(document["access_token"])
        now = self.oracle.now // 1000
        exp = min(now + NUMBERS.access_ttl_s, login.end // 1000)
        words = ("iss", "sub", "sid", "ver", "iat", "exp", "auth_time", "acr")
        expected = (ISS, login.sub, login.sid, login.version, now, exp, login.auth_time, login.acr)
        agree({word: said.get(word) for word in words}, dict(zip(words, expected, strict=True)))
        agree((document["session_id"], document["version"]), (login.sid, login.version))
        self.tokens.append(
            Access(login.sid, login.sub, said["jti"], said["ver"], said["iat"], said["exp"], document["access_token"])
        )


def stated(body: dict[str, object]) -> dict[str, object]:
    """Return a body without what was not stated."""
    return {name: value for name, value in body.items() if value not in {None, ""}}


def spoiled(raw: str, how: str) -> str:
    """Return a refresh token that no longer has a good mac or form."""
    head, generation, mac = raw.split(".")
    return {
        "mac": f"{head}.{generation}.{mac[:-3]}AAA",
        "generation": f"{head}.{int(generation) + 1}.{mac}",
        "zero": f"{head}.0{generation}.{mac}",
        "cut": raw[:-1],
    }[how]


def agree(got: object, wanted: object) -> None:
    """Compare the service's word with the oracle's; both are in the message."""
    assert got == wanted, f"the service: {got}\nthe oracle: {wanted}"


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    """Check an error document."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text


def machine(served: Served) -> Callable[[], Model]:
    """Return what makes one example's machine."""
    return lambda: Model(served)
