"""`quash doctor`: each thing that can be wrong is named, with how to mend it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import Done, quash
from tests.engines import spawn_valkey


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory that was started once."""
    place = tmp_path_factory.mktemp("doctor") / "data"
    assert quash("caller", "list", data_dir=place).returncode == 0
    (place / "admin.secret").unlink()
    return place


def findings(done: Done) -> dict[str, dict[str, Any]]:
    return {one["what"]: one for one in json.loads(done.stdout)["findings"]}


def test_a_healthy_installation_is_ok_in_every_line(healthy: Path) -> None:
    done = quash("doctor", data_dir=healthy)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"ok"}
    for subject in (
        "engine",
        "durability",
        "clock",
        "floor",
        "data directory",
        "keys directory",
        "key files",
        "signing key",
        "next key",
        "refresh secrets",
        "exposure",
    ):
        assert any(line.startswith(f"ok       {subject}: ") for line in lines), subject


def test_the_engine_s_facts_and_promise_are_told(healthy: Path) -> None:
    found = findings(quash("doctor", "--json", data_dir=healthy))
    assert found["engine"]["seen"].startswith(("valkey ", "redis "))
    assert "survives a crash" in found["durability"]["seen"]
    assert "1 refresh secret" in found["floor"]["seen"]


@pytest.mark.parametrize(("place", "mode"), [(".", 0o755), ("keys", 0o750), ("keys/signing-keys.json", 0o644)])
def test_what_others_may_read_is_a_problem_with_its_chmod(healthy: Path, place: str, mode: int) -> None:
    path = healthy / place
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        done = quash("doctor", data_dir=healthy)
    finally:
        path.chmod(before)
    assert done.returncode == 1
    assert f"mend: chmod {'700' if path.is_dir() else '600'} {path}" in done.stdout


def test_a_secret_that_still_lies_around_is_a_warning(healthy: Path) -> None:
    path = healthy / "admin.secret"
    path.write_text("x" * 43)
    path.chmod(0o600)
    try:
        done = quash("doctor", "--json", data_dir=healthy)
        path.chmod(0o640)
        readable = quash("doctor", "--json", data_dir=healthy)
    finally:
        path.unlink()
    assert done.returncode == 0
    assert findings(done)["admin's secret"]["level"] == "warning"
    assert "x" * 43 not in done.stdout
    assert readable.returncode == 1


@pytest.mark.parametrize(
    ("host", "level"),
    [("127.0.0.1", "ok"), ("::1", "ok"), ("localhost", "ok"), ("0.0.0.0", "warning"), ("192.0.2.1", "warning")],  # noqa: S104 - all interfaces is the case
)
def test_listening_to_a_network_in_the_clear_is_a_warning(healthy: Path, host: str, level: str) -> None:
    done = quash("doctor", "--json", data_dir=healthy, env={"QUASH_HOST": host})
    assert done.returncode == 0
    assert findings(done)["exposure"]["level"] == level


def test_with_tls_it_may_listen_to_a_network(healthy: Path) -> None:
    env = {"QUASH_HOST": "192.0.2.1", "QUASH_TLS_CERT": "cert.pem", "QUASH_TLS_KEY": "key.pem"}
    assert findings(quash("doctor", "--json", data_dir=healthy, env=env))["exposure"]["level"] == "ok"


def test_a_weak_foreign_key_is_a_problem(healthy: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from jwt.algorithms import RSAAlgorithm

    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - that is the point
    jwk = RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True)
    keys = healthy.parent / "foreign.json"
    keys.write_text(json.dumps({"keys": [{**jwk, "kid": "short", "alg": "RS256"}]}))
    (healthy.parent / "weak.toml").write_text(f'[[issuers]]\nissuer = "https://weak.example"\nkeys = "{keys}"\n')
    done = quash("doctor", "--config", "weak.toml", "--json", data_dir=healthy)
    assert done.returncode == 1
    finding = findings(done)["foreign key"]
    assert "short of https://weak.example" in finding["seen"]
    assert "2048" in finding["mend"]


