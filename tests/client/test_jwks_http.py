"""Fetching a JWK Set from real servers, good and bad ones."""

import datetime as dt
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from quash.errors import Unavailable
from quash.jwks_http import MAX_BYTES, fetch_jwks, refusal_of

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def body(content: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer


def kind(uri: str, **options: float) -> object:
    with pytest.raises(Unavailable) as refused:
        fetch_jwks(uri, **options)  # type: ignore[arg-type]  # keyword arguments by name are loose
    return refused.value.evidence["jwks"]


def test_a_document_is_returned_as_it_is() -> None:
    with serving(body(b'{"keys": []}')) as url:
        assert fetch_jwks(url + "/jwks") == {"keys": []}


@pytest.mark.parametrize("content", [b"<html>", b"", b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_json_is_unavailable(content: bytes) -> None:
    with serving(body(content)) as url:
        assert kind(url) in {"JSONDecodeError", "RecursionError", "UnicodeDecodeError"}


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_error_is_unavailable(status: int) -> None:
    with serving(body(b'{"keys": []}', status)) as url:
        assert kind(url) == "HTTPError"


def test_a_document_that_is_too_large_is_unavailable() -> None:
    with serving(body(b" " * MAX_BYTES + b'{"keys": []}')) as url:
        assert kind(url) == "ValueError"


def test_a_server_that_hangs_or_drips_is_unavailable_in_time() -> None:
    done = threading.Event()

    def hang(_: BaseHTTPRequestHandler) -> None:
        done.wait(5)

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not done.wait(0.05):
            try:
                request.wfile.write(b" ")
            except OSError:
                return

    for slow in (hang, drip):
        with serving(slow) as url:
            began = time.monotonic()
            assert kind(url, timeout_s=0.3) == "TimeoutError"
            assert time.monotonic() - began < 3
            done.set()
        done.clear()


def test_nobody_there_is_unavailable() -> None:
    with serving(body(b"{}")) as url:
        pass
    assert kind(url) == "URLError"


def test_a_redirect_is_followed_on_the_same_host_only() -> None:
    def redirecting(request: BaseHTTPRequestHandler) -> None:
        if request.path == "/there":
            body(b'{"keys": [1]}')(request)
        elif request.path == "/loop":
            body(b"", 302, Location="/loop")(request)
        elif request.path == "/here":
            body(b"", 302, Location="/there")(request)
        else:
            body(b"", 302, Location=request.path[1:])(request)

    with serving(redirecting) as url, serving(body(b'{"keys": [2]}')) as other:
        assert fetch_jwks(url + "/here") == {"keys": [1]}
        assert kind(f"{url}/{other}/x") == "HTTPError"
        assert kind(f"{url}/file:///etc/hostname") == "HTTPError"
        assert kind(url + "/loop") == "HTTPError"


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(body(b'{"keys": "proxy"}')) as proxy, serving(body(b'{"keys": "server"}')) as url:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        assert fetch_jwks(url) == {"keys": "server"}


def test_https_is_verified(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])

    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    with serving(body(json.dumps({"keys": []}).encode()), server) as url:
        assert kind(url) in {"URLError", "SSLCertVerificationError"}
        assert fetch_jwks(url, context=ssl.create_default_context(cafile=str(pem))) == {"keys": []}


@pytest.mark.parametrize(
    ("uri", "usable"),
    [
        ("https://auth.example/jwks", True),
        ("http://127.0.0.1:8080/jwks", True),
        ("http://[::1]/jwks", True),
        ("http://localhost/jwks", True),
        ("http://auth.example/jwks", False),
        ("http://127.0.0.1.evil.example/jwks", False),
        ("ftp://auth.example/jwks", False),
        ("file:///etc/passwd", False),
        ("https://user:secret@auth.example/jwks", False),
        ("https://auth.example:port/jwks", False),
        ("https:///jwks", False),
        ("jwks.json", False),
    ],
)
def test_keys_come_over_https_or_loopback_only(uri: str, usable: bool) -> None:
    assert (refusal_of(uri) is None) is usable
