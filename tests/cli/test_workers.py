"""`quash serve --workers 2`: one service in two processes."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from quash_service.engine.files import EngineFiles, is_held
from quash_service.engine.process import exists
from tests.cli.commands import is_active, open_session, quash
from tests.cli.test_serve import begin_request, everything_from, wait_closed
from tests.engines import spawn_valkey
from tests.servers import RunningServer, serve

PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serve(tmp_path_factory.mktemp("pair"), "--issuer", "https://flag.example", workers=2) as server:
        wait_logged(server, '"event": "ready"')
        yield server


def wait_logged(server: RunningServer, text: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while text not in server.logs():
        assert time.monotonic() < deadline, server.logs()
        time.sleep(0.02)


def verdicts(server: RunningServer) -> float:
    page = httpx.get(f"{server.url}/metrics").text
    return sum(float(value) for value in re.findall(r"^quash_verdicts_total\{[^}]*\} (\S+)$", page, re.MULTILINE))


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def test_it_says_once_that_all_are_ready(pair: RunningServer) -> None:
    lines = [line for line in pair.logs().splitlines() if '"event": "ready"' in line]
    assert len(lines) == 1
    assert pair.url in lines[0]
    assert '"workers": 2' in lines[0]
    assert len(pair.worker_pids()) == 2


def test_flags_reach_every_worker_and_secrets_no_command_line(pair: RunningServer) -> None:
    for pid in pair.worker_pids():
        assert b"QUASH_ISSUER=https://flag.example\0" in environment(pid) + b"\0"
        assert pair.admin_secret.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_the_state_is_one_whichever_worker_answers(pair: RunningServer) -> None:
    opened = open_session(pair, "alice")
    assert all(is_active(pair, opened["access_token"]) for _ in range(20))
    done = quash("revoke", "--user", "alice", data_dir=pair.data_dir, env={"QUASH_ISSUER": "https://flag.example"})
    assert done.returncode == 0, done.stderr
    assert not any(is_active(pair, opened["access_token"]) for _ in range(20))


def test_the_metrics_page_counts_all_workers(pair: RunningServer) -> None:
    before = verdicts(pair)
    token = open_session(pair, "counted")["access_token"]
    for _ in range(30):
        is_active(pair, token)
    # Whichever worker answers, it is the same sum.
    assert {verdicts(pair) for _ in range(10)} == {before + 30}


def test_metrics_of_an_earlier_run_are_not_counted(tmp_path: Path) -> None:
    stale = tmp_path / "stale"
    stale.mkdir()
    with serve(tmp_path, env={"PROMETHEUS_MULTIPROC_DIR": str(stale)}, workers=2) as server:
        token = open_session(server, "alice")["access_token"]
        is_active(server, token)
        assert verdicts(server) == 1
        assert server.stop() == 0
        server.restart()
        assert verdicts(server) == 0
    assert list(stale.iterdir()) == []


def test_a_dead_worker_is_replaced(pair: RunningServer) -> None:
    victim, survivor = pair.worker_pids()
    os.kill(victim, signal.SIGKILL)
    wait_logged(pair, '"event": "worker_replaced"')
    pair.wait_ready()
    assert survivor in pair.worker_pids()
    assert len(set(pair.worker_pids()) - {victim}) == 2


def test_a_worker_that_dies_while_the_engine_is_away_is_replaced_when_it_is_back(tmp_path: Path) -> None:
    """Until then the others go on answering that the state is unavailable."""
    with (
        spawn_valkey(tmp_path, durable=True) as engine,
        serve(tmp_path, env={"QUASH_REDIS_URL": engine.url}, workers=2) as server,
    ):
        wait_logged(server, '"event": "ready"')
        engine.kill()
        victim, survivor = server.worker_pids()
        os.kill(victim, signal.SIGKILL)
        wait_logged(server, '"event": "worker_did_not_start"')
        auth = ("admin", server.admin_secret)
        assert httpx.post(f"{server.url}/introspect", data={"token": "x"}, auth=auth).status_code == 503
        engine.restart()
        wait_logged(server, '"event": "heartbeat_recovered"')
        server.wait_ready()
        assert survivor in server.worker_pids()
        assert server.stop() == 0


def test_sigterm_drains_the_workers_then_stops_the_engine(tmp_path: Path) -> None:
    with serve(tmp_path, env={"TMPDIR": str(tmp_path)}, workers=2) as server:
        wait_logged(server, '"event": "ready"')
        workers = server.worker_pids()
        assert list(tmp_path.glob("quash-workers-*"))
        with begin_request(server) as connection:
            server.terminate()
            wait_closed(server)
            connection.sendall(b"=x")
            assert everything_from(connection).startswith(b"HTTP/1.1 401 ")
        assert server.wait() == 0
        assert not any(exists(pid) for pid in workers)
        assert not is_held(EngineFiles.under(server.data_dir).alive_lock)
        assert not list(tmp_path.glob("quash-workers-*"))


def test_workers_leave_with_a_killed_parent_so_that_a_restart_has_the_port(tmp_path: Path) -> None:
    with serve(tmp_path, env={"TMPDIR": str(tmp_path)}, workers=2) as server:
        opened = open_session(server, "alice")
        server.kill()  # waits for the orphans
        left = list(tmp_path.glob("quash-workers-*"))
        server.restart()
        assert is_active(server, opened["access_token"])
        assert [path.exists() for path in left] == [False]
        wait_logged(server, '"event": "ready"')
        assert server.stop() == 0
        assert not list(tmp_path.glob("quash-workers-*"))
