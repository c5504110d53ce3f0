"""RFC 6750 (bearer tokens), RFC 9470 (step-up) and RFC 9457 (problems), as forward auth and the API answer."""

import re
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from quash_service.http.problems import STATUS, Problem
from tests.http.support import Service, document

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARAMETER = re.compile(r'([a-z_]+)="([\x20\x21\x23-\x5b\x5d-\x7e]*)"')


def challenge(answer: httpx.Response) -> dict[str, str]:
    """Return a challenge's parameters: each once, in a form that needs no escapes."""
    scheme, _, rest = answer.headers["www-authenticate"].partition(" ")
    assert scheme == "Bearer"
    parts = rest.split(", ")
    found = {name: value for part in parts for name, value in PARAMETER.findall(part)}
    assert len(found) == len(parts)
    return found


async def ask(service: Service, header: str | None, **query: Any) -> httpx.Response:
    headers = {} if header is None else {"authorization": header}
    return await service.http().get("/forward-auth", params=query, headers=headers)


@pytest.mark.parametrize("header", [None, "Basic YTpi", "Digest x"])
async def test_without_a_token_no_error_is_named(service: Service, header: str | None) -> None:
    """RFC 6750 §3.1: whoever sent none is only told the scheme."""
    answer = await ask(service, header)
    assert (answer.status_code, challenge(answer)) == (401, {"realm": "quash"})


@pytest.mark.parametrize("token", ["x", "a.b.c", "expired", "revoked"])
async def test_a_bad_token_is_401_invalid_token(service: Service, token: str) -> None:
    """RFC 6750 §3.1."""
    session = await service.open()
    await service.revoke(session_id=session["session_id"])
    raw = {"expired": service.own_token({"exp": service.now}), "revoked": session["access_token"]}.get(token, token)
    answer = await ask(service, f"Bearer {raw}")
    assert (answer.status_code, challenge(answer)["error"]) == (401, "invalid_token")


async def test_a_token_in_the_address_or_a_form_is_not_taken(service: Service) -> None:
    """RFC 6750 §2.2 and §2.3 are optional, and addresses are logged."""
    token = (await service.open())["access_token"]
    assert (await ask(service, None, access_token=token)).status_code == 422
    answer = await service.http().request("GET", "/forward-auth", data={"access_token": token})
    assert (answer.status_code, challenge(answer)) == (401, {"realm": "quash"})


async def test_the_scheme_has_no_case(service: Service) -> None:
    """RFC 9110 §11.1."""
    token = (await service.open())["access_token"]
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert (await ask(service, f"{scheme} {token}")).status_code == 200


async def test_a_missing_scope_is_403_and_names_the_scopes(service: Service) -> None:
    """RFC 6750 §3.1."""
    token = (await service.open(scope="a"))["access_token"]
    answer = await ask(service, f"Bearer {token}", scope="b a")
    assert answer.status_code == 403
    assert challenge(answer) == {"realm": "quash", "error": "insufficient_scope", "scope": "a b"}


async def test_a_login_that_is_too_old_or_weak_is_challenged(service: Service) -> None:
    """RFC 9470 §3: 401, the error's name, and what would do."""
    token = (await service.open(acr="pwd", auth_time=service.now - 100))["access_token"]
    answer = await ask(service, f"Bearer {token}", max_age=60, acr="gold silver")
    assert (answer.status_code, challenge(answer)) == (
        401,
        {"realm": "quash", "error": "insufficient_user_authentication", "max_age": "60", "acr_values": "gold silver"},
    )


async def test_a_login_that_does_is_let_in_and_introspection_tells_its_age_and_class(service: Service) -> None:
    """RFC 9470 §6.2."""
    session = await service.open(acr="gold", auth_time=service.now - 10)
    assert (await ask(service, f"Bearer {session['access_token']}", max_age=60, acr="gold")).status_code == 200
    found = await service.introspect(session["access_token"])
    assert (found["acr"], found["auth_time"]) == ("gold", service.now - 10)


async def test_a_step_up_gives_a_token_that_meets_the_challenge(service: Service) -> None:
    """RFC 9470 §5."""
    session = await service.open(acr="pwd", auth_time=service.now - 100)
    body = {"acr": "gold", "auth_time": service.now}
    stepped = await service.client.post(f"/sessions/{session['session_id']}/step-up", json=body)
    token = document(stepped)["access_token"]
    assert (await ask(service, f"Bearer {token}", max_age=60, acr="gold")).status_code == 200


@pytest.mark.parametrize("code", STATUS)
async def test_every_problem_is_an_rfc_9457_document(code: str) -> None:
    """RFC 9457 §3 and §4.2.1: with `about:blank` the title is the status's own phrase."""
    answer = Problem(code).as_problem()
    found = httpx.Response(200, content=bytes(answer.body)).json()
    assert answer.media_type == "application/problem+json"
    assert found["status"] == answer.status_code == STATUS[code][0]
    assert (found["type"], found["title"]) == ("about:blank", HTTPStatus(answer.status_code).phrase)
    assert found["code"] == code
    assert isinstance(found["detail"], str)


async def test_a_problems_detail_helps_and_is_no_dump(service: Service) -> None:
    """RFC 9457 §3.1.4 and §5: where and what, never the value."""
    answer = await service.client.post("/sessions", json={"sub": ["hunter2"]})
    assert "sub" in answer.json()["detail"]
    assert "hunter2" not in answer.text
