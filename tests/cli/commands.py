"""Running the real command in a child process."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.servers import COMMAND, RunningServer, clean_environment

Done = subprocess.CompletedProcess[str]


def quash(
    *args: str, data_dir: Path, env: Mapping[str, str] | None = None, stdin: str = "", umask: int = 0o022
) -> Done:
    """Run `quash args` on a data directory to its end, in the directory above it."""
    return subprocess.run(
        [*COMMAND, *args],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=data_dir.parent,
        env=clean_environment({"QUASH_DATA_DIR": str(data_dir), **(env or {})}),
        umask=umask,
    )


def open_session(server: RunningServer, sub: str, **fields: Any) -> dict[str, Any]:
    """Log a user in over HTTP."""
    answer = httpx.post(f"{server.url}/sessions", json={"sub": sub, **fields}, auth=("admin", server.admin_secret))
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def is_active(server: RunningServer, token: str) -> bool:
    """Introspect a token over HTTP."""
    answer = httpx.post(f"{server.url}/introspect", data={"token": token}, auth=("admin", server.admin_secret))
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["active"])
