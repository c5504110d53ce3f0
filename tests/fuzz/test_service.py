"""Whatever is sent to any route of the production application is answered: no crash, no 500, one of our errors."""

import json
from collections.abc import Callable
from random import Random
from time import monotonic
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quash_service.http.problems import STATUS
from tests.fuzz.mutations import mutated
from tests.fuzz.requests import FORM_TYPE, FORMS, HEADERS, SELECTORS
from tests.fuzz.tokens import REFRESH, TOKENS
from tests.http.support import Service, basic
from tests.service import ADMIN

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOAK_REQUESTS = 30_000
FORM = {"content-type": FORM_TYPE.decode()}
JSON = {"content-type": "application/json"}
ADMIN_HEADER = basic("admin", ADMIN)["authorization"].encode()
LOGINS = tuple(
    json.dumps(one).encode()
    for one in (
        {"sub": "fuzz", "scope": "a b", "audience": ["x", "y"], "acr": "pwd", "amr": ["pwd", "otp"], "auth_time": 1},
        {"sub": "fuzz", "ip": "192.0.2.1", "user_agent": "phone/1", "device": "d", "claims": {"roles": [1, {"a": 2}]}},
        {"sub": "fuzz", "if_version": 0, "iss": "http://127.0.0.1:8400", "client_id": "web"},
    )
)
BATCHES = (b'{"tokens": ["' + TOKENS[0] + b'", "' + REFRESH[0] + b'", "x"]}', b'{"tokens": []}')
STEPS = (b'{"acr": "gold", "amr": ["otp"], "auth_time": 1, "if_version": 0}', b"{}")
QUERIES = (b"sub=fuzz&iss=http%3A%2F%2F127.0.0.1%3A8400", b"sub=fuzz&keep=a&keep=b&cause=logout", b"cause=admin")
CHECKS = (b"check=live&max_age=60&acr=gold+silver&scope=a+b&audience=orders", b"max_age=0", b"")
PATHS = (b"s" * 38, b"a", b"%00", b"%ff", b"..", b"%2e%2e%2f")

Send = Callable[[Random], dict[str, Any]]


def _body(path: str, samples: tuple[bytes, ...], headers: dict[str, str]) -> Send:
    def send(random: Random) -> dict[str, Any]:
        sent = [*_pairs(headers), _admin(random)]
        return {"method": "POST", "url": path, "content": mutated(random, samples), "headers": sent}

    return send


def _query(method: str, path: str, samples: tuple[bytes, ...]) -> Send:
    def send(random: Random) -> dict[str, Any]:
        query = quote_from_bytes(mutated(random, samples), safe="%&=+;")
        place = path.replace("{}", quote_from_bytes(mutated(random, PATHS), safe="%"))
        return {"method": method, "url": f"{place}?{query}", "headers": [_admin(random)]}

    return send


def _pairs(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _admin(random: Random) -> tuple[bytes, bytes]:
    header = ADMIN_HEADER if random.random() < 0.8 else mutated(random, HEADERS)
    return b"authorization", header.replace(b"\r", b"").replace(b"\n", b"").replace(b"\x00", b"")


def _bearer(random: Random) -> dict[str, Any]:
    request = _query("GET", "/forward-auth", CHECKS)(random)
    token = b"Bearer " + mutated(random, TOKENS).replace(b"\r", b"").replace(b"\n", b"")
    return {**request, "headers": [(b"authorization", token), (b"x-request-id", mutated(random, PATHS))]}


def _media_type(random: Random) -> dict[str, Any]:
    request = _body("/revoke", (*FORMS, *SELECTORS), FORM)(random)
    kind = mutated(random, (FORM_TYPE, b"application/json; charset=utf-8", b"multipart/form-data; boundary=x"))
    return {**request, "headers": [(b"content-type", kind.replace(b"\r", b"").replace(b"\n", b"")), _admin(random)]}


SENDS: dict[str, Send] = {
    "introspect": _body("/introspect", FORMS, FORM),
    "token": _body("/token", FORMS, FORM),
    "revoke form": _body("/revoke", FORMS, FORM),
    "revoke json": _body("/revoke", SELECTORS, JSON),
    "batch": _body("/introspect/batch", BATCHES, JSON),
    "open": _body("/sessions", LOGINS, JSON),
    "step up": _body("/sessions/" + "s" * 38 + "/step-up", STEPS, JSON),
    "list": _query("GET", "/sessions", QUERIES),
    "sign out": _query("DELETE", "/sessions", QUERIES),
    "one": _query("GET", "/sessions/{}", QUERIES),
    "end": _query("DELETE", "/sessions/{}", QUERIES),
    "asset": _query("GET", "/docs/assets/{}", CHECKS),
    "nowhere": _query("PATCH", "/{}", CHECKS),
    "forward auth": _bearer,
    "media type": _media_type,
}


async def answered(service: Service, request: dict[str, Any]) -> None:
    """Send a request; it has to be answered in one of our ways."""
    try:
        answer = await service.http().request(**request)
    except (httpx.InvalidURL, httpx.LocalProtocolError):  # the test's own client would not send it
        return
    assert answer.status_code < 500 or "retry-after" in answer.headers, (request, answer.text)
    assert answer.headers["x-request-id"]
    if answer.status_code < 400 or answer.headers.get("www-authenticate", "").startswith("Bearer"):
        return
    document = answer.json()
    code = document.get("code", document.get("error"))
    assert STATUS[code][0] == answer.status_code


@pytest.mark.parametrize("name", SENDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=True))
async def test_any_request_is_answered(service: Service, name: str, random: Random) -> None:
    await answered(service, SENDS[name](random))


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/sessions", b'{"sub": "a", "\\ud800": 1}'),
        ("/sessions", b'{"sub": "a", "claims": {"a": ' + b"[" * 990 + b"]" * 990 + b"}}"),
        ("/sessions", b'{"sub": "a", "claims": {"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}}"),
        ("/sessions", b'{"sub": "a", "claims": {"a": "\\ud800"}}'),
        ("/sessions", b'{"sub": "a", "claims": {"a": ' + b"9" * 5000 + b"}}"),
        ("/sessions", b'{"sub": "a", "' + b"x" * 60_000 + b'": 1}'),
        ("/revoke", b'{"sub": "a", "keep": ' + b"[" * 1000 + b"]" * 1000 + b"}"),
        ("/revoke", b'{"sub": "a", "cause": ' + b"[" * 1000 + b"]" * 1000 + b"}"),
        ("/introspect/batch", b"[" * 100_000),
    ],
)
async def test_what_json_readers_stumble_over_is_refused(service: Service, path: str, content: bytes) -> None:
    answer = await service.client.post(path, content=content, headers=JSON)
    assert answer.status_code in {400, 422}, answer.text
    assert len(answer.content) < 1_000


@pytest.mark.parametrize("depth", [10, 500, 990, 1010, 3000])
async def test_claims_of_any_depth_are_refused_in_a_form(service: Service, depth: int) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "t", "claims": '{"a":' * depth + "1" + "}" * depth}
    answer = await service.client.post("/token", data=form)
    assert answer.status_code in {400, 422}, answer.text


@pytest.mark.soak
async def test_tens_of_thousands_of_requests_are_answered(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    began, random = monotonic(), Random(20_261_124)
    for at in range(SOAK_REQUESTS):
        name = list(SENDS)[at % len(SENDS)]
        await answered(service, SENDS[name](random))
    with capsys.disabled():
        print(f"\n{SOAK_REQUESTS:,} requests to {len(SENDS)} routes in {monotonic() - began:.0f} s")  # noqa: T201 - a soak says its count
