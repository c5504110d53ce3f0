"""Settings that are refused, and the files that say them."""

from pathlib import Path

import pytest

from quash_service.settings import SettingsRefused, load_settings

OTHER = '[[issuers]]\nissuer = "https://auth.example"\nkeys = "keys.json"\n'
REMOTE = '[[issuers]]\nissuer = "https://auth.example"\njwks_uri = '


def refused(**flags: object) -> str:
    with pytest.raises(SettingsRefused) as error:
        load_settings(**flags)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None
    return str(error.value)


def write(text: str, path: str = "quash.toml") -> None:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(text)
