"""What the commands share: settings from flags, a run on the services, refusals as one sentence."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from quash_service.bootstrap import ADMIN_SECRET, Announce, keep_in_file
from quash_service.logs import configure, get_logger
from quash_service.settings import Settings, SettingsRefused, load_settings

if TYPE_CHECKING:
    from quash_service.services import Services
    from quash_service.store import Actor

PROBLEM, USAGE, UNAVAILABLE = 1, 2, 3
PLACE = ("config", "redis_url", "data_dir")
"""The flags that say which state a command works on."""
_SERVICE_UNAVAILABLE = 503
# Refusals that depend on the state, not on how the command was called.
_FOUND_BY_LOOKING = {"key_unknown", "unsupported_token_type"}

Answer = TypeVar("Answer")
Command = TypeVar("Command", bound=Callable[..., Any])

as_json = click.option("--json", "json_wanted", is_flag=True, help="Answer in JSON on standard output.")


class Stop(click.ClickException):
    """Ends the command with one sentence on standard error: a problem was found (exit 1)."""

    exit_code = PROBLEM

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the sentence."""
        click.echo(f"quash: {self.message}", file=file or sys.stderr)


class Misused(Stop):
    """Ends the command because of how it was called (exit 2)."""

    exit_code = USAGE


class Unreachable(Stop):
    """Ends the command because the state could not be used (exit 3)."""

    exit_code = UNAVAILABLE


def located(command: Command) -> Command:
    """Give a command the flags that say which state it works on."""
    for option in (
        click.option("--config", help="File with tables (QUASH_CONFIG)."),
        click.option("--redis-url", help="URL of the engine (QUASH_REDIS_URL)."),
        click.option("--data-dir", help="Where the embedded engine, keys and secrets live (QUASH_DATA_DIR)."),
    ):
        command = option(command)
    return command


def settle(flags: Mapping[str, str | None]) -> Settings:
    """Return the settings; flags become environment variables, so that worker processes have them too."""
    for name, value in flags.items():
        if value is not None:
            os.environ[f"QUASH_{name.upper()}"] = value
    try:
        return load_settings()
    except SettingsRefused as error:
        raise Misused(str(error)) from None


def announcer(settings: Settings) -> Announce:
    """Return how a new admin secret is handed over: on the terminal, or in a file where there is none."""
    if sys.stderr.isatty():
        return _show
    to_file = keep_in_file(settings)

    def announce(secret: str) -> None:
        to_file(secret)
        get_logger().warning("admin_secret_written", file=str(settings.data_dir / ADMIN_SECRET))

    return announce


def _show(secret: str) -> None:
    rule = "-" * 72
    sys.stderr.write(
        f"{rule}\n"
        "  The caller `admin` was made. Its secret is shown this once:\n\n"
        f"      {secret}\n\n"
        f"  Use it as Basic admin:<secret>, or as Authorization: Bearer qk_admin.<secret>\n{rule}\n"
    )


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn what can stop a start or an act into one sentence and its exit code."""
    from quash.errors import Unavailable
    from quash_service.engine import EngineRefused
    from quash_service.store import FloorRefused, StateFull

    try:
        yield
    except (EngineRefused, FloorRefused) as error:
        raise Unreachable(str(error)) from error
    except StateFull as error:
        raise Unreachable("the engine's memory is full: give it more, then repeat") from error
    except Unavailable as error:
        seen = ", ".join(str(value) for value in error.evidence.values())
        raise Unreachable(f"{error} ({seen}); the command is safe to repeat") from error
    except OSError as error:
        raise Stop(_unusable(error)) from error
    except ValueError as error:
        raise Stop(f"cannot go on: {error}") from error


def _unusable(error: OSError) -> str:
    if error.filename is None:
        return f"cannot go on: {error}"
    place = Path(os.fsdecode(error.filename)).absolute()
    return (
        f"cannot use {place}: {error.strerror}; let the user that runs quash own it, "
        "or name another place (QUASH_DATA_DIR, QUASH_KEYS_DIR)"
    )


@contextlib.contextmanager
def problems() -> Iterator[None]:
    """Turn the HTTP face's refusals into sentences: wrong use, an unusable state, or a problem found."""
    from quash_service.http.problems import STATUS, Problem

    try:
        yield
    except Problem as problem:
        sentence = problem.detail or STATUS[problem.code][1]
        if problem.status_code == _SERVICE_UNAVAILABLE:
            raise Unreachable(sentence) from None
        raise (Stop if problem.code in _FOUND_BY_LOOKING else Misused)(sentence) from None


def act(flags: Mapping[str, str | None], action: "Callable[[Services], Awaitable[Answer]]") -> Answer:
    """Run ``action`` on the services of the state that flags and environment name."""
    from quash_service.running import running

    settings = settle(flags)
    configure("warning")
    say_if_new(settings)

    async def run() -> Answer:
        async with running(settings, announce=announcer(settings)) as services:
            return await action(services)

    with refusals():
        return asyncio.run(run())


def say_if_new(settings: Settings) -> None:
    """Say that an empty state is about to be made: a command in the wrong directory would find nothing there."""
    if settings.redis_url is None and not settings.data_dir.exists():
        place = settings.data_dir.absolute()
        click.echo(f"quash: {place} does not exist, so a new, empty state is made there (QUASH_DATA_DIR)", err=True)


def cli_actor() -> "Actor":
    """Return who acts when a person types a command: everything is allowed, and the audit says ``cli``."""
    from quash_service.store import Actor

    return Actor("cli", admin=True, issuers=None, request_id=os.urandom(8).hex())


def put(document: dict[str, Any]) -> None:
    """Write a JSON answer to standard output."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=1))
