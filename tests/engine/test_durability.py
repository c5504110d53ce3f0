"""The durability setting is read strictly, and each value says what it promises."""

import pytest

from quash_service.engine.durability import Durability, parse_durability


@pytest.mark.parametrize(
    ("text", "value"), [("fsync", Durability.FSYNC), ("memory", Durability.MEMORY), (" FSYNC ", Durability.FSYNC)]
)
def test_the_known_values_are_read(text: str, value: Durability) -> None:
    assert parse_durability(text) is value


@pytest.mark.parametrize("text", ["", "replicas:1", "always", "none"])
def test_anything_else_is_answered_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="must be fsync or memory"):
        parse_durability(text)


def test_each_value_says_what_it_promises_or_risks() -> None:
    assert "survives a crash" in Durability.FSYNC.promise
    assert "may lose" in Durability.MEMORY.promise
