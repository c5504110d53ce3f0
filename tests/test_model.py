"""The application and an independent oracle, side by side, through everything users and thieves do."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.engines import spawn_valkey
from tests.model.machine import model_of
from tests.model.mutants import MUTANTS, InScript, InVerdict
from tests.model.service import Served

ALWAYS = settings(
    max_examples=50,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("model")
    with spawn_valkey(folder) as engine, Served(folder, engine.url) as served:
        yield served


def test_the_service_does_what_the_oracle_says(served: Served) -> None:
    run_state_machine_as_test(model_of(served), settings=ALWAYS)


@pytest.mark.soak
def test_it_does_so_for_long(served: Served) -> None:
    number = random.SystemRandom().getrandbits(32)
    sys.stderr.write(f"the seed is {number}\n")
    run_state_machine_as_test(
        seed(number)(model_of(served)), settings=settings(ALWAYS, derandomize=False, max_examples=1000)
    )


@pytest.mark.soak
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_seen(served: Served, mutant: InScript | InVerdict, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.plant(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            model_of(served),
            settings=settings(ALWAYS, max_examples=400, phases=[Phase.generate], report_multiple_bugs=False),
        )
