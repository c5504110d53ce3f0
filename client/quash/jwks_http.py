"""Fetching a JWK Set: bounded in size and time, over https unless on loopback, and from no other host."""

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from ipaddress import ip_address
from typing import IO
from urllib.parse import urlsplit

from .errors import Unavailable

MAX_BYTES = 256 * 1024
"""The largest JWK Set that is read."""
TIMEOUT_S = 5.0
"""The longest that a fetch may take altogether."""
_CHUNK = 16 * 1024


def refusal_of(uri: str) -> str | None:
    """Return why a ``jwks_uri`` cannot be used, ``None`` when it can: https, or http on loopback."""
    try:
        parts = urlsplit(uri)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return "it is no URL"
    if parts.scheme not in {"https", "http"} or not host:
        return "it must be an https URL"
    if parts.username is not None or parts.password is not None:
        return "it must not hold credentials: it is logged"
    if parts.scheme == "http" and not _is_loopback(host):
        return "it must be https: keys that came over plain http are anybody's"
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to the same scheme, host and port."""

    max_redirections = 3

    def redirect_request(  # noqa: PLR0917 - the standard library's signature
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Refuse to leave the host that the configuration names."""
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            raise urllib.error.HTTPError(req.full_url, code, "redirect to another host", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch_jwks(uri: str, *, timeout_s: float = TIMEOUT_S, context: ssl.SSLContext | None = None) -> object:
    """Return the document behind a ``jwks_uri`` (RFC 7517 §5), parsed but not judged.

    Blocking: call it in a thread. Proxies of the environment are not used, so that no variable can
    put another host between. Raises ``Unavailable``, whose evidence names the kind of failure.
    """
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=context or ssl.create_default_context()),
        _SameHost(),
    )
    request = urllib.request.Request(uri, headers={"Accept": "application/jwk-set+json, application/json"})  # noqa: S310 - refusal_of allows https and loopback only
    deadline = time.monotonic() + timeout_s
    try:
        with opener.open(request, timeout=timeout_s) as response:
            return json.loads(_read(response, deadline))
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError, RecursionError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise Unavailable(
            "the issuer's keys could not be fetched; try again shortly",
            evidence={"jwks": type(error).__name__, "uri": uri},
        ) from None


def _read(response: IO[bytes], deadline: float) -> bytes:
    """Read at most MAX_BYTES until the deadline: a server that drips is as good as none."""
    chunks: list[bytes] = []
    size = 0
    while chunk := response.read1(_CHUNK) if isinstance(response, http.client.HTTPResponse) else response.read(_CHUNK):
        size += len(chunk)
        if size > MAX_BYTES:
            raise ValueError("the document is too large")
        if time.monotonic() > deadline:
            raise TimeoutError
        chunks.append(chunk)
    return b"".join(chunks)
