"""Running a Markdown document: its `bash` blocks in one shell, each answer compared with the block after it.

In a shown answer `…` at the end of a string stands for any rest, and a number above 10⁹ (an instant, a version) for any
other such number. A block whose fence says `bash engine-away` runs while the engine does not answer.
"""

import json
import os
import pty
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.engines import free_port
from tests.servers import READY_S, clean_environment, end_engine, is_ready

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = "http://127.0.0.1:8400"
PATIENCE_S = 120.0
PLACEHOLDER = "the-secret-that-was-shown"
_FENCE = re.compile(r"^```(\S+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "--- end of block"
_INSTANT = 10**9


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, what else its fence says, and its text."""

    language: str
    note: str
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """What is typed, and the block that shows the answer, if there is one."""

    typed: Block
    shown: Block | None


def blocks(document: str) -> list[Block]:
    """Return the fenced blocks of a file in the repository."""
    return [Block(one, note.strip(), text) for one, note, text in _FENCE.findall((ROOT / document).read_text())]


def steps(document: str) -> list[Step]:
    """Return the `bash` blocks in order, each with the `json`, `text` or `http` block that follows it."""
    found = blocks(document)
    following: list[Block | None] = [*found[1:], None]
    return [
        Step(typed, shown if shown is not None and shown.language in {"json", "text", "http"} else None)
        for typed, shown in zip(found, following, strict=True)
        if typed.language == "bash"
    ]


class Shell:
    """One bash, so that what a block defines is there in the next."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "-u"],  # noqa: S607 - the reader's own
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=dict(env),
            text=True,
        )
        # A quotation mark that is never closed would wait for ever.
        self._guard = threading.Timer(PATIENCE_S, self._bash.kill)
        self._guard.start()

    def run(self, text: str) -> str:
        """Run one block and return what it wrote; fail if its last command failed."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{text}\nprintf '\\n{_MARK} %s\\n' $?\n")
        self._bash.stdin.flush()
        lines: list[str] = []
        for line in self._bash.stdout:
            if line.startswith(_MARK):
                assert line.split()[-1] == "0", f"failed: {text}"
                return "".join(lines).removesuffix("\n")
            lines.append(line)
        raise AssertionError(f"the shell ended in: {text}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._guard.cancel()
        self._bash.stdin.close()
        self._bash.wait(timeout=READY_S)
        self._bash.stdout.close()


class MakeRun:
    """The service as `make run` starts it for a person at a terminal, with its own port and data directory."""

    def __init__(self, tmp_path: Path) -> None:
        self.port = free_port()
        self._data_dir = tmp_path / "data"
        plain = {name: value for name, value in clean_environment().items() if not name.startswith(("MAKE", "MFLAGS"))}
        self.env = {**plain, "QUASH_PORT": str(self.port), "QUASH_DATA_DIR": str(self._data_dir)}
        self._seen = bytearray()
        terminal, end = pty.openpty()
        self._child = subprocess.Popen(
            ["make", "run"],  # noqa: S607 - the reader's own
            stdin=subprocess.DEVNULL,
            stdout=end,
            stderr=end,
            cwd=ROOT,
            env=self.env,
            start_new_session=True,
        )
        os.close(end)
        self._reader = threading.Thread(target=self._read, args=(terminal,), daemon=True)
        self._reader.start()

    @property
    def secret(self) -> str:
        """The secret of the caller `admin`, read off the terminal."""
        found = re.search(rb"secret is shown this once:\s+([A-Za-z0-9_-]{43})\s", self._seen)
        assert found, self._seen.decode(errors="replace")
        return found.group(1).decode()

    @contextmanager
    def engine_away(self) -> Iterator[None]:
        """Freeze the engine, as a network that swallows everything would."""
        engine = int(json.loads((self._data_dir / "engine" / "engine.json").read_text())["pid"])
        os.kill(engine, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(engine, signal.SIGCONT)

    def wait_ready(self) -> None:
        """Wait until /readyz says so."""
        deadline = time.monotonic() + READY_S
        while not is_ready(f"http://127.0.0.1:{self.port}"):
            assert self._child.poll() is None, self._seen.decode(errors="replace")
            assert time.monotonic() < deadline, self._seen.decode(errors="replace")
            time.sleep(0.02)

    def __enter__(self) -> Self:
        try:
            self.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.poll() is None:
            self._child.terminate()  # make passes it on
        self._child.wait(timeout=READY_S)
        self._reader.join(timeout=READY_S)
        if (self._data_dir / "engine" / "engine.json").exists():
            end_engine(self._data_dir)

    def _read(self, terminal: int) -> None:
        try:
            while piece := os.read(terminal, 4096):
                self._seen += piece
        except OSError:  # the last of its processes closed it
            pass
        finally:
            os.close(terminal)


def play(document: str, server: MakeRun) -> int:
    """Type a document's blocks and compare the answers; return how many were compared."""
    compared = 0
    with Shell(server.env) as shell:
        for step in steps(document):
            text = step.typed.text.replace(ADDRESS, f"http://127.0.0.1:{server.port}")
            answer = _typed(shell, server, text.replace(PLACEHOLDER, server.secret), step.typed.note)
            if step.shown is not None:
                compared += 1
                assert agrees(step.shown, answer), f"{document}: {step.typed.text}\nanswered\n{answer}"
    return compared


def _typed(shell: Shell, server: MakeRun, text: str, note: str) -> str:
    if note != "engine-away":
        assert note == ""
        return shell.run(text)
    with server.engine_away():
        answer = shell.run(text)
    server.wait_ready()
    return answer


def agrees(shown: Block, answer: str) -> bool:
    """Tell whether an answer is what a document shows."""
    match shown.language:
        case "json":
            return _alike(_documents(shown.text), _documents(answer))
        case "http":
            return _http_alike(shown.text, answer)
        case _:
            ours, theirs = shown.text.splitlines(), answer.splitlines()
            return len(ours) == len(theirs) and all(_alike(one, other) for one, other in zip(ours, theirs, strict=True))


def _documents(text: str) -> list[Any]:
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        document, end = decoder.raw_decode(rest)
        found.append(document)
        rest = rest[end:].strip()
    return found


def _http_alike(shown: str, answer: str) -> bool:
    head, _, body = shown.partition("\n\n")
    real_head, _, real_body = answer.replace("\r\n", "\n").partition("\n\n")
    status, *headers = head.splitlines()
    real_status, *real_lines = real_head.splitlines()
    real = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in real_lines)}
    named = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in headers)]
    return (
        status == real_status
        and all(_alike(value, real.get(name)) for name, value in named)
        and (not body or _alike(_documents(body), _documents(real_body)))
    )


def _alike(shown: Any, real: Any) -> bool:
    match shown:
        case dict():
            return (
                isinstance(real, dict)
                and shown.keys() == real.keys()
                and all(_alike(value, real[name]) for name, value in shown.items())
            )
        case list():
            return (
                isinstance(real, list)
                and len(shown) == len(real)
                and all(_alike(one, other) for one, other in zip(shown, real, strict=True))
            )
        case str() if shown.endswith("…"):
            return isinstance(real, str) and real.startswith(shown.removesuffix("…"))
        case bool() | None:
            return shown is real
        case int() if shown > _INSTANT:
            return isinstance(real, int) and real > _INSTANT
        case int():
            # A remaining life is shown whole; a second may have begun meanwhile.
            return isinstance(real, int) and not isinstance(real, bool) and 0 <= shown - real <= (shown > 60)
        case _:
            return bool(shown == real)
