"""The listening socket and its TLS files, looked at before anything is started."""

import errno
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from quash_service.settings import Settings

from .common import Stop

PATIENCE_S = 1.5
"""How long a port may stay taken: workers whose parent was killed need a moment to go."""
_MEND = {
    errno.EADDRINUSE: "stop what listens there or choose another port (QUASH_PORT)",
    errno.EADDRNOTAVAIL: "choose an address that this machine has (QUASH_HOST)",
    errno.EACCES: "choose another port (QUASH_PORT): those below 1024 are for root",
}


def check_tls(settings: Settings) -> None:
    """Load certificate and key once. Raises ``Stop`` naming what is wrong."""
    if settings.tls_cert is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An encrypted key would ask a terminal that nobody watches.
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=lambda: b"")
    except (OSError, ValueError) as error:
        message = f"QUASH_TLS_CERT ({settings.tls_cert}) and QUASH_TLS_KEY ({settings.tls_key}) cannot be used: {error}"
        raise Stop(message) from None


@contextmanager
def bind(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket bound to the address, closed at the end. Raises ``Stop`` when that is impossible."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise Stop(f"QUASH_HOST {host} cannot be resolved: {error.strerror}") from None
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            _bind_patiently(listener, address)
        except OSError as error:
            mend = _MEND.get(error.errno or 0, "choose another address (QUASH_HOST, QUASH_PORT)")
            raise Stop(f"cannot listen on {host}:{port}: {error.strerror}; {mend}") from None
        listener.set_inheritable(True)
        yield listener


def _bind_patiently(listener: socket.socket, address: tuple[object, ...]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            listener.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > give_up:
                raise
            time.sleep(0.05)
        else:
            return


def url_of(settings: Settings, listener: socket.socket) -> str:
    """Return where the service is reached, with the real port."""
    scheme = "https" if settings.tls_cert else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"
