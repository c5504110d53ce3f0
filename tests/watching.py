"""A plugin of pytest: a secret in any output fails the run, naming the test and the place, not the secret.

Each worker keeps a ledger of its own; the process that started them tells what they found.
"""

from collections.abc import Generator
from typing import Any

import pytest

from tests.seams import Seams
from tests.secrecy import Ledger

LEDGER = pytest.StashKey[Ledger]()
FOUND = pytest.StashKey[list[str]]()
_SEAMS = pytest.StashKey[tuple[Seams, pytest.MonkeyPatch]]()
_OUR_CLIENT = "HTTP Request: "  # how the tests' own client logs the address that it asks


def pytest_configure(config: pytest.Config) -> None:
    """Begin to listen."""
    patch = pytest.MonkeyPatch()
    config.stash[LEDGER] = ledger = Ledger()
    config.stash[FOUND] = []
    config.stash[_SEAMS] = seams, _ = Seams(ledger, patch), patch
    seams.always()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Listen in what the tests have loaded."""
    session.config.stash[_SEAMS][0].loaded()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave everything as it was."""
    config.stash[_SEAMS][1].undo()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Know which test runs."""
    item.config.stash[LEDGER].test = item.nodeid
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look at what was captured of a test, once it is over."""
    report = yield
    if call.when == "teardown":
        for title, text in report.sections:
            written = "\n".join(line for line in text.splitlines() if _OUR_CLIENT not in line)
            item.config.stash[LEDGER].output(title.lower(), written)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker found."""
    found: list[str] = node.config.stash[FOUND]
    found += getattr(node, "workeroutput", {}).get("leaks", [])


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Close the ledger; a leak fails the run."""
    config = session.config
    found = config.stash[FOUND]
    found += config.stash[LEDGER].leaks()
    if hasattr(config, "workeroutput"):
        config.workeroutput["leaks"] = found
    elif found and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Name the tests and places."""
    found: list[str] = config.stash[FOUND]
    if found:
        terminalreporter.section("secrets in output", red=True)
        for line in sorted(set(found)):
            terminalreporter.line(line)
