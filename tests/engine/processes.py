"""Other processes that use an engine, and waiting for what they do."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def another_service(data_dir: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start another process that uses the engine; `read_pid` then waits until it is ready."""
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("starter.py")), str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with child:
        yield child
        if child.poll() is None:
            child.communicate()


def read_pid(child: "subprocess.Popen[str]") -> int:
    assert child.stdout is not None
    return int(child.stdout.readline())


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
