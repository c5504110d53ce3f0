"""What is counted. One registry per process, or one directory of all workers.

With several workers the environment names a directory (``PROMETHEUS_MULTIPROC_DIR``) before
prometheus-client is imported; then the page sums over all of them, whichever answers.
"""

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """The service's metrics."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped; when a series began doubles the page and tells nobody anything
        self.registry = CollectorRegistry()
        self.verdicts = Counter(
            "quash_verdicts",
            "Verdicts on presented tokens by reason; `active` is one.",
            ["reason"],
            registry=self.registry,
        )
        self.rotations = Counter(
            "quash_rotations",
            "Presented refresh tokens by outcome, and class of reuse or cause of the end.",
            ["outcome", "detail"],
            registry=self.registry,
        )
        self.revocations = Counter(
            "quash_revocations",
            "Acknowledged revocations by kind and cause.",
            ["kind", "cause"],
            registry=self.registry,
        )
        self.opened = Counter("quash_sessions_opened", "Sessions opened.", registry=self.registry)
        self.engine_errors = Counter(
            "quash_engine_errors",
            "Requests that the state could not answer, by kind of failure.",
            ["kind"],
            registry=self.registry,
        )
        self.births = Counter(
            "quash_partitions_born",
            "Partitions that were made, or made again after their loss.",
            registry=self.registry,
        )
        self.latency = Histogram(
            "quash_request_seconds",
            "Time to answer a request, by route, method and status.",
            ["route", "method", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def page(self) -> bytes:
        """Return the metrics in Prometheus' text format, of all workers."""
        if MULTIPROCESS not in os.environ:
            return generate_latest(self.registry)
        everywhere = CollectorRegistry()
        MultiProcessCollector(everywhere)  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped
        return generate_latest(everywhere)
