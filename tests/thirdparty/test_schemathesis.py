"""schemathesis, with all of its checks: the service and its OpenAPI document say the same, whatever is sent."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import RunningServer, serve

HERE = Path(__file__).parent
ADMIN = "the-admin-secret-of-every-test-0123456789"
PATIENCE_S = 1500


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A service of its own: what is sent to it revokes its keys and its whole issuer."""
    env = {"QUASH_ADMIN_SECRET": ADMIN, "QUASH_OPENS_PER_MINUTE": "100000"}
    with serve(tmp_path_factory.mktemp("schemathesis"), env=env) as running:
        yield running


def schemathesis(target: RunningServer, folder: Path, *options: str) -> str:
    """Run all checks and phases over all operations and return what it says; fail if it found anything."""
    env = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_hooks.py"),
        "QUASH_TEST_URL": target.url,
        "QUASH_TEST_SECRET": ADMIN,
    }
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"{target.url}/openapi.json", "--checks", "all", "--no-color", "--continue-on-failure", *options),
    ]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, f"{done.stdout[-12_000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def covered(report: str) -> int:
    """Return how many operations were tested, which has to be all."""
    selected = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", report)
    assert selected, report[-4000:]
    assert len(set(selected.groups())) == 1, report[-4000:]
    assert all(f"✅ {phase}" in report for phase in ("Examples", "Coverage", "Fuzzing", "Stateful")), report[-4000:]
    return int(selected.group(1))


def operations(target: RunningServer) -> int:
    """Return how many operations the document has."""
    paths = httpx.get(f"{target.url}/openapi.json").json()["paths"]
    return sum(len(methods) for methods in paths.values())


def test_no_request_shows_the_document_wrong(target: RunningServer, tmp_path: Path) -> None:
    report = schemathesis(target, tmp_path, "--max-examples", "10", "--seed", "1", "--no-shrink")
    assert covered(report) == operations(target)
    assert "internal_error" not in target.logs()


@pytest.mark.soak
@pytest.mark.parametrize("seed", [2, 3])
def test_no_request_of_many_shows_the_document_wrong(target: RunningServer, tmp_path: Path, seed: int) -> None:
    report = schemathesis(target, tmp_path, "--max-examples", "100", "--seed", str(seed))
    assert covered(report) == operations(target)
    assert "internal_error" not in target.logs()
