"""What stops a start or a command is one clear sentence and an exit code, never a traceback."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.commands import Done, quash
from tests.engines import free_port, spawn_valkey
from tests.servers import RunningServer

NOBODY = "redis://user:hunter22@127.0.0.1:1/0"


def sentence(done: Done, code: int) -> str:
    """Return the one sentence that a refused command says after its log lines."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert said[-1].startswith("quash: "), done.stderr
    return said[-1]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use(server: RunningServer, data_dir: Path, workers: str) -> None:
    done = quash("serve", "--port", str(server.port), "--workers", workers, data_dir=data_dir)
    assert f"cannot listen on 127.0.0.1:{server.port}: Address already in use" in sentence(done, 1)
    assert not data_dir.exists()


def test_a_host_that_is_not_ours(data_dir: Path) -> None:
    said = sentence(quash("serve", "--host", "192.0.2.1", data_dir=data_dir), 1)
    assert "cannot listen on 192.0.2.1" in said
    assert "QUASH_HOST" in said


@pytest.mark.parametrize("content", [None, "nonsense"])
def test_a_certificate_that_cannot_be_used(data_dir: Path, tmp_path: Path, content: str | None) -> None:
    for name in ("cert.pem", "key.pem"):
        if content is not None:
            (tmp_path / name).write_text(content)
    args = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    assert "QUASH_TLS_CERT" in sentence(quash("serve", *args, data_dir=data_dir), 1)
    assert not data_dir.exists()


def test_half_of_a_tls_pair_is_usage(data_dir: Path) -> None:
    said = sentence(quash("serve", "--tls-cert", "cert.pem", data_dir=data_dir), 2)
    assert said == "quash: QUASH_TLS_CERT and QUASH_TLS_KEY belong together"


def test_memory_cannot_be_shared_by_workers(data_dir: Path) -> None:
    done = quash("serve", "--memory", "--workers", "2", data_dir=data_dir)
    assert "--workers 1" in sentence(done, 2)
    assert not data_dir.exists()


def test_an_engine_that_does_not_answer_is_state_unavailable(tmp_path: Path) -> None:
    """Every command waits a while and then says so; the password in the URL is not repeated."""
    commands: list[tuple[str, ...]] = [
        ("serve", "--port", "0"),
        ("serve", "--port", "0", "--workers", "2"),
        ("sessions", "alice"),
        ("revoke", "--user", "alice"),
        ("caller", "list"),
    ]

    def run(at: int) -> Done:
        return quash(*commands[at], data_dir=tmp_path / f"data{at}", env={"QUASH_REDIS_URL": NOBODY})

    with ThreadPoolExecutor() as pool:
        for done in pool.map(run, range(len(commands))):
            assert "the engine at redis://***@127.0.0.1:1/0 does not answer" in sentence(done, 3)
            assert "hunter22" not in done.stderr


def test_an_engine_that_evicts_is_refused(tmp_path: Path, data_dir: Path) -> None:
    with spawn_valkey(tmp_path, extra=("--maxmemory-policy", "allkeys-lru")) as engine:
        env = {"QUASH_REDIS_URL": engine.url}
        for args in (["serve", "--port", "0"], ["serve", "--port", "0", "--workers", "2"], ["sessions", "alice"]):
            assert "noeviction" in sentence(quash(*args, data_dir=data_dir, env=env), 3)


def test_a_host_without_the_state_s_refresh_secrets_is_refused(tmp_path: Path) -> None:
    with spawn_valkey(tmp_path) as engine:
        env = {"QUASH_REDIS_URL": engine.url, "QUASH_DURABILITY": "memory"}
        assert quash("caller", "list", data_dir=tmp_path / "one", env=env).returncode == 0
        for args in (["serve", "--port", "0"], ["serve", "--port", "0", "--workers", "2"], ["caller", "list"]):
            assert "share one QUASH_KEYS_DIR" in sentence(quash(*args, data_dir=tmp_path / "other", env=env), 3)


def test_a_data_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = quash("serve", "--port", "0", data_dir=tmp_path / "data", env={"QUASH_DATA_DIR": str(tmp_path / "file")})
    said = sentence(done, 1)
    assert str(tmp_path / "file") in said
    assert "QUASH_DATA_DIR" in said


def test_keys_that_cannot_be_read(data_dir: Path) -> None:
    (data_dir / "keys").mkdir(parents=True)
    (data_dir / "keys" / "signing-keys.json").write_text("{")
    sentence(quash("serve", "--port", str(free_port()), data_dir=data_dir), 1)
    sentence(quash("serve", "--port", str(free_port()), "--workers", "2", data_dir=data_dir), 1)
    sentence(quash("sessions", "alice", data_dir=data_dir), 1)


def test_a_password_on_the_command_line_is_warned_of_and_not_logged(data_dir: Path) -> None:
    done = quash("serve", "--port", "0", "--redis-url", "redis://:hunter22@[", data_dir=data_dir)
    assert "password_on_command_line" in done.stderr
    assert "hunter22" not in done.stderr
    assert done.returncode == 3
