"""Metrics: right with several workers, and bounded whatever users do."""

import os
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from quash_service.metrics import Metrics
from tests.service_units.processes import at_once

BOUNDED = {"reason", "outcome", "detail", "kind", "cause", "route", "method", "status"}


def count_in(times: str) -> int:
    """One of several workers."""
    metrics = Metrics()
    metrics.verdicts.labels("active").inc(int(times))
    metrics.verdicts.labels("expired").inc()
    metrics.rotations.labels("reused", "likely_theft").inc()
    metrics.latency.labels("/token", "POST", 200).observe(0.004)
    return os.getpid()


def page_in() -> str:
    """Another worker, which counted nothing, answers."""
    return Metrics().page().decode()


def samples(page: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_the_page_of_any_worker_sums_over_all_also_those_that_ended(tmp_path: Path) -> None:
    env = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    module = "tests.service_units.test_metrics"
    first, second = at_once(module, "count_in", ["3"], ["4"], cwd=tmp_path, env=env)
    assert first != second
    [page] = at_once(module, "page_in", [], cwd=tmp_path, env=env)
    seen = samples(page)
    assert seen["quash_verdicts_total", ("active",)] == 7
    assert seen["quash_verdicts_total", ("expired",)] == 2
    assert seen["quash_rotations_total", ("likely_theft", "reused")] == 2
    assert seen["quash_request_seconds_count", ("POST", "/token", "200")] == 2
    assert "pid" not in page


def test_one_process_has_its_own_page() -> None:
    metrics, other = Metrics(), Metrics()
    metrics.opened.inc()
    assert samples(metrics.page().decode())["quash_sessions_opened_total", ()] == 1
    assert samples(other.page().decode())["quash_sessions_opened_total", ()] == 0


def test_labels_are_bounded_sets_and_never_ids() -> None:
    metrics = Metrics()
    collectors = [one for one in vars(metrics).values() if hasattr(one, "_labelnames")]
    assert len(collectors) == 7
    names = {name for one in collectors for name in one._labelnames}
    assert names == BOUNDED


def test_every_metric_is_ours_by_name_and_says_what_it_counts() -> None:
    for family in text_string_to_metric_families(Metrics().page().decode()):
        assert family.name.startswith("quash_")
        assert family.documentation.endswith(".")
        assert not family.name.endswith("_created")
