"""A load of logins, rotations and revocations, and the book of what the service acknowledged of it.

What was asked for and not acknowledged may or may not have happened: its login is in doubt and nothing is said of it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.faults.api import Api, Tokens, is_dead, sessions_path, tokens_of
from tests.faults.wire import Answer, Unanswered

# The reasons that a revocation which was acknowledged may give, for access tokens and for refresh tokens.
_SESSION_ENDED = frozenset({"session_revoked"})
_USER_ENDED = frozenset({"version_superseded", "session_superseded"})
_TOKEN_ENDED = frozenset({"token_revoked"})


class Doubt(Exception):
    """The service did not acknowledge, so what was asked for may or may not have happened."""


@dataclass(slots=True, eq=False)
class Login:
    """One session as its owner knows it: the tokens that were handed out, the last of them in `tokens`."""

    tokens: Tokens
    access: list[str] = field(default_factory=list)
    refresh: list[str] = field(default_factory=list)

    def keep(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.access.append(tokens.access)
        self.refresh.append(tokens.refresh)


@dataclass(slots=True)
class Ledger:
    """What was acknowledged: `dead` tokens with the reasons that they may give, and `alive` logins by session."""

    dead: dict[str, frozenset[str]] = field(default_factory=dict)
    alive: dict[str, Login] = field(default_factory=dict)

    async def verify(self, api: Api, dice: random.Random) -> None:
        """Every acknowledged revocation is in force, and every acknowledged login refreshes."""
        tokens = list(self.dead)
        verdicts = await api.verdicts(tokens)
        wrong = [found for token, found in zip(tokens, verdicts, strict=True) if found not in self.dead[token]]
        assert not wrong, wrong
        refresh = [token for token in tokens if token.startswith("qrt_")]
        presented = dice.sample(refresh, min(len(refresh), 20))
        assert all(is_dead(answer) for answer in await asyncio.gather(*map(api.refresh, presented)))
        logins = list(self.alive.values())
        for login, tokens_now in zip(logins, await asyncio.gather(*map(_again(api), logins)), strict=True):
            login.keep(tokens_now)
        assert set(await api.verdicts(login.tokens.access for login in logins)) <= {"active"}

    def thin(self, dice: random.Random) -> None:
        """Forget most of what was verified, so that a long run does not become slow."""
        self.dead = dict(dice.sample(list(self.dead.items()), min(len(self.dead), 5_000)))
        self.alive = dict(dice.sample(list(self.alive.items()), min(len(self.alive), 100)))


def _again(api: Api) -> Callable[[Login], Awaitable[Tokens]]:
    return lambda login: api.refreshed(login.tokens.refresh)


class Load:
    """Persons who log in, refresh and revoke, until they are told to stop, whatever the service does meanwhile."""

    def __init__(self, api: Api, ledger: Ledger, dice: random.Random, name: str) -> None:
        self._api = api
        self._ledger = ledger
        self._dice = dice
        self._name = name
        self._stopped = False

    async def run(self, persons: int = 12) -> None:
        """Let that many live at once."""
        await asyncio.gather(*(self._live(f"{self._name}-{at}") for at in range(persons)))

    def stop(self) -> None:
        """Let everybody finish what was begun."""
        self._stopped = True

    async def _live(self, name: str) -> None:
        life = 0
        while not self._stopped:
            life += 1
            try:
                await self._person(f"{name}-{life}")
            except Doubt:
                # The service is away: a pause, not a storm.
                await asyncio.sleep(0.02)

    async def _person(self, sub: str) -> None:
        logins = [await self._login(sub) for _ in range(self._dice.randint(1, 2))]
        for login in logins:
            for _ in range(self._dice.randint(0, 3)):
                login.keep(tokens_of(await self._sure(self._api.refresh(login.tokens.refresh))))
        fates = (_stay, self._lose_token, self._log_out, self._log_out_by_form, self._lose_all)
        await self._dice.choice(fates)(sub, logins)

    async def _login(self, sub: str) -> Login:
        login = Login(tokens_of(await self._sure(self._api.open(sub))))
        login.keep(login.tokens)
        self._ledger.alive[login.tokens.sid] = login
        return login

    async def _lose_token(self, sub: str, logins: Sequence[Login]) -> None:
        del sub
        lost = self._dice.choice(logins[0].access)
        await self._sure(self._api.revoke(token=lost, cause="compromised"))
        self._ledger.dead[lost] = _TOKEN_ENDED

    async def _log_out(self, sub: str, logins: Sequence[Login]) -> None:
        del sub
        await self._bury(logins[:1], self._api.delete(sessions_path(logins[0].tokens.sid)), _SESSION_ENDED)

    async def _log_out_by_form(self, sub: str, logins: Sequence[Login]) -> None:
        del sub
        any_of_it = self._dice.choice(logins[0].refresh)
        await self._bury(logins[:1], self._api.form("/revoke", token=any_of_it), _SESSION_ENDED)

    async def _lose_all(self, sub: str, logins: Sequence[Login]) -> None:
        await self._bury(logins, self._api.revoke(sub=sub, cause="password_change"), _USER_ENDED)

    async def _bury(self, logins: Sequence[Login], asking: Awaitable[Answer], reasons: frozenset[str]) -> None:
        """From the asking on they may be dead, from the acknowledgement on they are."""
        for login in logins:
            del self._ledger.alive[login.tokens.sid]
        await self._sure(asking)
        for login in logins:
            self._ledger.dead.update(dict.fromkeys([*login.access, *login.refresh], reasons))

    async def _sure(self, asking: Awaitable[Answer]) -> Answer:
        try:
            answer = await asking
        except Unanswered:
            raise Doubt from None
        if answer.status == 503:
            assert answer.headers["retry-after"].isdigit()
            raise Doubt
        assert answer.status in (200, 201), (answer.status, answer.body)
        return answer


async def _stay(sub: str, logins: Sequence[Login]) -> None:
    """Nothing happens to most people."""
