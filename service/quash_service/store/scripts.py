"""Scripts as package data: a script's header lines are its signature.

``-- KEYS g u`` and ``-- ARGV sid cause keep...`` bind the local names that the script's body uses, so
that a header that lies is a script that does not run. A last name with ``...`` takes all the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha1
from importlib.resources import files

COMMON = ("now_arg", "tolerance", "nonce", "horizon", "audit_ms", "audit_cap", "by", "rid")
"""The arguments that every script gets first."""

Argument = str | bytes | int | Sequence[str | bytes | int]


@dataclass(frozen=True, slots=True)
class Script:
    """One verb: its name, the names of its keys and arguments, and the source that is sent."""

    name: str
    keys: tuple[str, ...]
    arguments: tuple[str, ...]
    source: str = field(repr=False)
    sha: str = field(repr=False)

    def bind(self, keys: Mapping[str, str], arguments: Mapping[str, Argument]) -> list[str | bytes | int]:
        """Return keys and arguments in the order of the header; each name exactly once.

        Raises ``KeyError`` for a name that the header has and the caller forgot, ``TypeError`` for
        one that it does not have.
        """
        extra = (set(keys) - set(self.keys)) | (set(arguments) - set(self.arguments))
        if extra:
            message = f"{self.name} has no {sorted(extra)}"
            raise TypeError(message)
        flat: list[str | bytes | int] = [keys[name] for name in self.keys]
        for name in self.arguments:
            value = arguments[name]
            if isinstance(value, str | bytes | int):
                flat.append(value)
            else:
                flat.extend(value)
        return flat


def _header(source: str, word: str) -> tuple[str, ...]:
    marker = f"-- {word} "
    line = next(line for line in source.splitlines() if line.startswith(marker))
    return tuple(line[len(marker) :].split())


def _binding(names: Sequence[str], table: str, offset: int) -> str:
    lines = []
    for at, name in enumerate(names, offset + 1):
        value = f"{{unpack({table}, {at})}}" if name.endswith("...") else f"{table}[{at}]"
        lines.append(f"local {name.removesuffix('...')} = {value}")
    return "\n".join(lines)


@cache
def load(name: str) -> Script:
    """Return the script ``name``.lua, ready to be sent."""
    folder = files("quash_service.lua")
    body = (folder / f"{name}.lua").read_text()
    keys, own = _header(body, "KEYS"), _header(body, "ARGV")
    arguments = (*COMMON, *own)
    source = "\n".join(
        (
            _binding(keys, "KEYS", 0),
            _binding(arguments, "ARGV", 0),
            (folder / "_prelude.lua").read_text(),
            body,
        )
    )
    plain = tuple(one.removesuffix("...") for one in arguments)
    # SHA-1 is how the engine names a script, not a security property.
    return Script(name, keys, plain, source, sha1(source.encode(), usedforsecurity=False).hexdigest())
