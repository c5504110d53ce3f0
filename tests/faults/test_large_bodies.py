"""Forms far too large for any route: refused early, one after another, in memory that does not grow."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import RunningServer, serve

SIZE = 3_000_000
FORMS = 200
GROWTH_KIB = 6 * 1024
HEAD = (
    b"POST /introspect HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n"
)
STATED = HEAD + b"Content-Length: %d\r\n\r\n" % SIZE
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PIECE = b"token=" + b"t" * 65_530


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serve(tmp_path_factory.mktemp("large")) as running:
        yield running


def resident_kib(server: RunningServer) -> int:
    """Return the memory that the service's process holds."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


def send(server: RunningServer, head: bytes) -> tuple[int, int]:
    """Send a large form until it is refused; return the status and how much was taken."""
    piece = PIECE if head == STATED else b"%x\r\n%b\r\n" % (len(PIECE), PIECE)
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head)
        connection.settimeout(0.005)
        answer = b""
        while not answer and sent < SIZE:
            connection.settimeout(20)
            connection.sendall(piece)
            sent += len(piece)
            connection.settimeout(0.001)
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(4096)
        connection.settimeout(20)
        answer = answer or connection.recv(4096)
    return int(answer.split(b" ")[1]), sent


@pytest.mark.parametrize("head", [STATED, CHUNKED], ids=["stated", "chunked"])
def test_three_megabytes_are_refused_early_and_leave_no_trace_in_memory(server: RunningServer, head: bytes) -> None:
    for _ in range(20):
        send(server, head)
    before = resident_kib(server)
    answers = [send(server, head) for _ in range(FORMS)]
    grown = resident_kib(server) - before
    assert {status for status, _ in answers} == {413}
    assert sorted(sent for _, sent in answers)[FORMS // 2] < SIZE // 2
    assert grown < GROWTH_KIB, f"{grown} KiB more after {FORMS} forms"
