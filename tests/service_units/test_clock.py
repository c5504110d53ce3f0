"""The service's clock follows the primary's, and expiry is judged by the later of the two."""

import time

import pytest

from quash_service.clock import Clock, system_ms


def test_before_the_first_measurement_it_is_the_hosts() -> None:
    clock = Clock(lambda: 1_000)
    assert (clock.host_ms(), clock.now_ms(), clock.latest_ms(), clock.offset_ms) == (1_000, 1_000, 1_000, 0)


@pytest.mark.parametrize(
    ("primary", "now", "latest"), [(1_500, 1_500, 1_500), (400, 400, 1_000), (1_000, 1_000, 1_000)]
)
def test_it_follows_the_primary_and_never_judges_by_the_earlier_clock(primary: int, now: int, latest: int) -> None:
    clock = Clock(lambda: 1_000)
    clock.follow(primary, 1_000)
    assert (clock.host_ms(), clock.now_ms(), clock.latest_ms()) == (1_000, now, latest)


def test_the_offset_is_of_the_instant_it_was_measured_and_each_measurement_replaces_the_last() -> None:
    host = 1_000
    clock = Clock(lambda: host)
    clock.follow(1_500, 900)
    assert (clock.offset_ms, clock.now_ms()) == (600, 1_600)
    host = 2_000
    assert clock.now_ms() == 2_600
    clock.follow(2_000, 2_000)
    assert clock.now_ms() == 2_000


def test_the_systems_time_is_in_ms() -> None:
    before = time.time_ns()
    assert before // 1_000_000 <= system_ms() <= time.time_ns() // 1_000_000
