"""What the documents show is what happens: every block is typed, every answer compared."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import PLACEHOLDER, ROOT, Block, MakeRun, agrees, blocks, play, steps
from tests.engines import require_engine

README = "README.md"
RUN = (README, "docs/http.md", "docs/operations.md")
COMMANDS = r"(make (run|test)|docker compose (up|exec quash cat /data/admin\.secret))"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MakeRun]:
    require_engine("valkey")
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine, and the documents speak curl")
    with MakeRun(tmp_path) as running:
        yield running


@pytest.mark.parametrize("document", RUN)
def test_every_command_of_the_document_runs_and_answers_as_shown(document: str, server: MakeRun) -> None:
    compared = play(document, server)
    assert compared == len([one for one in blocks(document) if one.language in {"json", "http", "text"}])
    assert compared > 0


@pytest.mark.parametrize("document", RUN)
def test_every_block_is_of_a_kind_that_is_run_or_compared(document: str) -> None:
    kinds = {block.language for block in blocks(document)}
    assert kinds <= {"bash", "json", "http", "text", "console"}
    assert any(PLACEHOLDER in step.typed.text for step in steps(document))


def test_what_readme_shows_and_no_test_can_type_is_known_to_work_elsewhere() -> None:
    """`console` blocks hold the two commands, which this file and CI run, and the container's."""
    lines = [line for block in blocks(README) if block.language == "console" for line in block.text.splitlines()]
    typed = [line.removeprefix("$ ").partition("  #")[0].rstrip() for line in lines]
    assert {"make run", "make test"} <= set(typed)
    assert [line for line in typed if not re.fullmatch(COMMANDS, line)] == []


def test_the_first_screen_holds_the_two_commands_and_the_tour() -> None:
    first = (ROOT / README).read_text()[:1500]
    assert first.index("make run") < first.index("make test") < first.index("curl")


@pytest.mark.parametrize(
    ("shown", "answer", "same"),
    [
        ('{"active": false}', '{"active":false}', True),
        ('{"active": false}', '{"active":true}', False),
        ('{"active": false}', '{"active":0}', False),
        ('{"active": false}', '{"active":false,"reason":"expired"}', False),
        ('{"sid": "ab…"}', '{"sid":"abcd"}', True),
        ('{"sid": "ab…"}', '{"sid":"xbcd"}', False),
        ('{"iat": 1795502113}', '{"iat":1800000000}', True),
        ('{"iat": 1795502113}', '{"iat":0}', False),
        ('{"expires_in": 600}', '{"expires_in":599}', True),
        ('{"expires_in": 600}', '{"expires_in":900}', False),
        ('{"ver": 0}', '{"ver":1}', False),
        ("{}\n{}", "{}", False),
    ],
)
def test_a_document_that_drifts_is_seen(shown: str, answer: str, *, same: bool) -> None:
    assert agrees(Block("json", "", shown), answer) is same
