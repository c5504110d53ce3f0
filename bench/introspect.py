"""`/introspect` of a token seen before, state read on every call, against the least that a POST costs.

Needs wrk. Server on one core, load and engine on the other; the two servers take turns, and the
figure is requests per processor second of the server, so that neither has to be saturated.
"""

import json
import shutil
import statistics
import subprocess
import tempfile
import urllib.request
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

from .processes import LOAD_CORE, Server, free_port, serving

SECRET = "a-secret-of-the-benchmark-0123456789abcdef"  # noqa: S105 - opens a server that lives for seconds
_BASIC = "Basic " + b64encode(f"admin:{SECRET}".encode()).decode()
_SCRIPT = """
wrk.method = "POST"
wrk.body = "{body}"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
wrk.headers["Authorization"] = "{basic}"
"""


def main(rounds: int = 5, seconds: int = 2) -> None:
    """Print the ratios at 64 and 8 connections."""
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs wrk (Debian's package wrk)")
    with tempfile.TemporaryDirectory() as folder:
        quash_port, bare_port = free_port(), free_port()
        environment = {"QUASH_DATA_DIR": folder, "QUASH_ADMIN_SECRET": SECRET, "QUASH_PORT": str(quash_port)}
        uvicorn = ["-m", "uvicorn", "bench.bare:app", "--port", str(bare_port), "--no-access-log", "--loop", "uvloop"]
        with (
            serving(
                "quash", ["-m", "quash_service", "serve"], port=quash_port, env=environment, path="/readyz"
            ) as ours,
            serving("bare", uvicorn, port=bare_port, env={}) as bare,
        ):
            script = Path(folder) / "introspect.lua"
            script.write_text(_SCRIPT.format(body="token=" + quote(_access_token(ours)), basic=_BASIC))
            for connections in (64, 8):
                _compare(ours, bare, script, connections=connections, rounds=rounds, seconds=seconds)


def _access_token(server: Server) -> str:
    request = urllib.request.Request(  # noqa: S310 - our own loopback server
        server.url + "/sessions",
        data=json.dumps({"sub": "bench", "scope": "read write"}).encode(),
        headers={"Authorization": _BASIC, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310 - the same
        return str(json.load(response)["access_token"])


def _compare(ours: Server, bare: Server, script: Path, *, connections: int, rounds: int, seconds: int) -> None:
    ratios, rates = [], []
    for _ in range(rounds):
        our_rate = _rate(ours, "/introspect", script, connections, seconds)
        bare_rate = _rate(bare, "/", script, connections, seconds)
        ratios.append(our_rate / bare_rate)
        rates.append(our_rate)
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(
        f"introspect, seen before, {connections} connections: {middle:.2f} x bare POST ({low:.2f}-{high:.2f}), "
        f"{statistics.median(rates):,.0f} requests per server CPU second, {rounds} rounds of {seconds} s"
    )


def _rate(server: Server, path: str, script: Path, connections: int, seconds: int) -> float:
    before = server.cpu_s()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), server.url + path]
    done = subprocess.run(["taskset", "-c", LOAD_CORE, *command], capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout:
        raise SystemExit(f"{server.name} refused requests: {done.stdout}")
    requests = int(done.stdout.split(" requests in ")[0].split()[-1])
    return requests / (server.cpu_s() - before)