def test_an_engine_that_loses_writes_is_a_problem_or_an_accepted_risk(tmp_path: Path) -> None:
    with spawn_valkey(tmp_path) as engine:
        env = {"QUASH_REDIS_URL": engine.url}
        refused = quash("doctor", "--json", data_dir=tmp_path / "data", env=env)
        assert refused.returncode == 1
        assert findings(refused)["engine"]["seen"] == "engine_not_durable"
        assert "appendonly" in findings(refused)["engine"]["mend"]
        accepted = quash("doctor", "--json", data_dir=tmp_path / "data", env={**env, "QUASH_DURABILITY": "memory"})
        assert accepted.returncode == 0
        assert findings(accepted)["durability"]["level"] == "warning"


def test_a_host_without_the_state_s_secrets_is_a_problem(tmp_path: Path) -> None:
    with spawn_valkey(tmp_path) as engine:
        env = {"QUASH_REDIS_URL": engine.url, "QUASH_DURABILITY": "memory"}
        assert quash("caller", "list", data_dir=tmp_path / "one", env=env).returncode == 0
        done = quash("doctor", "--json", data_dir=tmp_path / "other", env=env)
        assert done.returncode == 1
        assert findings(done)["floor"]["seen"] == "unknown_refresh_secret"


def test_an_engine_that_does_not_answer_is_state_unavailable(tmp_path: Path) -> None:
    done = quash("doctor", data_dir=tmp_path / "data", env={"QUASH_REDIS_URL": "redis://:hunter22@127.0.0.1:1/0"})
    assert done.returncode == 3
    assert "problem  engine: engine_unreachable" in done.stdout
    assert "hunter22" not in done.stdout + done.stderr


@contextmanager
def changed(file: Path, change: Callable[[Any], None]) -> Iterator[None]:
    """Change a JSON file until the end of the block."""
    before = file.read_text()
    document = json.loads(before)
    change(document)
    file.write_text(json.dumps(document))
    try:
        yield
    finally:
        file.write_text(before)


def aged(rows: str, days: int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for row in document[rows]:
            row["since"] -= days * 86_400

    return change


@pytest.mark.parametrize(("days", "level"), [(90, "ok"), (92, "warning")])
@pytest.mark.parametrize(
    ("file", "rows", "what"),
    [
        ("signing-keys.json", "keys", "signing key"),
        ("refresh-secrets.json", "secrets", "refresh secrets"),
    ],
)
def test_a_key_or_secret_that_nobody_rotates_is_a_warning(  # noqa: PLR0917 - pytest passes them by name
    healthy: Path, file: str, rows: str, what: str, days: int, level: str
) -> None:
    with changed(healthy / "keys" / file, aged(rows, days)):
        done = quash("doctor", "--json", data_dir=healthy)
    assert done.returncode == 0
    assert findings(done)[what]["level"] == level
    assert ("quash key rotate" in findings(done)[what]["mend"]) is (level == "warning")


def test_a_next_key_that_is_missing_is_a_warning(healthy: Path) -> None:
    with changed(healthy / "keys" / "signing-keys.json", lambda document: document["keys"].pop()):
        done = quash("doctor", "--json", data_dir=healthy)
    assert findings(done)["next key"]["level"] == "warning"


def test_a_shared_secret_that_signs_is_a_warning(tmp_path: Path) -> None:
    env = {"QUASH_ALGORITHM": "HS256"}
    assert quash("caller", "list", data_dir=tmp_path / "data", env=env).returncode == 0
    done = quash("doctor", "--json", data_dir=tmp_path / "data", env=env)
    assert done.returncode == 0
    assert "only this service can verify" in findings(done)["algorithm"]["seen"]


def test_keys_that_sign_elsewhere_are_told_from_ours(healthy: Path) -> None:
    def outside(document: Any) -> None:
        del document["keys"][1:]
        public = {name: value for name, value in document["keys"][0]["jwk"].items() if name != "d"}
        document["keys"][0] |= {"jwk": public, "external": True}

    def gone(document: Any) -> None:
        outside(document)
        document["keys"][0]["state"] = "revoked"

    with changed(healthy / "keys" / "signing-keys.json", outside):
        found = findings(quash("doctor", "--json", data_dir=healthy))
    assert found["signing key"]["seen"].startswith("external signer's key ")
    assert "next key" not in found
    with changed(healthy / "keys" / "signing-keys.json", gone):
        done = quash("doctor", "--json", data_dir=healthy)
    assert (done.returncode, findings(done)["signing key"]["level"]) == (1, "problem")
