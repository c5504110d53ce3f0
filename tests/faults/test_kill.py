"""kill -9 in the middle of the work: what was acknowledged is in force afterwards, whatever was killed."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.api import talking
from tests.faults.ledger import Ledger, Load
from tests.servers import READY_S, RunningServer, serve

# The grace is long, so that a slow machine's restart does not outlast it.
SETTINGS = {"QUASH_LOG_LEVEL": "warning", "QUASH_ACCESS_TTL_S": "3600", "QUASH_GRACE_S": "300"}
Crash = Callable[[RunningServer, random.Random], None]


def everything(server: RunningServer, dice: random.Random) -> None:
    # The parent before its workers: it would replace them.
    victims = [server.pid, *server.worker_pids()]
    victims.insert(dice.randint(0, len(victims)), server.engine_pid)
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    server.kill()
    server.restart()


def the_service_only(server: RunningServer, dice: random.Random) -> None:
    engine = server.engine_pid
    server.kill()
    server.restart()
    assert server.engine_pid == engine


def the_engine_only(server: RunningServer, dice: random.Random) -> None:
    engine = server.engine_pid
    server.kill_engine()
    _until(lambda: server.engine_pid not in (0, engine))
    server.wait_ready()


def one_worker_only(server: RunningServer, dice: random.Random) -> None:
    before = set(server.worker_pids())
    os.kill(dice.choice(sorted(before)), signal.SIGKILL)
    _until(lambda: len(set(server.worker_pids()) - before) == 1)
    server.wait_ready()


@pytest.mark.parametrize(
    ("crash", "workers", "rounds"),
    [
        (everything, 2, 3),
        (everything, 1, 7),
        (the_service_only, 1, 2),
        (the_engine_only, 2, 2),
        (one_worker_only, 2, 2),
    ],
)
async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, crash: Crash, workers: int, rounds: int) -> None:
    with serve(tmp_path, env=SETTINGS, workers=workers) as server:
        await _kill_and_look(server, [crash] * rounds, random.Random(f"{crash.__name__} {workers}"))


@pytest.mark.soak
async def test_what_was_acknowledged_survives_two_hundred_kills(tmp_path: Path) -> None:
    dice = random.Random()
    with serve(tmp_path, env=SETTINGS, workers=2) as server:
        others = dice.choices((the_engine_only, one_worker_only), k=50)
        await _kill_and_look(server, dice.sample([everything] * 200 + others, 250), dice)


async def _kill_and_look(server: RunningServer, crashes: list[Crash], dice: random.Random) -> None:
    ledger = Ledger()
    for at, crash in enumerate(crashes):
        async with talking(server.url, server.admin_secret) as api:
            load = Load(api, ledger, dice, f"round-{at}")
            living = asyncio.create_task(load.run())
            await asyncio.sleep(dice.uniform(0.1, 0.5))
            await asyncio.to_thread(crash, server, dice)
            await asyncio.sleep(0.1)
            load.stop()
            await living
            await ledger.verify(api, dice)
            ledger.thin(dice)
    assert ledger.dead
    assert ledger.alive


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)
