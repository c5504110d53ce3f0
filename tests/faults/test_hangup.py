"""Callers hang up at any moment, and the engine stalls now and then: no answer ever reaches another request."""

import asyncio
import random
from urllib.parse import urlencode

from tests.engines import RunningEngine
from tests.faults.api import FORM, Api, Tokens, sessions_path
from tests.faults.wire import Answer

PEOPLE = 64
REQUESTS = 60


async def test_each_answer_belongs_to_its_own_request(api: Api, engine: RunningEngine) -> None:
    owners = {f"user-{at}": await api.opened(f"user-{at}") for at in range(PEOPLE)}
    stalling = asyncio.create_task(_stall(engine))
    answered = await asyncio.gather(*(_ask_and_hang_up(api, sub, tokens) for sub, tokens in owners.items()))
    stalling.cancel()
    await asyncio.gather(stalling, return_exceptions=True)
    assert all(answered)


async def _stall(engine: RunningEngine) -> None:
    """Around the time limit of a read: some answers arrive when nobody waits for them any more."""
    dice = random.Random("stall")
    try:
        while True:
            await asyncio.sleep(dice.uniform(0.1, 0.3))
            engine.pause()
            await asyncio.sleep(dice.uniform(0.4, 0.6))
            engine.resume()
    finally:
        engine.resume()


async def _ask_and_hang_up(api: Api, sub: str, tokens: Tokens) -> int:
    dice = random.Random(sub)
    answered = 0
    for _ in range(REQUESTS):
        if dice.random() < 0.5:
            await _hang_up(api, tokens, dice)
        else:
            tokens, done = await _ask(api, sub, tokens, dice)
            answered += done
    return answered


async def _hang_up(api: Api, tokens: Tokens, dice: random.Random) -> None:
    """After a part of a request, after all of it, or a moment later."""
    body = urlencode({"token": dice.choice((tokens.access, tokens.refresh))}).encode()
    request = api.wire.request("POST", "/introspect", api.auth | FORM, body)
    connection = await api.wire.connect()
    await connection.send(request[: dice.choice((40, len(request) - 20, len(request), len(request)))])
    await asyncio.sleep(dice.choice((0, 0.001, 0.005)))
    connection.abort()


async def _ask(api: Api, sub: str, tokens: Tokens, dice: random.Random) -> tuple[Tokens, bool]:
    """One answered request; return the tokens to go on with, and whether it was more than "unavailable"."""
    match dice.randrange(4):
        case 0:
            answer = await api.introspect(tokens.access)
            return tokens, _own(answer, "sub", sub)
        case 1:
            answer = await api.introspect(tokens.refresh)
            return tokens, _own(answer, "sid", tokens.sid)
        case 2:
            answer = await api.get(sessions_path(tokens.sid))
            return tokens, _own(answer, "sub", sub)
        case _:
            answer = await api.refresh(tokens.refresh)
            return tokens, _own(answer, "session_id", tokens.sid)


def _own(answer: Answer, name: str, value: str) -> bool:
    if answer.status == 503:
        return False
    assert (answer.status, answer.document[name]) == (200, value), answer.body
    return True
