"""The first start: private places, and one admin secret that is announced once."""

import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from quash_service.bootstrap import ADMIN_DIGEST, ADMIN_SECRET, admin_digest, keep_in_file, make_private
from quash_service.settings import Settings, load_settings
from tests.service_units.processes import at_once

OURS = "a-secret-of-at-least-32-characters-from-the-environment"


def first_start(settings: Settings) -> tuple[str, list[str]]:
    announced: list[str] = []
    return admin_digest(settings, random_bytes=os.urandom, announce=announced.append), announced


def start_in(data_dir: str) -> dict[str, Any]:
    """One of several processes that start at once."""
    kept, announced = first_start(load_settings(data_dir=data_dir))
    return {"digest": kept, "announced": announced}


def test_a_new_secret_is_announced_once_and_only_its_digest_is_kept() -> None:
    settings = load_settings()
    digest, [secret] = first_start(settings)
    assert digest == sha256(secret.encode()).hexdigest()
    assert len(secret) == 43
    assert first_start(settings) == (digest, [])
    kept = [path for path in settings.data_dir.rglob("*") if path.is_file()]
    assert secret not in "".join(path.read_text() for path in kept)
    assert (settings.keys_folder / ADMIN_DIGEST).read_text() == digest + "\n"


def test_two_first_starts_make_different_secrets() -> None:
    assert first_start(load_settings(data_dir="one"))[1] != first_start(load_settings(data_dir="two"))[1]


def test_the_secret_of_the_environment_wins_and_nothing_is_written_or_announced() -> None:
    settings = load_settings(admin_secret=OURS)
    assert first_start(settings) == (sha256(OURS.encode()).hexdigest(), [])
    assert not settings.data_dir.exists()
    kept, _ = first_start(load_settings())
    assert first_start(settings)[0] != kept
    assert first_start(load_settings())[0] == kept


def test_a_secret_that_could_not_be_announced_is_not_kept() -> None:
    def broken_terminal(_: str) -> None:
        raise OSError("no terminal")

    with pytest.raises(OSError, match="no terminal"):
        admin_digest(load_settings(), random_bytes=os.urandom, announce=broken_terminal)
    assert len(first_start(load_settings())[1]) == 1


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_places_are_private_whatever_the_umask(umask: int) -> None:
    settings = load_settings()
    before = os.umask(umask)
    try:
        make_private(settings.data_dir)
        admin_digest(settings, random_bytes=os.urandom, announce=keep_in_file(settings))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in settings.data_dir.rglob("*")}
    assert modes == {"keys": 0o700, ".lock": 0o600, ADMIN_DIGEST: 0o600, ADMIN_SECRET: 0o600}
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700


def test_without_a_terminal_the_secret_goes_to_a_file() -> None:
    settings = load_settings()
    make_private(settings.data_dir)
    digest = admin_digest(settings, random_bytes=os.urandom, announce=keep_in_file(settings))
    secret = (settings.data_dir / ADMIN_SECRET).read_text().strip()
    assert digest == sha256(secret.encode()).hexdigest()


@pytest.mark.parametrize("content", [b"", b"\n", b"not a digest", b"\xff" * 64, b"A" * 64])
def test_a_broken_digest_stops_the_start_with_a_sentence(content: bytes) -> None:
    settings = load_settings()
    first_start(settings)
    (settings.keys_folder / ADMIN_DIGEST).write_bytes(content)
    with pytest.raises(ValueError, match=r"keys/admin\.sha256 is no SHA-256 in hex: set QUASH_ADMIN_SECRET, or remove"):
        first_start(settings)


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    calls = [[str(tmp_path / "data")]] * 3
    starts = at_once("tests.service_units.test_bootstrap", "start_in", *calls, cwd=tmp_path)
    [secret] = [secret for start in starts for secret in start["announced"]]
    assert {start["digest"] for start in starts} == {sha256(secret.encode()).hexdigest()}
