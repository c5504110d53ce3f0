"""A child process that uses the engine of a data directory until its standard input ends: `starter.py DIR`."""

import sys
from pathlib import Path

from quash_service.engine.embedded import EmbeddedEngine

if __name__ == "__main__":
    engine = EmbeddedEngine(Path(sys.argv[1]))
    engine.start()
    sys.stdout.write(f"{engine.pid}\n")
    sys.stdout.flush()
    sys.stdin.read()
    engine.stop()
