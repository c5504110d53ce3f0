"""Read an engine's URL strictly, and never show what may be its password.

`urllib` quotes parts of what it cannot read in its errors, and a password with an unescaped `/` or `@` ends up
in the path or the port. So nothing of a URL is repeated before all of it was understood.
"""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from quash_service.engine.errors import EngineRefused

SCHEMES = ("redis", "rediss", "unix")
_LATER = ("redis+sentinel", "redis+cluster")
_OPTIONS = {
    "redis": {"db", "username", "password"},
    "rediss": {"db", "username", "password", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"},
    "unix": {"db", "username", "password"},
}
_ALLOWED = "redis://[user:password@]host[:port][/db], rediss://… (TLS) or unix:///path[?db=n]"
_DEFAULT_PORT = 6379


@dataclass(frozen=True, slots=True)
class EngineUrl:
    """A URL in parts. `place` is host and port or the socket's path; `options` are redis-py's TLS files."""

    scheme: str
    place: str
    host: str
    port: int
    db: int
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    options: tuple[tuple[str, str], ...] = ()

    @property
    def safe(self) -> str:
        """The URL without its credentials, for logs."""
        secret = "***@" if self.username or self.password else ""
        if self.scheme == "unix":
            return f"unix://{secret}{quote(self.place)}" + (f"?db={self.db}" if self.db else "")
        return f"{self.scheme}://{secret}{self.place}/{self.db}"


def safe_url(url: str) -> str:
    """Return `url` without its credentials, for logs; nothing but the scheme of one that cannot be read."""
    try:
        return parse_url(url).safe
    except EngineRefused:
        scheme = url.partition("://")[0]
        return f"{scheme}://***" if scheme in SCHEMES + _LATER else "***"


def parse_url(url: str) -> EngineUrl:
    """Read `url`.

    Raises EngineRefused (`engine_url`, or `engine_url_unsupported` for Sentinel and Cluster).
    """
    scheme, separator, _ = url.partition("://")
    if separator and scheme in _LATER:
        raise EngineRefused(
            "engine_url_unsupported",
            f"{scheme}:// is not supported in this version of Quash: give the URL of one primary ({_ALLOWED})",
        )
    if not separator or scheme not in SCHEMES:
        raise _bad("it does not begin with redis://, rediss:// or unix://")
    try:
        parts = urlsplit(url)
        port = parts.port if scheme != "unix" else None
    except ValueError:
        # From None: the cause would repeat parts of the URL.
        raise _bad("its host or port cannot be read") from None
    if "#" in url:
        raise _bad("it holds a #")
    return _assemble(scheme, parts, port)


def _assemble(scheme: str, parts: SplitResult, port: int | None) -> EngineUrl:
    options = _query(scheme, parts.query)
    username = unquote(parts.username) if parts.username else options.pop("username", None)
    password = unquote(parts.password) if parts.password else options.pop("password", None)
    if scheme == "unix":
        place, host, db_text = unquote(parts.path), "", options.pop("db", "0")
        if parts.hostname or not place.startswith("/"):
            raise _bad("a unix:// URL needs an absolute path, after three slashes")
    else:
        host, db_text = parts.hostname or "", parts.path.strip("/") or options.pop("db", "0")
        port = port or _DEFAULT_PORT
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if not host:
            raise _bad("it names no host")
    if not (db_text.isascii() and db_text.isdigit()):
        raise _bad("its database is not a number")
    return EngineUrl(scheme, place, host, port or 0, int(db_text), username, password, tuple(sorted(options.items())))


def _query(scheme: str, query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not options.keys() <= _OPTIONS[scheme]:
        raise _bad(f"after the ? only {', '.join(sorted(_OPTIONS[scheme]))} may stand")
    return options


def _bad(problem: str) -> EngineRefused:
    return EngineRefused(
        "engine_url",
        f"QUASH_REDIS_URL cannot be used, {problem}: write {_ALLOWED}; in user and password, "
        "percent-encode every character that is not a letter or a digit",
    )
