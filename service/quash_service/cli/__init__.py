"""The command ``quash``. Exit codes: 0 done, 1 problem found, 2 usage, 3 state unavailable."""

import os
import sys
from importlib.util import find_spec

__all__ = ["main"]

_NEEDED = ("click", "fastapi", "prometheus_client", "pydantic_settings", "structlog", "uvicorn")


def main() -> None:
    """Run the command line. Without the service's packages it says how to install them, and exits 2."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"quash: only the library is installed ({', '.join(missing)} missing); "
            "the server and its commands come with: pip install 'quash[service]'\n"
        )
        raise SystemExit(2)
    # A directory of somebody else's metrics would be summed into ours; workers get a fresh one of their own.
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        os.environ.pop(name, None)
    from .group import quash

    quash.main(prog_name="quash")
