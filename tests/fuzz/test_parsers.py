"""No input makes a parser do anything but read or refuse: a few thousand inputs here, a million in `make soak`."""

from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quash.errors import Unavailable
from quash_service.rotation import read_rotation, read_step_up
from tests.fuzz import records, requests, tokens
from tests.fuzz.mutations import many, mutated

TARGETS = {**tokens.TARGETS, **records.TARGETS, **requests.TARGETS}
SOAK_INPUTS = 2_000_000


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_input_is_read_or_refused(name: str, data: st.DataObject) -> None:
    check, samples = TARGETS[name]
    random = data.draw(st.randoms(use_true_random=True))
    check(data.draw(st.binary(max_size=300) | st.builds(lambda: mutated(random, samples))))


@pytest.mark.parametrize("name", TARGETS)
def test_the_samples_themselves_are_good(name: str) -> None:
    check, samples = TARGETS[name]
    for sample in samples:
        check(sample)


@pytest.mark.parametrize(
    "reply",
    [[b"rotated"], [b"rotated", b"1", b"a", b"0", b"1", b"1", b"iss"], [b"rotated", b"1", b"", b"0", b"1", b"1"]],
)
def test_a_reply_of_another_form_is_unavailable(reply: list[bytes]) -> None:
    for read, tag in ((read_rotation, b"rotated"), (read_step_up, b"stepped"), (read_rotation, b"healed")):
        with pytest.raises(Unavailable):
            read("s" * 38, [tag, *reply[1:]])


@pytest.mark.parametrize("letter", [b"", b"z", b"\xff", b"logout"])
def test_a_cause_that_is_none_is_unavailable(letter: bytes) -> None:
    with pytest.raises(Unavailable):
        read_rotation("s" * 38, [b"ended", letter])


@pytest.mark.soak
def test_a_million_inputs_are_read_or_refused(capsys: pytest.CaptureFixture[str]) -> None:
    began = monotonic()
    each = SOAK_INPUTS // len(TARGETS) + 1
    for name, (check, samples) in TARGETS.items():
        for at, one in enumerate(many(20_261_124, samples, each)):
            try:
                check(one)
            except Exception as error:
                raise AssertionError(f"{name}, input {at}: {one!r}") from error
    with capsys.disabled():
        took = monotonic() - began
        print(f"\n{each * len(TARGETS):,} inputs to {len(TARGETS)} parsers in {took:.0f} s")  # noqa: T201 - asked for
