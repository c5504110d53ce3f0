"""What must never be seen, and what was: a ledger of secrets and of outputs that is closed at the end of a run.

A finding names the test and the place, never the secret. Secrets may be learnt after an output was
written, so everything is kept until the end, as runs of characters that could be part of a secret.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from re import compile as pattern

WINDOW = 20
"""So many characters of the beginning or end of a secret are a leak: a truncated one counts."""

_RUN = pattern(r"[A-Za-z0-9_+/=-]{20,}")
_JWT = pattern(r"[\w-]+\.([\w-]*)\.([\w-]*)")
_REFRESH = pattern(r"qrt_[^.]*\.[^.]*\.([\w-]{44})")
_DIFFERENT = 8  # of 20 characters: fewer are made up by a test, and stand elsewhere too
_ROOM = 200_000
PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "k", "secret"})
"""The members of JWKs and secret files that are secret."""

TOKENS = frozenset({"access_token", "refresh_token"})
"""The members of answers that are tokens."""


class Ledger:
    """Secrets and outputs of one process. Its repr shows none of them."""

    def __init__(self) -> None:
        self.test = "(no test)"
        self._secrets: set[str] = set()
        self._short: set[str] = set()
        self._seen: set[tuple[str, str, str]] = set()
        self._leaks: set[tuple[str, str]] = set()

    def token(self, text: str) -> None:
        """Learn an access or refresh token; what has the form of neither is a test's junk."""
        if (refresh := _REFRESH.fullmatch(text)) is not None:
            self._learn(refresh[1])
        elif (jwt := _JWT.fullmatch(text)) is not None:
            # Every payload of an issuer begins alike, so only its end is told from others.
            self._learn(jwt[1][-WINDOW:])
            self._learn(jwt[2])

    def secret(self, text: str) -> None:
        """Learn any other secret, of at least 8 characters."""
        runs = _RUN.findall(text)
        for run in runs:
            self._learn(run)
        if not runs and len(text) >= _DIFFERENT:
            self._short.add(text)

    def raw(self, secret: bytes) -> None:
        """Learn secret bytes, as hexadecimal and as Python shows them."""
        self.secret(secret.hex())
        self.secret(repr(secret)[2:-1])

    def document(self, found: object) -> None:
        """Learn what is secret in a JSON document, at any depth."""
        for name, value in _members(found):
            if isinstance(value, str) and name in PRIVATE:
                self.secret(value)
            elif isinstance(value, str) and name in TOKENS:
                self.token(value)

    def folder(self, data_dir: Path) -> None:
        """Learn the secrets in a data directory."""
        for path in (data_dir / "admin.secret", data_dir / "keys" / "admin.sha256"):
            if path.exists():
                self.secret(path.read_text(errors="replace").strip())
        for path in (data_dir / "keys").glob("*.json"):
            try:
                self.document(json.loads(path.read_bytes()))
            except ValueError:
                continue  # a test's broken file

    def output(self, place: str, text: str) -> None:
        """Keep what was written at a place, for instance a log."""
        if any(secret in text for secret in self._short):
            self._leaks.add((self.test, place))
        self._seen.update((run, self.test, place) for run in _RUN.findall(text))
        if len(self._seen) > _ROOM:
            self._sift()

    def knows(self, text: str) -> bool:
        """Tell whether a text would be found where it does not belong."""
        return text in self._short or any(self._holds(run) for run in _RUN.findall(text))

    def leaks(self) -> list[str]:
        """Return where secrets were seen, a line for each test and place."""
        self._sift()
        return [f"{test}: a secret in {place}" for test, place in sorted(self._leaks)]

    def _learn(self, run: str) -> None:
        for window in (run[:WINDOW], run[-WINDOW:]):
            if len(window) == WINDOW and len(set(window)) >= _DIFFERENT:
                self._secrets.add(window)

    def _sift(self) -> None:
        for run, *where in self._seen:
            if self._holds(run):
                self._leaks.add((where[0], where[1]))
        self._seen.clear()

    def _holds(self, run: str) -> bool:
        return any(run[at : at + WINDOW] in self._secrets for at in range(len(run) - WINDOW + 1))


def _members(found: object) -> Iterator[tuple[str, object]]:
    if isinstance(found, Mapping):
        for name, value in found.items():
            yield str(name), value
            yield from _members(value)
    elif isinstance(found, list):
        for value in found:
            yield from _members(value)
