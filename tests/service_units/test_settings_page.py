"""docs/settings.md is complete and true, and its example loads."""

import re
from pathlib import Path

import pytest

from quash.policy import ALGORITHMS
from quash_service.settings import load_settings
from tests.service_units.settings_table import issuer_rows, settings_rows

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text()


@pytest.mark.parametrize("rows", [settings_rows(), issuer_rows()], ids=["settings", "issuers"])
def test_the_page_holds_the_table_that_the_settings_make(rows: list[str]) -> None:
    table = "\n".join(rows)
    assert f"\n\n{table}\n\n" in PAGE, f"the page should say:\n{table}"


def test_the_page_names_every_algorithm() -> None:
    assert {name for name in ALGORITHMS if name in PAGE} == ALGORITHMS


def test_the_example_of_the_page_loads(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "quash.toml"
    file.write_text(example)
    settings = load_settings(config=str(file))
    first, second = settings.issuers
    assert (first.issuer, first.audience) == ("https://auth.example", ("orders",))
    assert (first.algorithms, first.embeds) == (frozenset({"RS256"}), frozenset({"ver"}))
    assert first.jwks_uri == "https://auth.example/.well-known/jwks.json"
    assert second.keys == tmp_path / "legacy.jwks.json"
    assert (second.has_jti, second.policy().has_jti) == (False, False)
