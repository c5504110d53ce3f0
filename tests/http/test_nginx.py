"""A real nginx with the configuration that we ship, between an end user and an application."""

import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
import pytest_asyncio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tests.engines import RunningEngine, free_port
from tests.http.serving import served
from tests.http.support import IDENTITY, ISSUER, Service, fresh

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "nginx" / "quash.conf"
NGINX = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else None)
CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream quash {{ server 127.0.0.1:{quash}; keepalive 4; }}
  upstream app {{ server 127.0.0.1:{app}; }}
  server {{
    listen 127.0.0.1:{port};
    include {shipped};
    location / {{ proxy_pass http://app; }}
    location /recent {{ auth_request /_quash/recent; proxy_pass http://app; }}
    location /scoped {{ auth_request /_quash/scoped; proxy_pass http://app; }}
    location = /_quash/scoped {{ internal; proxy_pass http://quash/forward-auth?scope=account:delete; }}
    location /open {{ auth_request off; proxy_pass http://app; }}
  }}
}}
"""


class Application:
    """What stands behind nginx: it says what it was sent, with the status that the path names."""

    def __init__(self) -> None:
        self.seen = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.seen += 1
        status = int(request.url.path.rpartition("/")[2] or 200) if request.url.path[1:].isdigit() else 200
        document = {"headers": request.headers.items(), "body": (await request.body()).decode()}
        headers = {"www-authenticate": "Custom"} if status in {401, 403} else {}
        answer: Response = JSONResponse(document, status, headers)
        await answer(scope, receive, send)


@contextmanager
def nginx(configuration: Path, port: int) -> Iterator[None]:
    """Run nginx until the end of the block."""
    command = [str(NGINX), "-p", str(configuration.parent), "-c", str(configuration)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as child:
        try:
            deadline = time.monotonic() + 10
            while not _answers(port):
                said = (configuration.parent / "error.log").read_text() if child.poll() is not None else "too slow"
                assert child.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.02)
            yield
        finally:
            child.terminate()


def _answers(port: int) -> bool:
    try:
        # No route of the application: quash and the application live in this process and cannot answer now.
        httpx.get(f"http://127.0.0.1:{port}/_quash/live", timeout=1)
    except httpx.TransportError:
        return False
    return True


@pytest.fixture(scope="module")
def application() -> Application:
    return Application()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def user(service: Service, application: Application, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """An end user's program, on the far side of nginx."""
    if NGINX is None:
        words = "no nginx on this machine"
        if os.environ.get("QUASH_TEST_ENGINES") == "all":
            pytest.fail(f"{words}, and QUASH_TEST_ENGINES=all promises it")
        pytest.skip(words)
    port, configuration = free_port(), folder / "nginx.conf"
    async with served(service.app) as quash, served(application) as behind:
        places = {"folder": folder, "port": port, "quash": quash, "app": behind, "shipped": SHIPPED}
        configuration.write_text(CONFIGURATION.format(**places))
        with nginx(configuration, port):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
                yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def seen(answer: httpx.Response) -> dict[str, list[str]]:
    """Return the identity that the application was told, all values of each name."""
    assert answer.status_code == 200, answer.text
    found: dict[str, list[str]] = {}
    for name, value in answer.json()["headers"]:
        if name.replace("_", "-").startswith("x-auth-"):
            found.setdefault(name, []).append(value)
    return found


async def test_the_application_is_told_who_calls(service: Service, user: httpx.AsyncClient) -> None:
    sub = fresh("ü@例え")
    session = await service.open(sub, scope="read write", acr="mfa", client_id="shop")
    found = seen(await user.get("/", headers=bearer(session["access_token"])))
    assert unquote(found["x-auth-subject"][0]) == sub
    assert (found["x-auth-session"], found["x-auth-scope"]) == ([session["session_id"]], ["read write"])
    assert (found["x-auth-issuer"], found["x-auth-acr"], found["x-auth-client"]) == ([ISSUER], ["mfa"], ["shop"])
    assert found["x-auth-auth-time"] == [str(service.now)]


async def test_what_the_end_user_claims_to_be_is_overwritten_or_removed(
    service: Service, user: httpx.AsyncClient
) -> None:
    sub = fresh()
    token = (await service.open(sub))["access_token"]
    names = ("Subject", "Issuer", "Session", "Token-Id", "Client", "Scope", "Acr", "Auth-Time", "Expires-At")
    spoofed = [(f"X-Auth-{name}", "root") for name in names] + [("X-Auth-Subject", "root"), ("X_Auth_Acr", "root")]
    found = seen(await user.get("/", headers=[*bearer(token).items(), *spoofed]))
    assert found["x-auth-subject"] == [sub]
    assert "root" not in [value for values in found.values() for value in values]
    assert not {"x-auth-acr", "x-auth-scope"} & set(found)  # the token has none, so none arrives


@pytest.mark.parametrize("token", [None, "junk"])
async def test_nobody_without_a_good_token_reaches_the_application(
    service: Service, user: httpx.AsyncClient, application: Application, token: str | None
) -> None:
    before = application.seen
    answer = await user.get("/", headers={} if token is None else bearer(token))
    assert answer.status_code == 401
    assert answer.headers.get_list("www-authenticate")[0].startswith('Bearer realm="quash"')
    assert len(answer.headers.get_list("www-authenticate")) == 1
    assert application.seen == before


async def test_a_revoked_token_is_refused_from_the_next_request_on(service: Service, user: httpx.AsyncClient) -> None:
    session = await service.open()
    assert (await user.get("/", headers=bearer(session["access_token"]))).status_code == 200
    await service.revoke(session_id=session["session_id"])
    answer = await user.get("/", headers=bearer(session["access_token"]))
    assert (answer.status_code, 'error="invalid_token"' in answer.headers["www-authenticate"]) == (401, True)


async def test_a_login_too_old_gets_the_step_up_challenge(service: Service, user: httpx.AsyncClient) -> None:
    token = (await service.open())["access_token"]
    assert (await user.get("/recent", headers=bearer(token))).status_code == 200
    service.advance(301)
    answer = await user.get("/recent", headers=bearer(token))
    assert answer.status_code == 401
    assert 'error="insufficient_user_authentication", max_age="300"' in answer.headers["www-authenticate"]
    assert (await user.get("/", headers=bearer(token))).status_code == 200


async def test_a_missing_scope_is_403_with_its_challenge(service: Service, user: httpx.AsyncClient) -> None:
    answer = await user.get("/scoped", headers=bearer((await service.open())["access_token"]))
    assert answer.status_code == 403
    challenge = 'Bearer realm="quash", error="insufficient_scope", scope="account:delete"'
    assert answer.headers.get_list("www-authenticate") == [challenge]
    allowed = (await service.open(scope="account:delete"))["access_token"]
    assert (await user.get("/scoped", headers=bearer(allowed))).status_code == 200


async def test_a_body_reaches_the_application_and_not_the_check(service: Service, user: httpx.AsyncClient) -> None:
    token = (await service.open())["access_token"]
    answer = await user.post("/", content="x" * 5000, headers=bearer(token))
    assert answer.json()["body"] == "x" * 5000


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
async def test_what_the_application_answers_passes_through(
    service: Service, user: httpx.AsyncClient, status: int
) -> None:
    answer = await user.get(f"/{status}", headers=bearer((await service.open())["access_token"]))
    assert (answer.status_code, "headers" in answer.json()) == (status, True)
    assert answer.headers.get_list("www-authenticate") == (["Custom"] if status in {401, 403} else [])


@pytest.mark.parametrize("path", ["/_quash/live", "/_quash/recent", "/_quash/other"])
async def test_the_check_itself_cannot_be_called_from_outside(user: httpx.AsyncClient, path: str) -> None:
    assert (await user.get(path)).status_code == 404


async def test_an_unreadable_state_is_503_and_nobody_gets_in(
    service: Service, user: httpx.AsyncClient, application: Application, engine: RunningEngine
) -> None:
    token, before = (await service.open())["access_token"], application.seen
    engine.pause()
    try:
        answer = await user.get("/", headers=bearer(token))
    finally:
        engine.resume()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert application.seen == before
    assert (await user.get("/open")).status_code == 200
    while (await user.get("/", headers=bearer(token))).status_code == 503:
        pass
    assert application.seen > before


async def test_the_shipped_file_overwrites_every_header_that_the_service_sends() -> None:
    text = SHIPPED.read_text().lower()
    for name in IDENTITY:
        assert text.count(f"proxy_set_header {name} ") == 1
        assert f"$upstream_http_{name.replace('-', '_')};" in text
