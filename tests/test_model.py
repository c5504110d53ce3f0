"""The application and an independent oracle, side by side, through everything users and thieves do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.engines import spawn_valkey
from tests.model.machine import machine
from tests.model.service import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with spawn_valkey(tmp_path) as engine, Served(tmp_path, engine.url) as served:
        yield served


def test_the_service_does_what_the_oracle_says(served: Served) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine(served),
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
