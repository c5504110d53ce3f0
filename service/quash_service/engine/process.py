"""Run a server program on an engine directory, and ask a socket which engine answers there."""

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from quash_service.engine.binary import Binary
from quash_service.engine.files import EngineFiles, open_lock, try_lock

# The service's environment holds secrets; the engine needs none of it but these.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
_ANSWER_S = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine on a socket says of itself; `loaded` is None when it has read all of its data."""

    pid: int
    directory: Path
    loaded: str | None


def arguments(files: EngineFiles, socket: Path) -> list[str]:
    """Return the engine's options: a unix socket only, every write on disk before it is acknowledged, no eviction."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(files.root),
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "save": "",
        "maxmemory-policy": "noeviction",
        "logfile": str(files.log),
        "daemonize": "no",
    }
    return [part for name, value in options.items() for part in (f"--{name}", value)]


def spawn(binary: Binary, files: EngineFiles, socket: Path) -> int | None:
    """Start the engine and return its process id; None if somebody holds its lock at this moment.

    It runs in its own session, so that Ctrl-C ends the service, which ends the engine last. It inherits the
    locked descriptor of `alive.lock`: however it dies, the kernel lets go of the lock and nobody else can.
    """
    lock = open_lock(files.alive_lock)
    try:
        if not try_lock(lock, fcntl.LOCK_EX):
            return None
        socket.unlink(missing_ok=True)
        child = subprocess.Popen(
            [binary.path, *arguments(files, socket)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=files.root,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            umask=0o077,
            pass_fds=(lock,),
            start_new_session=True,
        )
    finally:
        os.close(lock)
    # It may outlive its starter and may be ended by another user, so nobody in particular waits for it.
    threading.Thread(target=child.wait, name="quash-engine-reaper", daemon=True).start()
    return child.pid


def ask(socket: Path) -> Answer | None:
    """Return what the engine on `socket` says of itself, None if nobody answers (yet)."""
    client = redis.Redis(
        unix_socket_path=str(socket),
        socket_timeout=_ANSWER_S,
        socket_connect_timeout=_ANSWER_S,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )
    # One round trip: an engine that loads looks at its sockets only now and then.
    questions = client.pipeline(transaction=False)
    questions.info("server")
    questions.info("persistence")
    questions.config_get("dir")
    try:
        server, saved, directory = questions.execute()
    except redis.RedisError:
        return None
    finally:
        client.close()
    return Answer(int(server["process_id"]), Path(_text(directory["dir"])), _progress(saved))


def exists(pid: int) -> bool:
    """Say whether a process of this id is there and not only its unread exit code."""
    with contextlib.suppress(ChildProcessError):
        # In a container the service may be process 1, which inherits the engines of its killed predecessors.
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def signal_engine(pid: int, number: signal.Signals) -> None:
    """Send a signal to the engine `pid`; SIGKILL also reaches the child that rewrites its AOF.

    Only to be called while `alive.lock` is held: then `pid` cannot have become another program's,
    since the kernel keeps a number as long as a process group is named by it.
    """
    with contextlib.suppress(ProcessLookupError):
        if number is signal.SIGKILL:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def _progress(saved: dict[str, Any]) -> str | None:
    if not int(saved.get("loading", 0)):
        return None
    done, left = saved.get("loading_loaded_perc", "?"), saved.get("loading_eta_seconds", "?")
    return f"{done} % read, about {left} s left"


def _text(value: object) -> str:
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)
