"""`oauth4webapi` and `openid-client` of npm, at the versions that node/package-lock.json pins by hash."""

import json
import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.servers import RunningServer
from tests.thirdparty.logins import CALLER, SECRET, login

SOURCES = Path(__file__).parent / "node"
LOCKED = ("package.json", "package-lock.json")
OLDEST_NODE = 20
PATIENCE_S = 120
INACTIVE = {"active": False}
METHODS = ("client_secret_basic", "client_secret_post")


def absent(words: str) -> None:
    """Skip with a word; fail where everything is promised to be there."""
    if os.environ.get("QUASH_TEST_ENGINES") == "all":
        pytest.fail(f"{words}, and QUASH_TEST_ENGINES=all promises it")
    pytest.skip(words)


def run(*command: str, cwd: Path, told: dict[str, Any] | None = None) -> str:
    """Run a program to its end and return what it wrote; what it is told goes to its standard input, never to argv."""
    done = subprocess.run(
        command, input=json.dumps(told or {}), cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="session")
def packages(pytestconfig: pytest.Config) -> Path:
    """The installed packages; they stay in pytest's cache until other versions are locked."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        absent("no node and npm on this machine")
    version = run("node", "--version", cwd=SOURCES).strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        absent(f"node is {version}, and these packages need {OLDEST_NODE}")
    locked = b"".join((SOURCES / name).read_bytes() for name in LOCKED)
    folder = pytestconfig.cache.mkdir("quash-node") / sha256(locked).hexdigest()[:16]
    if not folder.exists():
        _install(folder)
    return folder


def _install(folder: Path) -> None:
    """Install aside and move into place whole: another process may be at it, too."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        fresh = Path(name) / "fresh"
        fresh.mkdir()
        for locked in LOCKED:
            shutil.copy(SOURCES / locked, fresh)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=fresh)
        try:
            fresh.rename(folder)
        except OSError:
            assert folder.exists()


def learned(packages: Path, script: str, server: RunningServer, method: str, session: dict[str, Any]) -> dict[str, Any]:
    """Run a script beside the packages that it imports, and return what it learned."""
    placed = Path(shutil.copy(SOURCES / script, packages))
    told = {"issuer": server.url, "caller": CALLER, "secret": SECRET, "method": method, **session}
    return dict(json.loads(run("node", str(placed), cwd=packages, told=told)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("script", ["oauth4webapi.mjs", "openid_client.mjs"])
def test_discovery_introspection_refresh_and_revocation_are_understood(
    packages: Path, server: RunningServer, script: str, method: str
) -> None:
    session = login(server)
    found = learned(packages, script, server, method, session)
    assert found["server"]["issuer"] == server.url
    assert found["server"]["introspection_endpoint"] == f"{server.url}/introspect"
    assert (found["access"]["active"], found["access"]["token_type"]) == (True, "Bearer")
    assert (found["access"]["sub"], found["access"]["scope"]) == (session["sub"], "read write")
    assert (found["refresh"]["active"], found["refresh"]["token_type"]) == (True, "refresh_token")
    assert found["junk"] == INACTIVE
    assert found["refreshed"]["refresh_token"] != session["refresh_token"]
    assert (found["refreshed"]["token_type"], found["refreshed"]["scope"]) == ("bearer", "read")
    assert found["narrowed"]["scope"] == "read"
    assert [one["active"] for one in found["revokedAlone"]] == [False, True]
    assert found["revokedSession"] == [INACTIVE, INACTIVE]
    refused = found["refreshedAfter"]
    assert (refused["name"], refused["error"], refused["status"]) == ("ResponseBodyError", "invalid_grant", 400)


def test_a_minted_token_is_an_rfc_9068_one_and_a_challenge_is_understood(packages: Path, server: RunningServer) -> None:
    session = login(server, acr="mfa")
    found = learned(packages, "oauth4webapi.mjs", server, METHODS[0], session)
    assert (found["claims"]["iss"], found["claims"]["sub"]) == (server.url, session["sub"])
    assert (found["claims"]["client_id"], found["claims"]["acr"]) == ("shop", "mfa")
    assert found["wrongSecret"]["schemes"] == ["basic"]


def test_the_lock_pins_by_hash_and_names_no_address() -> None:
    lock = (SOURCES / "package-lock.json").read_text()
    assert "://" not in lock
    assert '"resolved"' not in lock
    for name, package in json.loads(lock)["packages"].items():
        assert not name or package["integrity"].startswith("sha512-"), name
