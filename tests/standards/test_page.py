"""docs/standards.md names sections as RFCs have them, and tests that exist."""

import re
from functools import cache

import pytest

from tests.documents import ROOT

PAGE = (ROOT / "docs" / "standards.md").read_text()
SECTION = re.compile(r"(§\d+(\.\d+)*(, (?=§))?)+|Appendix [A-Z]")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
ASKED_FOR = ("7009", "7662", "6749", "8414", "9068", "6750", "9470", "9457", "7515", "7517", "7519", "7638", "8725")
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| section", "| ---"))
]


@cache
def defined(path: str) -> frozenset[str]:
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)\(", (ROOT / path).read_text(), re.MULTILINE))


@pytest.mark.parametrize("number", ASKED_FOR)
def test_every_standard_has_its_table(number: str) -> None:
    heading = next(line for line in PAGE.splitlines() if line.startswith("## ") and number in line)
    assert "| section | what it asks | shown by |" in PAGE.partition(heading)[2].split("\n## ")[0]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1][:40]}")
def test_a_row_names_a_section_what_it_asks_and_a_test_or_the_reason_why_not(row: list[str]) -> None:
    section, asked, shown = row
    assert SECTION.fullmatch(section), section
    assert asked
    assert TEST.search(shown) or re.match(r"\*\*(Not offered|Yours)\*\*", shown), shown


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(tests/[^`]*)`", PAGE))
    assert len(named) > 80
    for one in sorted(named):
        path, _, name = one.partition("::")
        assert name in defined(path), one
