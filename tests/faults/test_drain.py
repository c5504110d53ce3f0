"""SIGTERM under load: every request that was taken is answered whole, and the process ends in good order."""

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from tests.faults.api import JSON, Api, Tokens, talking
from tests.faults.wire import Unanswered
from tests.servers import serve


@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm_answers_what_was_taken_and_refuses_the_rest(tmp_path: Path, workers: int) -> None:
    with serve(tmp_path, workers=workers, env={"QUASH_OPENS_PER_MINUTE": "100000"}) as server:
        async with talking(server.url, server.admin_secret) as api:
            tokens = await api.opened("ann")
            load = _Load(api, tokens)
            living = asyncio.create_task(load.run(32))
            await load.warm.wait()
            code = await asyncio.to_thread(server.stop)
            await living
        assert code == 0
        taken = {json.loads(line).get("request_id") for line in server.logs().splitlines() if '"request"' in line}
        assert (taken & load.asked) - load.answered == set()
        assert load.begun == 0
        assert load.refused == 32
        server.restart()
        async with talking(server.url, server.admin_secret) as api:
            assert set(await api.verdicts(load.opened)) == {"active"}


class _Load:
    """Callers that ask without end, each until it is refused at connect."""

    def __init__(self, api: Api, tokens: Tokens) -> None:
        self._api = api
        self._tokens = tokens
        self._numbers = itertools.count()
        self.warm = asyncio.Event()
        self.asked: set[str] = set()
        self.answered: set[str] = set()
        self.opened: list[str] = []
        self.begun = self.refused = 0

    async def run(self, callers: int) -> None:
        await asyncio.gather(*(self._ask_until_refused() for _ in range(callers)))

    async def _ask_until_refused(self) -> None:
        while True:
            number = f"drain-{next(self._numbers)}"
            try:
                await self._ask(number)
            except Unanswered as error:
                self.begun += error.begun
                if error.refused:
                    self.refused += 1
                    return

    async def _ask(self, number: str) -> None:
        self.asked.add(number)
        headers = {**self._api.auth, **JSON, "x-request-id": number}
        body = json.dumps({"sub": number}).encode()
        answer = await self._api.wire.ask("POST", "/sessions", headers, body)
        self.answered.add(number)
        assert answer.status == 201, answer.body
        self.opened.append(answer.document["refresh_token"])
        if len(self.answered) > 300:
            self.warm.set()
