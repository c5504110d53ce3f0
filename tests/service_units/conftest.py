"""Settings are read from a clean environment, in a directory without a quash.toml."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("QUASH_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
