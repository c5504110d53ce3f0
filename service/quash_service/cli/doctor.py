"""``quash doctor``: look at everything a start depends on, and say how to mend what is wrong."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict

import click

from quash.errors import Unavailable
from quash_service.clock import Clock
from quash_service.engine import EngineRefused, check_engine
from quash_service.logs import configure
from quash_service.running import running
from quash_service.services import Services
from quash_service.settings import Settings
from quash_service.store import FloorRefused

from .common import PROBLEM, UNAVAILABLE, announcer, as_json, located, put, refusals, say_if_new, settle
from .findings import Finding, Level, exposure_findings, file_findings, key_findings
from .own_keys import own_key_findings
from .table import printable

# Refusals that say nobody answers, rather than that what answers is unfit.
_SILENT = {"engine_unreachable", "engine_silent", "engine_died", "engine_missing"}


@click.command()
@as_json
@located
def doctor(*, json_wanted: bool, **where: str | None) -> None:
    """Check engine, durability, clocks, files, keys and exposure. Exit 1: a problem; 3: the state is unavailable."""
    settings = settle(where)
    configure("error")
    say_if_new(settings)
    with refusals():
        state, reachable = asyncio.run(_look(settings))
        findings = [
            *state,
            *file_findings(settings),
            *own_key_findings(settings, Clock()),
            *key_findings(settings),
            *exposure_findings(settings),
        ]
    problems = sum(one.level is Level.PROBLEM for one in findings)
    if json_wanted:
        put({"findings": [asdict(one) for one in findings], "problems": problems})
    else:
        for one in findings:
            click.echo(printable(f"{one.level.value:8} {one.what}: {one.seen}"))
            if one.mend:
                click.echo(printable(f"{'':8} mend: {one.mend}"))
    raise SystemExit(UNAVAILABLE if not reachable else PROBLEM if problems else 0)


async def _look(settings: Settings) -> tuple[list[Finding], bool]:
    """Start as the service would; tell also whether the state could be reached."""
    try:
        async with running(settings, announce=announcer(settings)) as services:
            return [one async for one in _state_findings(services)], True
    except EngineRefused as error:
        return [Finding(Level.PROBLEM, "engine", error.code, str(error))], error.code not in _SILENT
    except FloorRefused as error:
        return [Finding(Level.PROBLEM, "floor", error.code, str(error))], True
    except Unavailable as error:
        return [Finding(Level.PROBLEM, "engine", "unavailable", str(error))], False


async def _state_findings(services: Services) -> AsyncIterator[Finding]:
    facts = await check_engine(services.client, services.settings.durability)
    yield Finding(Level.OK, "engine", f"{facts.family} {facts.version} answers")
    durability = services.settings.durability
    level = Level.OK if facts.fsync else Level.WARNING
    mend = "" if facts.fsync else "use an engine with appendonly yes and appendfsync always, and QUASH_DURABILITY=fsync"
    yield Finding(level, "durability", f"{durability.value}: {durability.promise}", mend)
    # Further apart than is safe, and check_engine had refused.
    yield Finding(Level.OK, "clock", f"the engine's is {facts.clock_ahead_ms} ms ahead of this host's")
    secrets = len(services.secrets.fingerprints())
    yield Finding(Level.OK, "floor", f"joined, and born in every partition; {secrets} refresh secret(s) known")
