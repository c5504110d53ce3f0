"""What the documents list is all there is, and what they point at is there."""

import re
from pathlib import Path

import pytest

from quash.reasons import Cause, Reason
from quash_service.callers import SCOPES
from quash_service.cli.group import quash
from quash_service.http.problems import STATUS
from quash_service.metrics import Metrics
from quash_service.settings import Settings
from quash_service.store.scripts import load
from tests.documents import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text(document: str) -> str:
    return (ROOT / document).read_text()


def section(document: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one of its level or above."""
    level = heading.split(" ", maxsplit=1)[0]
    _, _, rest = text(document).partition(f"\n{heading}\n")
    assert rest, f"{document} has no {heading}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(document: str, heading: str) -> list[list[str]]:
    """Return the cells of the tables' rows under a heading that begin with something in code."""
    lines = [line for line in section(document, heading).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def codes(cells: list[list[str]]) -> list[str]:
    return [code for cell in cells for code in re.findall(r"`([^`]+)`", cell[0])]


def test_the_table_of_errors_is_the_one_that_is_answered() -> None:
    listed = {row[0].strip("`"): int(row[1]) for row in rows("docs/http.md", "## Errors")}
    assert listed == {code: status for code, (status, _) in STATUS.items()}


def test_every_reason_is_explained_in_the_order_of_the_rules() -> None:
    table = rows("docs/http.md", "## Reasons")
    assert codes(table) == [reason.value for reason in Reason]
    assert all(meaning and remedy for _, meaning, remedy in table)


def test_every_cause_is_explained() -> None:
    assert codes(rows("docs/http.md", "## Causes")) == [cause.value for cause in Cause]


def test_every_scope_of_a_caller_is_explained() -> None:
    assert codes(rows("docs/http.md", "## Callers")) == list(SCOPES)


def test_every_metric_is_listed_by_the_name_and_labels_that_the_page_has() -> None:
    metrics = Metrics()
    page = {}
    for metric in vars(metrics).values():
        if metric is not metrics.registry:
            suffix = "_total" if metric._type == "counter" else ""
            page[metric._name + suffix] = list(metric._labelnames)
    listed = {row[0].strip("`"): re.findall(r"`([^`]+)`", row[1]) for row in rows("docs/operations.md", "## Metrics")}
    assert listed == page


def test_every_log_event_is_explained() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "service").rglob("*.py"))
    written = set(re.findall(r"(?:log|get_logger\(\))\.(?:info|warning|error)\(\s*\"([a-z_]+)\"", source))
    assert len(written) > 10
    assert set(codes(rows("docs/operations.md", "## Logs"))) == written


@pytest.mark.parametrize("document", ["README.md", *(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md"))])
def test_every_setting_and_command_that_is_named_exists(document: str) -> None:
    known = {f"QUASH_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"QUASH_[A-Z_]+[A-Z]", text(document)))
    assert named - known - {"QUASH_TEST"} == set()
    commands = set(re.findall(r"`quash ([a-z]+)", text(document)))
    assert commands <= set(quash.list_commands(None))  # type: ignore[arg-type]  # the context is not looked at


def test_every_module_and_script_has_its_place_on_the_map() -> None:
    the_map = set(re.findall(r"`([a-z_0-9]+)`", section("docs/architecture.md", "## Which module does what")))
    modules = [
        *(ROOT / "client").rglob("*.py"),
        *(ROOT / "service").rglob("*.py"),
        *(ROOT / "service").rglob("*.lua"),
    ]
    stems = {path.stem for path in modules} - {"__init__"}
    assert the_map == stems


def test_every_kind_of_audit_entry_is_listed() -> None:
    folder = ROOT / "service" / "quash_service" / "lua"
    source = "\n".join(load(path.stem).source for path in folder.glob("[a-z]*.lua"))
    calls = re.findall(r"\b(?:audit|quietly)\((.*)", source)
    written = {word for call in calls for word in re.findall(r"'([a-z]+(?:_[a-z]+)?)'", call.partition("{")[0])}
    assert set(codes(rows("docs/architecture.md", "### The audit"))) == written - {"k"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text()):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        found = (path.parent / place) if place else path
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as the usual hosts make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_decision_records_are_numbered_without_gaps_and_say_what_they_cost() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        headings = re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE)
        assert headings == ["Context", "Options", "Decision", "Cost"], path.name
