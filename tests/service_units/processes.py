"""Running a function of a test module in several real processes that begin at the same instant."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.servers import clean_environment

ROOT = Path(__file__).resolve().parents[2]
# Each says that it is there, then waits until all are.
_CODE = """
import json, sys
from {module} import {name}
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps({name}(*json.loads(sys.argv[1]))))
"""


def python(code: str, *args: str, cwd: Path, **options: Any) -> "subprocess.Popen[str]":
    """Start a Python process that finds the project's packages."""
    paths = os.pathsep.join(str(ROOT / part) for part in ("client", "service", "."))
    env = {**clean_environment(), "PYTHONPATH": paths, **options.pop("env", {})}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *args],
        stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=cwd, env=env, **options,
    )  # fmt: skip


def at_once(module: str, name: str, *calls: list[str], cwd: Path, env: Mapping[str, str] | None = None) -> list[Any]:
    """Call `module.name(*call)` in one process for each call, all at once, and return what they returned."""
    code = _CODE.format(module=module, name=name)
    children = [python(code, json.dumps(call), cwd=cwd, env=env or {}) for call in calls]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n", child.communicate()[1]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    ends = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0] * len(children), [error for _, error in ends]
    return [json.loads(out) for out, _ in ends]
