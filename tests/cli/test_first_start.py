"""The first start: who may read what it makes, and where the admin's secret goes."""

import os
import pty
import signal
import stat
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from quash_service.callers import digest
from quash_service.engine.files import EngineFiles, is_held
from tests.cli.commands import is_active, open_session, quash
from tests.engines import free_port
from tests.servers import COMMAND, clean_environment, serve

CHOSEN = "a-secret-of-at-least-32-characters-which-a-person-chose"


class Terminal:
    """A command whose standard error is a terminal."""

    def __init__(self, *args: str, data_dir: Path) -> None:
        master, slave = pty.openpty()
        self._master = master
        self._seen: list[bytes] = []
        self.child = subprocess.Popen(
            [*COMMAND, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=slave,
            env=clean_environment({"QUASH_DATA_DIR": str(data_dir)}),
            cwd=data_dir.parent,
            start_new_session=True,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def seen(self) -> str:
        return b"".join(self._seen).decode().replace("\r\n", "\n")

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 20
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            time.sleep(0.02)

    def end(self) -> int:
        self.child.send_signal(signal.SIGTERM)
        code = self.child.wait(timeout=20)
        self._reader.join()
        os.close(self._master)
        return code

    def _read(self) -> None:
        try:
            while piece := os.read(self._master, 4096):
                self._seen.append(piece)
        except OSError:  # how a pty says that the other side is closed
            return


def open_to_others(folder: Path) -> list[Path]:
    """Return what another user of the machine could read or enter."""
    every = [folder, *folder.rglob("*")]
    return [path for path in every if path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_on_a_terminal_the_secret_is_shown_once_and_in_no_file(data_dir: Path, workers: str) -> None:
    port = free_port()
    terminal = Terminal("serve", "--port", str(port), "--workers", workers, data_dir=data_dir)
    try:
        terminal.wait_for('"event": "ready"')
        block = terminal.seen.split("-" * 72)[1]
        secret = next(line.strip() for line in block.splitlines() if line.startswith("      "))
        answer = httpx.post(f"http://127.0.0.1:{port}/introspect", data={"token": "x"}, auth=("admin", secret))
        assert answer.json() == {"active": False}
    finally:
        assert terminal.end() == 0
    assert terminal.seen.count(secret) == 1
    assert not any(secret.encode() in path.read_bytes() for path in data_dir.rglob("*") if path.is_file())


def test_without_a_terminal_it_is_in_a_file_and_the_log_says_which(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        assert stat.S_IMODE((server.data_dir / "admin.secret").stat().st_mode) == 0o600
        open_session(server, "alice")
        assert str(server.data_dir / "admin.secret") in server.logs()
        assert server.admin_secret not in server.logs()


def test_a_chosen_secret_is_kept_nowhere(tmp_path: Path) -> None:
    with serve(tmp_path, env={"QUASH_ADMIN_SECRET": CHOSEN}) as server:
        opened = open_session(server, "alice")
        assert is_active(server, opened["access_token"])
        stored = [
            path for path in server.data_dir.rglob("*") if path.is_file() and CHOSEN.encode() in path.read_bytes()
        ]
        assert stored == []
        assert CHOSEN not in server.logs()


def test_a_later_start_keeps_the_secret_and_makes_no_other(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        secret = server.admin_secret
        (server.data_dir / "admin.secret").unlink()
        server.stop()
        server.restart()
        assert not (server.data_dir / "admin.secret").exists()
        assert (server.data_dir / "keys" / "admin.sha256").read_text().strip() == digest(secret)


def test_no_token_and_no_secret_is_in_the_log(tmp_path: Path) -> None:
    with serve(tmp_path, "--log-level", "debug") as server:
        opened = open_session(server, "alice", user_agent="agent-of-alice")
        auth = ("admin", server.admin_secret)
        refreshed = httpx.post(
            f"{server.url}/token",
            data={"grant_type": "refresh_token", "refresh_token": opened["refresh_token"]},
            auth=auth,
        ).json()
        is_active(server, refreshed["access_token"])
        httpx.post(f"{server.url}/revoke", data={"token": refreshed["refresh_token"]}, auth=auth)
        httpx.get(f"{server.url}/introspect?token={opened['access_token']}", auth=auth)
        keys = (server.data_dir / "keys" / "refresh-secrets.json").read_text()
        server.stop()
        log = server.logs()
    tokens = [one[name] for one in (opened, refreshed) for name in ("access_token", "refresh_token")]
    secrets = [auth[1], keys.split('"secret": "')[1].split('"')[0]]
    assert [one for one in [*tokens, *secrets] if one in log] == []


@pytest.mark.parametrize("args", [("caller", "list"), ("doctor",)])
def test_whatever_the_umask_only_the_owner_may_enter_and_read(data_dir: Path, args: tuple[str, ...]) -> None:
    assert quash(*args, data_dir=data_dir, umask=0).returncode == 0
    assert open_to_others(data_dir / "keys") == []
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert {path.name for path in data_dir.iterdir()} == {"admin.secret", "engine", "keys"}
    assert stat.S_IMODE((data_dir / "admin.secret").stat().st_mode) == 0o600


def test_directories_that_others_may_enter_are_warned_of(tmp_path: Path) -> None:
    """A mounted volume is not ours to change."""
    (tmp_path / "data").mkdir(mode=0o755)
    with serve(tmp_path, env={"QUASH_ADMIN_SECRET": CHOSEN}) as server:
        (line,) = [line for line in server.logs().splitlines() if '"open_to_others"' in line]
        assert f"chmod 700 {server.data_dir}" in line


def test_a_command_starts_the_engine_if_nobody_runs_it_and_ends_it(data_dir: Path) -> None:
    first = quash("caller", "add", "app", "--scope", "introspect", data_dir=data_dir)
    assert first.returncode == 0
    assert "a new, empty state is made there" in first.stderr
    assert not is_held(EngineFiles.under(data_dir).alive_lock)
    second = quash("caller", "list", data_dir=data_dir)
    assert "app" in second.stdout
    assert second.stderr == ""


def test_a_command_shares_the_running_engine_and_leaves_it(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        engine = server.engine_pid
        assert quash("sessions", "alice", data_dir=server.data_dir).returncode == 0
        assert server.engine_pid == engine
        assert server.ready()
