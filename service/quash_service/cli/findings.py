"""What `quash doctor` sees without the engine: files, keys, exposure."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path

from quash_service.bootstrap import ADMIN_SECRET
from quash_service.settings import Settings

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Level(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. ``mend`` says what to do, empty when all is well."""

    level: Level
    what: str
    seen: str
    mend: str = ""


def file_findings(settings: Settings) -> Iterator[Finding]:
    """Look at who else may enter the directories and read the secrets."""
    yield _private("data directory", settings.data_dir, "700")
    yield _private("keys directory", settings.keys_folder, "700")
    files = sorted(path for path in settings.keys_folder.glob("*") if path.is_file())
    open_files = [one for one in (_private("key file", path, "600") for path in files) if one.level is not Level.OK]
    yield from open_files or [Finding(Level.OK, "key files", f"{len(files)} files, only their owner may read them")]
    secret = settings.data_dir / ADMIN_SECRET
    if secret.exists():
        yield _private("admin's secret", secret, "600")
        yield Finding(
            Level.WARNING,
            "admin's secret",
            f"{secret} still lies there",
            "keep it in a password store and remove the file",
        )


def _private(what: str, path: Path, mode: str) -> Finding:
    try:
        found = path.stat().st_mode
    except FileNotFoundError:
        return Finding(Level.OK, what, f"{path} is not there yet: the first start makes it its owner's only")
    except OSError as error:
        return Finding(
            Level.PROBLEM, what, f"{path} cannot be looked at: {error.strerror}", "run this as the service's user"
        )
    if found & _OTHERS:
        seen = f"{path} is open to other users ({stat.filemode(found)})"
        return Finding(Level.PROBLEM, what, seen, f"chmod {mode} {path}")
    return Finding(Level.OK, what, f"{path} is its owner's only")


def key_findings(settings: Settings) -> Iterator[Finding]:
    """Look for foreign keys that are too weak to prove anything."""
    for issuer in settings.issuers:
        keys = issuer.load_keys()
        weak = [key for key in keys if key.weak]
        for key in weak:
            yield Finding(
                Level.PROBLEM,
                "foreign key",
                f"key {key.kid or key.thumbprint} of {issuer.issuer} is too weak: all of its tokens are refused",
                "let that issuer sign with RSA of 2048 bits or more, or HMAC of 256 bits or more",
            )
        if not weak:
            yield Finding(Level.OK, "foreign keys", f"{len(keys)} of {issuer.issuer}")


def exposure_findings(settings: Settings) -> Iterator[Finding]:
    """Look at whether tokens and secrets cross a network in the clear."""
    if settings.tls_cert is not None:
        yield Finding(Level.OK, "exposure", f"listens on {settings.host} with TLS")
    elif _is_loopback(settings.host):
        yield Finding(Level.OK, "exposure", f"listens on {settings.host}, reachable from this machine only")
    else:
        yield Finding(
            Level.WARNING,
            "exposure",
            f"listens on {settings.host} without TLS: tokens and callers' secrets cross the network in the clear",
            "set QUASH_TLS_CERT and QUASH_TLS_KEY, or let only a proxy with TLS reach it",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
