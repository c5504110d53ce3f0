"""Where secrets are made and outputs written: the places of the code and of the tests that a ledger listens at."""

import json
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from structlog.stdlib import ProcessorFormatter

from tests.secrecy import WINDOW, Ledger

OURS = ("quash.", "quash_service.")
CLASSES = {
    "quash_service.tokens.mint": ("Minter", "mint"),
    "quash_service.tokens.refresh": ("RefreshSecrets", "build"),
    "quash_service.tokens.signer": ("LocalSigner", "__init__"),
    "tests.faults.wire": ("Wire", "ask"),
    "tests.servers": ("RunningServer", "_end"),
}
"""Modules, and the method in each that is listened at once the module is loaded."""

HANDING_OUT = ("/sessions", "/token", "/step-up")
"""How the paths end whose good answers to a POST hold tokens: that is what they are for."""


class Seams:
    """Listens for a ledger until undone."""

    def __init__(self, ledger: Ledger, patch: pytest.MonkeyPatch) -> None:
        self._ledger = ledger
        self._patch = patch

    def always(self) -> None:
        """Listen where no module of ours is needed: HTTP, child processes, rendered log lines."""
        send, send_async = httpx.Client.send, httpx.AsyncClient.send
        start, communicate = subprocess.Popen.__init__, subprocess.Popen.communicate
        render = ProcessorFormatter.format

        def sent(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
            return self._http(request, send(client, request, **options))

        async def sent_async(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
            return self._http(request, await send_async(client, request, **options))

        def started(child: Any, args: Any, *rest: Any, **options: Any) -> None:
            child.quash_data_dir = (options.get("env") or {}).get("QUASH_DATA_DIR")
            start(child, args, *rest, **options)

        def communicated(child: Any, *args: Any, **options: Any) -> Any:
            written = communicate(child, *args, **options)
            self._command(child, *written)
            return written

        def rendered(formatter: ProcessorFormatter, record: Any) -> str:
            line = render(formatter, record)
            self._ledger.output("the log", line)
            return line

        self._patch.setattr(httpx.Client, "send", sent)
        self._patch.setattr(httpx.AsyncClient, "send", sent_async)
        self._patch.setattr(subprocess.Popen, "__init__", started)
        self._patch.setattr(subprocess.Popen, "communicate", communicated)
        self._patch.setattr(ProcessorFormatter, "format", rendered)

    def loaded(self) -> None:
        """Listen in the modules that the collected tests have loaded."""
        listeners: dict[str, Callable[[Any], Any]] = {
            "Minter": self._minting,
            "RefreshSecrets": self._building,
            "LocalSigner": self._signing,
            "Wire": self._asking,
            "RunningServer": self._ending,
        }
        for module, (name, method) in CLASSES.items():
            if module in sys.modules:
                owner = getattr(sys.modules[module], name)
                self._patch.setattr(owner, method, listeners[name](getattr(owner, method)))
        for kind in set(exceptions(Exception)):
            self._patch.setattr(kind, "__init__", self._raising(kind.__init__))
        if "quash_service.running" in sys.modules:
            running: Any = import_module("quash_service.running")
            self._patch.setattr(running, "build", self._wiring(running.build))

    def _http(self, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        with suppress(httpx.RequestNotRead, httpx.ResponseNotRead):
            if "x-request-id" in answer.headers:  # an answer of ours, not of what stands in front of us
                path = urlsplit(str(request.url)).path
                self._asked(request.headers, request.content)
                self._answer(request.method, path, answer.status_code, answer.headers, answer.content)
        return answer

    def _asked(self, headers: Mapping[str, str], body: bytes) -> None:
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            with suppress(ValueError):
                self._credential(b64decode(credentials).decode("latin-1").partition(":")[2])
        elif scheme == "Bearer" and credentials.startswith("qk_"):
            self._credential(credentials.rpartition(".")[2])
        else:
            self._ledger.token(credentials)
        for name, value in _given(headers.get("content-type", ""), body):
            (self._credential if name == "client_secret" else self._ledger.token)(value)

    def _credential(self, text: str) -> None:
        """Learn a caller's secret; a shorter one is a test's word for a wrong one."""
        if len(text) >= WINDOW:
            self._ledger.secret(text)

    def _answer(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        if method == "POST" and path.endswith(HANDING_OUT) and status < 300:
            self._ledger.document(json.loads(body))
        elif "/docs/assets/" not in path:
            route = "/".join(path.split("/")[:2])  # without the session's id
            self._ledger.output(
                f"the answer {status} to {method} {route}", f"{dict(headers)}{body.decode('utf-8', 'replace')}"
            )

    def _command(self, child: Any, out: Any, err: Any) -> None:
        args = [str(one) for one in child.args] if isinstance(child.args, list | tuple) else []
        if child.quash_data_dir:
            self._ledger.folder(Path(child.quash_data_dir))
        if "quash_service" not in " ".join(args):
            return
        if args[3:5] == ["caller", "add"]:  # shows the secret that it made, this once
            for word in _text(out).replace('"', " ").split():
                self._credential(word.rpartition(".")[2] if word.startswith("qk_") else word)
        elif args[1:2] == ["-m"]:
            self._ledger.output(f"the output of `quash {' '.join(args[3:5])}`", _text(out))
        self._ledger.output(f"the errors of `quash {' '.join(args[3:5])}`", _text(err))

    def _minting(self, mint: Any) -> Any:
        async def minted(*args: Any, **options: Any) -> Any:
            made = await mint(*args, **options)
            self._ledger.token(made.token)
            self._ledger.output("the repr of a minted token", repr(made))
            return made

        return minted

    def _building(self, build: Any) -> Any:
        def built(secrets: Any, *args: Any, **options: Any) -> Any:
            token = build(secrets, *args, **options)
            self._ledger.token(token)
            return token

        return built

    def _signing(self, make: Any) -> Any:
        def made(signer: Any, jwk: Any, *args: Any, **options: Any) -> None:
            self._ledger.document(jwk)
            make(signer, jwk, *args, **options)
            self._ledger.output("the repr of a signer", repr(signer))

        return made

    def _asking(self, ask: Any) -> Any:
        async def asked(wire: Any, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Any:
            self._asked(headers, body)
            answer = await ask(wire, method, path, headers, body)
            self._answer(method, path, answer.status, answer.headers, answer.body)
            return answer

        return asked

    def _ending(self, end: Any) -> Any:
        def ended(server: Any) -> None:
            self._ledger.folder(server.data_dir)
            try:
                end(server)
            finally:
                self._ledger.output("a service's log", server.logs())

        return ended

    def _raising(self, make: Any) -> Any:
        def made(error: Any, *args: Any, **options: Any) -> None:
            make(error, *args, **options)
            told = {name: value for name, value in vars(error).items() if name != "evidence"}
            # What a stranger's token says of itself is the stranger's to choose: strange inputs put whole tokens there.
            evidence = {
                name: value
                for name, value in getattr(error, "evidence", {}).items()
                if name not in {"iss", "kid", "alg"}
            }
            self._ledger.output(f"a {type(error).__name__}", f"{error} {error!r} {told} {evidence}")

        return made

    def _wiring(self, build: Any) -> Any:
        def built(settings: Any, *args: Any, **options: Any) -> Any:
            services = build(settings, *args, **options)
            if settings.admin_secret is not None:
                self._ledger.secret(settings.admin_secret.get_secret_value())
            self._ledger.folder(settings.data_dir)
            for secret in services.secrets._secrets.values():
                self._ledger.raw(secret)
            for part in (settings, services, services.secrets, services.keyring, services.keyring.stored):
                self._ledger.output(f"the repr of {type(part).__name__}", f"{part!r} {part!s}")
            return services

        return built


def exceptions(parent: type[Exception]) -> Iterator[type[Exception]]:
    """Yield the exceptions of ours that say for themselves how they are made, or are the first of theirs."""
    for kind in parent.__subclasses__():
        own = kind.__module__.startswith(OURS)
        if own and ("__init__" in vars(kind) or not parent.__module__.startswith(OURS)):
            yield kind
        yield from exceptions(kind)


def _given(media: str, body: bytes) -> Iterator[tuple[str, str]]:
    """Yield what a request's body holds where tokens and secrets stand, by name."""
    if media.startswith("application/x-www-form-urlencoded"):
        names = {"token", "refresh_token", "client_secret"}
        yield from (pair for pair in parse_qsl(body.decode("latin-1")) if pair[0] in names)
    elif media.startswith("application/json"):
        with suppress(ValueError, RecursionError):
            document = json.loads(body)
            listed = document.get("tokens") if isinstance(document, dict) else None
            several = listed if isinstance(listed, list) else []
            one = document.get("token") if isinstance(document, dict) else None
            yield from (("token", value) for value in (one, *several) if isinstance(value, str))


def _text(written: Any) -> str:
    return written.decode("utf-8", "replace") if isinstance(written, bytes) else str(written or "")
