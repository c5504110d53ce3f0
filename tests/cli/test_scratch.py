"""Directories of one run: dead runs' are removed, living ones' and other people's never."""

from pathlib import Path

import pytest

from quash_service.cli.scratch import scratch


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_it_is_private_and_gone_at_the_end() -> None:
    with scratch("quash-x-") as place:
        assert place.stat().st_mode & 0o077 == 0
        (place / "file").write_text("")
    assert not place.exists()


def test_what_a_dead_run_left_is_removed(tmp_path: Path) -> None:
    left, other = tmp_path / "quash-x-dead", tmp_path / "quash-y-dead"
    for folder in (left, other):
        folder.mkdir()
        (folder / "file").write_text("")
    with scratch("quash-x-"):
        assert not left.exists()
        assert other.exists()


def test_a_living_run_s_is_kept() -> None:
    with scratch("quash-x-") as first, scratch("quash-x-") as second:
        assert first.exists()
        assert second.exists()
        assert first != second


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").write_text("")
    (tmp_path / "quash-x-link").symlink_to(target)
    with scratch("quash-x-"):
        assert (target / "file").exists()
