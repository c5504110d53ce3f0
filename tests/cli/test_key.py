"""`quash key`: listing and rotating, beside two workers that go on serving."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import jwt
import pytest

from tests.cli.commands import Done, is_active, open_session, quash
from tests.engines import spawn_valkey
from tests.servers import RunningServer, serve

SOON_S = 20.0


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[RunningServer]:
    with serve(tmp_path, workers=2) as running:
        yield running


def listed(data_dir: Path, **options: Any) -> dict[str, Any]:
    done = quash("key", "list", "--json", data_dir=data_dir, **options)
    assert (done.returncode, done.stderr) == (0, "")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def jwks(server: RunningServer) -> list[str]:
    return [jwk["kid"] for jwk in httpx.get(f"{server.url}/.well-known/jwks.json").json()["keys"]]


def kid_of(session: dict[str, Any]) -> str:
    return str(jwt.get_unverified_header(session["access_token"])["kid"])


def refresh(server: RunningServer, token: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return httpx.post(f"{server.url}/token", data=form, auth=("admin", server.admin_secret))


def private_members(data_dir: Path) -> list[str]:
    keys = json.loads((data_dir / "keys" / "signing-keys.json").read_text())["keys"]
    secrets = json.loads((data_dir / "keys" / "refresh-secrets.json").read_text())["secrets"]
    members = [row["jwk"][name] for row in keys for name in ("d", "k", "p", "q") if name in row["jwk"]]
    return [*members, *(row["secret"] for row in secrets)]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def busy(server: RunningServer, stop: Event) -> list[int]:
    """Log in, refresh, ask and read the keys until told to stop; return the statuses of all answers."""
    statuses = []
    with httpx.Client(base_url=server.url, auth=("admin", server.admin_secret)) as client:
        session = client.post("/sessions", json={"sub": "busy"}).json()
        while not stop.is_set():
            answer = client.post(
                "/token", data={"grant_type": "refresh_token", "refresh_token": session["refresh_token"]}
            )
            statuses.append(answer.status_code)
            session = answer.json()
            asked = client.post("/introspect", data={"token": session["access_token"]})
            statuses += [asked.status_code, 200 if asked.json()["active"] else 0]
            statuses.append(client.get("/.well-known/jwks.json").status_code)
    return statuses


def test_the_whole_life_while_two_workers_serve(workers: RunningServer) -> None:
    data_dir = workers.data_dir
    old = open_session(workers, "alice")
    active, waiting = jwks(workers)
    stop = Event()
    with ThreadPoolExecutor(3) as pool:
        work = [pool.submit(busy, workers, stop) for _ in range(3)]
        try:
            done = quash("key", "rotate", "--now", "--json", data_dir=data_dir)
            assert json.loads(done.stdout) == {"rotated": True, "kid": waiting}
            assert jwks(workers)[:2] == [active, waiting]
            assert {kid_of(open_session(workers, f"u{number}")) for number in range(8)} == {waiting}
            done = quash("key", "rotate", "--refresh-secret", "--json", data_dir=data_dir)
            assert json.loads(done.stdout) == {"rotated": True, "refresh_secret": "b"}
            # And once more, before any heartbeat may have seen the first.
            newest = jwks(workers)[2]
            assert quash("key", "rotate", "--now", data_dir=data_dir).returncode == 0
            assert {kid_of(open_session(workers, f"v{number}")) for number in range(8)} == {newest}
            eventually(lambda: ".b" in open_session(workers, "w")["refresh_token"])
        finally:
            stop.set()
        statuses = {status for one in work for status in one.result()}
    assert statuses == {200}
    assert [is_active(workers, old["access_token"]) for _ in range(8)] == [True] * 8
    assert refresh(workers, old["refresh_token"]).status_code == 200
    states = [(one["state"], one["kid"]) for one in listed(data_dir)["keys"]]
    assert states[:3] == [("retired", active), ("retired", waiting), ("active", newest)]
    assert [state for state, _ in states[3:]] == ["next"]
    assert jwks(workers) == [kid for _, kid in states]


def test_a_dropped_secret_ends_its_sessions_at_once_and_no_later_start_is_refused(workers: RunningServer) -> None:
    data_dir = workers.data_dir
    leaked = open_session(workers, "alice")
    unsure = quash("key", "drop-refresh-secret", "a", data_dir=data_dir)
    assert (unsure.returncode, "--yes" in unsure.stderr) == (2, True)
    assert refresh(workers, leaked["refresh_token"]).status_code == 200
    leaked = open_session(workers, "alice")
    done = quash("key", "drop-refresh-secret", "a", "--yes", "--json", data_dir=data_dir)
    assert json.loads(done.stdout) == {"dropped": "a", "found": True}
    answers = [refresh(workers, leaked["refresh_token"]) for _ in range(6)]
    assert {answer.json()["error"] for answer in answers} == {"invalid_grant"}
    assert refresh(workers, open_session(workers, "alice")["refresh_token"]).status_code == 200
    workers.stop()
    workers.restart()
    assert [one["id"] for one in listed(data_dir)["refresh_secrets"]] == ["b"]


def test_it_lists_what_each_is_for_and_until_when_and_nothing_secret(data_dir: Path) -> None:
    document = listed_after_rotation(data_dir)
    retired, active, waiting = document["keys"]
    assert [one["state"] for one in document["keys"]] == ["retired", "active", "next"]
    assert set(active) == {"state", "kid", "alg", "external", "since_at", "changes_at"}
    assert active["changes_at"] - active["since_at"] == waiting["changes_at"] - active["since_at"] == 90 * 86_400
    assert retired["changes_at"] - retired["since_at"] == 3600 + 120
    [secret] = document["refresh_secrets"]
    assert (secret["id"], secret["makes_tokens"], secret["drops_at"]) == ("a", True, None)
    done = quash("key", "list", data_dir=data_dir)
    for one in document["keys"]:
        assert f"{one['state']:7}  {one['kid']}  ES256" in done.stdout
    shown = done.stdout + json.dumps(document)
    assert not [member for member in private_members(data_dir) if member in shown]


def listed_after_rotation(data_dir: Path) -> dict[str, Any]:
    assert quash("key", "rotate", "--now", data_dir=data_dir).returncode == 0
    return listed(data_dir)


def test_it_lists_where_a_secret_stands(data_dir: Path) -> None:
    quash("key", "rotate", "--refresh-secret", data_dir=data_dir)
    file = data_dir / "keys" / "refresh-secrets.json"
    document = json.loads(file.read_text())
    for ahead, shown in ((3600, ("makes tokens from ", "makes tokens")), (-3600, ("makes tokens", "verifies until "))):
        document["secrets"][0]["since"] = int(time.time()) + ahead
        file.write_text(json.dumps(document))
        lines = quash("key", "list", data_dir=data_dir).stdout.splitlines()[-2:]
        assert [word in line for word, line in zip(shown, lines, strict=True)] == [True, True]


def test_the_table_says_of_revoked_keys_that_they_are_refused(data_dir: Path) -> None:
    kid = listed_after_rotation(data_dir)["keys"][0]["kid"]
    assert quash("revoke", "--kid", kid, "--yes", data_dir=data_dir).returncode == 0
    lines = quash("key", "list", data_dir=data_dir).stdout.splitlines()
    [line] = [line for line in lines if kid in line]
    assert line.startswith("revoked")
    assert line.endswith("refused for ever")


def test_a_rotation_too_early_says_when_it_may_be(data_dir: Path) -> None:
    before = listed_after_rotation(data_dir)
    ready = before["keys"][-1]["since_at"] + 86_400
    done = quash("key", "rotate", data_dir=data_dir)
    at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(ready))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"may sign from {at}" in done.stderr
    as_json = quash("key", "rotate", "--json", data_dir=data_dir)
    assert (as_json.returncode, json.loads(as_json.stdout)) == (1, {"rotated": False, "ready_at": ready})
    assert listed(data_dir) == before


def test_a_key_that_was_published_long_enough_signs_without_force(data_dir: Path) -> None:
    document = listed_after_rotation(data_dir)
    file = data_dir / "keys" / "signing-keys.json"
    rows = json.loads(file.read_text())["keys"]
    file.write_text(json.dumps({"keys": [{**row, "since": row["since"] - 86_400} for row in rows]}))
    done = quash("key", "rotate", data_dir=data_dir)
    assert (done.returncode, document["keys"][2]["kid"] in done.stdout) == (0, True)


@pytest.mark.parametrize(
    "args",
    [
        ("rotate", "--now", "--refresh-secret"),
        ("drop-refresh-secret", "ab", "--yes"),
        ("drop-refresh-secret", "-", "--yes"),
        ("drop-refresh-secret", "--yes"),
    ],
)
def test_what_makes_no_sense_is_a_mistake_of_usage_and_changes_nothing(data_dir: Path, args: tuple[str, ...]) -> None:
    assert quash("key", *args, data_dir=data_dir).returncode == 2
    assert not data_dir.exists()


def test_a_secret_that_was_lost_with_its_host_can_be_given_up(tmp_path: Path) -> None:
    with spawn_valkey(tmp_path) as engine:
        env = {"QUASH_REDIS_URL": engine.url, "QUASH_DURABILITY": "memory"}
        assert quash("caller", "list", data_dir=tmp_path / "lost", env=env).returncode == 0
        refused = quash("caller", "list", data_dir=tmp_path / "fresh", env=env)
        assert refused.returncode == 3
        assert "quash key drop-refresh-secret a --yes" in refused.stderr
        given_up: Done = quash("key", "drop-refresh-secret", "a", "--yes", data_dir=tmp_path / "fresh", env=env)
        assert given_up.returncode == 0
        assert quash("caller", "list", data_dir=tmp_path / "fresh", env=env).returncode == 0
        never = quash("key", "drop-refresh-secret", "z", "--yes", data_dir=tmp_path / "fresh", env=env)
        assert "had no refresh secret z" in never.stdout
