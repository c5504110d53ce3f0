"""The strict shell is the only way in: nobody in the library or the service lets PyJWT read a token."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "client").rglob("*.py"), *(ROOT / "service").rglob("*.py")])

LETS_IN = frozenset({"jwt.algorithms", "jwt.exceptions"})
"""PyJWT's modules that sign and verify bytes, and cannot read a token."""


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield every import of PyJWT: the module and the name taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.partition(".")[0] == "jwt")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "jwt" and not node.level:
            yield from ((node.module or "", alias.name) for alias in node.names)


def called(tree: ast.Module, name: str) -> bool:
    """Tell whether something of this name is called."""
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(name in {getattr(one, "id", ""), getattr(one, "attr", "")} for one in calls)


def files(name: str) -> set[str]:
    """Return the files in which something of this name is called."""
    return {path.name for path in SOURCES if called(ast.parse(path.read_text()), name)}


def test_pyjwt_is_imported_for_its_algorithms_only() -> None:
    found = {(path.name, module, name) for path in SOURCES for module, name in imported(ast.parse(path.read_text()))}
    assert found
    assert {one for one in found if one[1] not in LETS_IN} == set()


def test_no_source_names_what_reads_tokens_in_pyjwt() -> None:
    for path in SOURCES:
        for word in ("jwt.decode", "PyJWT(", "PyJWS(", "PyJWKClient", "decode_complete", "get_unverified_header"):
            assert word not in path.read_text(), (path.name, word)


def test_a_signature_is_verified_in_one_place_on_what_the_shell_let_through() -> None:
    """`Unverified` is made by `parse` alone, and `Key.verifies` is asked by `verify_signature` alone."""
    assert files("Unverified") == {"parse.py"}
    assert files("verifies") == {"signature.py"}


def test_the_library_and_the_service_use_the_same_shell() -> None:
    callers = files("verify_signature")
    assert "judge.py" in callers
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        if called(tree, "verify_signature"):
            assert called(tree, "parse"), path.name
