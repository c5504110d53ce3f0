"""Secret files: private, replaced whole, and followed at the cost of a look."""

import os
import stat
import threading
from pathlib import Path

import pytest

from quash_service.tokens.files import Watched, locked, read_json, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277])
def test_files_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_private(tmp_path / "secret", "x")
    finally:
        os.umask(before)
    assert mode(tmp_path / "secret") == 0o600


def test_what_a_crash_left_half_written_is_made_private_and_replaced(tmp_path: Path) -> None:
    left = tmp_path / ".secret.new"
    left.write_text("half, and much longer than what comes after it")
    left.chmod(0o644)
    write_private(tmp_path / "secret", "whole")
    assert ((tmp_path / "secret").read_text(), mode(tmp_path / "secret")) == ("whole", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_crash_before_the_end_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    write_private(path, "old")

    def crash(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        write_private(path, "new")
    assert path.read_text() == "old"


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    texts = {letter * 100_000 for letter in "ab"}
    write_private(path, min(texts))
    done = threading.Event()
    seen: list[str] = []

    def read() -> None:
        while not done.is_set():
            seen.append(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        for text in texts:
            write_private(path, text)
    done.set()
    reader.join()
    assert seen
    assert set(seen) <= texts


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_locked_folder_is_made_private(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with locked(tmp_path / "a" / "keys"):
            pass
    finally:
        os.umask(before)
    assert mode(tmp_path / "a" / "keys") == 0o700
    assert mode(tmp_path / "a" / "keys" / ".lock") == 0o600


def test_an_absent_file_has_no_document(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none.json") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b'{"secret": "hunter2"'])
def test_a_file_that_is_not_json_is_named_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.json cannot be used: it is not JSON; mend it, or restore") as error:
        read_json(path)
    assert "hunter2" not in str(error.value)
    assert error.value.__suppress_context__


def test_a_followed_file_is_read_when_it_was_replaced_and_only_then(tmp_path: Path) -> None:
    path = tmp_path / "x"
    watched = Watched(path)
    read: list[str] = []

    def follow() -> bool:
        return watched.follow(lambda: read.append(path.read_text()))

    assert not follow()
    for text in ("a", "b"):
        write_private(path, text)
        assert (follow(), follow()) == (True, False)
    path.unlink()
    assert not follow()
    assert read == ["a", "b"]


def test_a_file_that_could_not_be_read_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("x")
    watched = Watched(path)

    def fail() -> None:
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError, match=r"^$"):
            watched.follow(fail)
    assert watched.follow(lambda: None)
