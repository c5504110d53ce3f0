"""Scripts are package data whose headers are their signatures."""

import re
from importlib.resources import files

import pytest

from quash_service.store.scripts import COMMON, Argument, load

FOLDER = files("quash_service.lua")
NAMES = sorted(entry.name.removesuffix(".lua") for entry in FOLDER.iterdir() if entry.name.endswith(".lua"))
VERBS = [name for name in NAMES if name != "_prelude"]


def body_of(name: str) -> str:
    text = (FOLDER / f"{name}.lua").read_text()
    return "\n".join(line.partition("--")[0] for line in text.splitlines())


@pytest.mark.parametrize("name", VERBS)
def test_every_name_in_a_header_is_used_by_its_script_or_the_prelude_it_calls(name: str) -> None:
    script = load(name)
    own = body_of(name)
    shared = body_of("_prelude")
    for wanted in (*script.keys, *script.arguments):
        assert re.search(rf"\b{wanted}\b", own) or re.search(rf"\b{wanted}\b", shared), wanted


@pytest.mark.parametrize("name", VERBS)
def test_no_script_reaches_past_its_header_or_uses_what_engines_lack(name: str) -> None:
    for part in (name, "_prelude"):
        assert not re.search(r"\b(KEYS|ARGV|cjson|struct|bit|cmsgpack|sha1hex)\b", body_of(part))
    assert not load(name).source.startswith("#!")


@pytest.mark.parametrize("name", [name for name in VERBS if name != "join_floor"])
def test_every_script_declares_the_partitions_facts(name: str) -> None:
    assert "g" in load(name).keys


@pytest.mark.parametrize("name", [name for name in VERBS if name not in {"join_floor", "birth"}])
def test_every_verb_first_refuses_an_unborn_state_and_a_foreign_clock(name: str) -> None:
    first = next(line for line in body_of(name).splitlines() if line.strip())
    assert first == "local refused = refusal()"


def test_numbers_are_written_without_loss_and_never_by_concatenation() -> None:
    """Lua's `..` writes 1e+15 for large numbers; every number that is stored goes through `int`."""
    for name in NAMES:
        assert not re.search(r"tostring\(", body_of(name))


def test_arguments_are_bound_by_name_in_the_headers_order() -> None:
    script = load("revoke_session")
    assert script.arguments[: len(COMMON)] == COMMON
    keys = {name: f"key-{name}" for name in script.keys}
    arguments = {name: f"value-{name}" for name in script.arguments}
    assert script.bind(keys, arguments) == [
        *(f"key-{name}" for name in script.keys),
        *(f"value-{name}" for name in script.arguments),
    ]


def test_a_list_takes_all_the_rest() -> None:
    script = load("join_floor")
    arguments: dict[str, Argument] = {**dict.fromkeys(script.arguments, "x"), "names": ["one", b"two", 3]}
    assert script.bind({"floor": "k"}, arguments)[-3:] == ["one", b"two", 3]


def test_a_forgotten_and_an_invented_name_are_mistakes() -> None:
    script = load("birth")
    arguments = dict.fromkeys(script.arguments, "x")
    with pytest.raises(KeyError):
        script.bind({"g": "k"}, arguments)
    with pytest.raises(TypeError, match="invented"):
        script.bind({"g": "k", "f": "k"}, {**arguments, "invented": "x"})


def test_a_repr_does_not_fill_the_log_with_source() -> None:
    assert len(repr(load("rotate"))) < 500
