"""The project's own rules about its rules: an exception has a reason, and a word means the same everywhere."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = (ROOT / "pyproject.toml").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
WORDS = ["run", "check", "test", "bench", "soak", "audit", "lock", "clean"]
FOLDERS = ("client", "service", "bench", "examples")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
EXCEPTION = re.compile(r"#\s*(?:noqa|type: ignore|pragma: no)\b")
REASONED = re.compile(r"#\s*(?:noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\]|pragma: no \w+) +(?:-|#) +\w+")


def test_every_ignored_lint_rule_has_its_reason_on_the_line() -> None:
    rules = re.findall(r'^  "[A-Z]+[0-9]*",(.*)$', PROJECT, re.MULTILINE)
    assert len(rules) > 10
    assert all(re.fullmatch(r" +# \S.{5,}", rest) for rest in rules)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_exception_to_a_lint_names_its_rule_and_its_reason(path: Path) -> None:
    excepted = [line for line in path.read_text().splitlines() if EXCEPTION.search(line)]
    assert [line for line in excepted if not REASONED.search(line)] == []


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_a_target_and_is_explained(word: str) -> None:
    assert re.search(rf"^{word}:", MAKEFILE, re.MULTILINE)
    assert f"| `make {word}` |" in (ROOT / "CONTRIBUTING.md").read_text()


def test_ci_says_the_words_a_person_would_type() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111 == 0o111
    assert script.read_text().endswith("\nexport QUASH_TEST_ENGINES=all\nmake check\nmake test\n")
    subprocess.run(["/bin/bash", "-n", str(script)], check=True)
