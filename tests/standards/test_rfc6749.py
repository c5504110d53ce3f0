"""RFC 6749: refreshing (§6), callers (§2.3), the token endpoint (§3.2), its answers and errors (§5)."""

import json
import re

import pytest

from quash_service.http.problems import STATUS, Problem
from tests.http.support import SECRET, Service, basic, fresh, oauth_error
from tests.service import ADMIN

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = {"content-type": "application/x-www-form-urlencoded"}
DESCRIPTION = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")


async def test_credentials_in_the_address_are_not_looked_at(service: Service) -> None:
    """§2.3.1: only in the body."""
    answer = await service.http().post(f"/introspect?client_id=admin&client_secret={ADMIN}", data={"token": "t"})
    assert oauth_error(answer) == (401, "invalid_client")


async def test_parameters_in_the_address_are_not_looked_at(service: Service) -> None:
    """§3.2: the token endpoint takes POST; its parameters are in the body."""
    token = (await service.open())["refresh_token"]
    answer = await service.client.post(
        f"/token?grant_type=refresh_token&refresh_token={token}", content=b"", headers=FORM
    )
    assert oauth_error(answer) == (400, "invalid_request")
    assert await service.is_active(token)


@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke"])
@pytest.mark.parametrize("content", [b"token=t&token=t", b"x=1&x=2", b"token=&token=t", b"scope=&scope="])
async def test_no_parameter_comes_twice(service: Service, path: str, content: bytes) -> None:
    """§3.2: neither a known one nor an unknown one, also if one of the two is empty."""
    answer = await service.client.post(path, content=content, headers=FORM)
    assert oauth_error(answer) == (400, "invalid_request")


async def test_a_parameter_without_value_is_omitted_and_an_unknown_one_ignored(service: Service) -> None:
    """§3.2."""
    token = (await service.open(scope="a b"))["refresh_token"]
    refreshed = await service.refreshed(
        token, scope="", session_scope="", claims="", nonsense="1", ip="", user_agent=""
    )
    assert refreshed["scope"] == "a b"


@pytest.mark.parametrize("path", ["/token", "/introspect"])
async def test_json_is_no_form(service: Service, path: str) -> None:
    """Appendix B."""
    answer = await service.client.post(path, json={"token": "t", "grant_type": "refresh_token", "refresh_token": "t"})
    assert oauth_error(answer) == (400, "invalid_request")


async def test_values_are_percent_encoded_utf_8(service: Service) -> None:
    """Appendix B: a name outside ASCII authenticates, and other bytes than UTF-8 are refused."""
    token = (await service.open(user_agent="Ünö/1"))["refresh_token"]
    content = f"grant_type=refresh_token&refresh_token={token}&user_agent=%C3%9Cn%C3%B6%2F1".encode()
    assert (await service.client.post("/token", content=content, headers=FORM)).status_code == 200
    for agent in (b"%DCn%F6%2F1", b"\xc3\x9c"):
        answer = await service.client.post("/token", content=content[:-19] + agent, headers=FORM)
        assert oauth_error(answer) == (400, "invalid_request")


@pytest.mark.parametrize("way", ["two headers", "header and form"])
async def test_a_request_authenticates_in_one_way(service: Service, way: str) -> None:
    """§2.3: more than one is refused, also when all of them are good."""
    one = ("authorization", basic("admin", ADMIN)["authorization"])
    form = {"token": "t"} if way == "two headers" else {"token": "t", "client_id": "admin", "client_secret": ADMIN}
    headers = [one, ("authorization", f"Bearer qk_admin.{ADMIN}")] if way == "two headers" else [one]
    answer = await service.http().post("/introspect", data=form, headers=headers)
    assert oauth_error(answer) == (400, "invalid_request")


async def test_a_refused_caller_gets_a_challenge_of_the_scheme_it_tried(service: Service) -> None:
    """§5.2."""
    tried = {
        "Basic": basic("admin", "wrong"),
        "Bearer": {"authorization": "Bearer qk_admin.wrong"},
    }
    for scheme, headers in tried.items():
        for path in ("/token", "/introspect", "/revoke"):
            answer = await service.http().post(path, data={"token": "t"}, headers=headers)
            assert oauth_error(answer) == (401, "invalid_client")
            assert answer.headers["www-authenticate"].startswith(f"{scheme} realm=")
    answer = await service.http().post("/token", data={"client_id": "admin", "client_secret": SECRET})
    assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_answers_with_tokens_are_kept_by_no_cache(service: Service) -> None:
    """§5.1: both headers on every answer that holds a token."""
    login = await service.client.post("/sessions", json={"sub": fresh()})
    refreshed = await service.refresh(login.json()["refresh_token"])
    stepped = await service.client.post(f"/sessions/{login.json()['session_id']}/step-up", json={})
    for answer in (login, refreshed, stepped):
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
        assert answer.headers["content-type"] == "application/json"


async def test_the_answer_has_the_members_of_the_standard(service: Service) -> None:
    """§5.1, and §6: the refresh token may be a new one; ours always is. What else is there is an extension (§8.2)."""
    found = await service.refreshed((await service.open(scope="a b"))["refresh_token"], scope="b")
    assert found["token_type"] == "Bearer"
    assert isinstance(found["access_token"], str)
    assert isinstance(found["expires_in"], int)
    assert found["scope"] == "b"
    assert set(found) - {"access_token", "token_type", "expires_in", "refresh_token", "scope"} == {
        *("session_id", "version", "refresh_expires_in"),
    }


async def test_scope_may_narrow_and_never_widen(service: Service) -> None:
    """§6: a scope that was not granted is invalid_scope; omitted, it is the whole grant again."""
    token = (await service.open(scope="a b"))["refresh_token"]
    assert oauth_error(await service.refresh(token, scope="a c")) == (400, "invalid_scope")
    token = (await service.refreshed(token, scope="a"))["refresh_token"]
    assert (await service.refreshed(token))["scope"] == "a b"


async def test_a_refresh_token_is_bound_to_its_caller(service: Service) -> None:
    """§6 and §10.4: another caller's is invalid_grant, and stays good for its own."""
    mine, other = await service.caller("sessions"), await service.caller("sessions")
    token = (await service.open(by=mine))["refresh_token"]
    assert oauth_error(await service.refresh(token, by=other)) == (400, "invalid_grant")
    assert (await service.refresh(token, by=mine)).status_code == 200


@pytest.mark.parametrize("code", STATUS)
@pytest.mark.parametrize("detail", ["", 'say "no" \\ ü \ud800 \x00 €', "x" * 5000])
async def test_an_error_description_keeps_to_its_characters(code: str, detail: str) -> None:
    """§5.2: printable ASCII without quotation mark and backslash; so is the code."""
    body = json.loads(bytes(Problem(code, detail).as_oauth().body))
    assert DESCRIPTION.fullmatch(body["error_description"])
    assert DESCRIPTION.fullmatch(body["error"])
