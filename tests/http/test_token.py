"""`POST /token`: what a refresh may change, and the form it has."""

import json

import pytest

from tests.http.support import Service, claims_of, oauth_error

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_scope_narrows_this_access_token_only(service: Service) -> None:
    session = await service.open(scope="read write")
    narrow = await service.refreshed(session["refresh_token"], scope="read")
    assert (narrow["scope"], claims_of(narrow["access_token"])["scope"]) == ("read", "read")
    wide = await service.refreshed(narrow["refresh_token"])
    assert (wide["scope"], claims_of(wide["access_token"])["scope"]) == ("read write", "read write")


async def test_session_scope_replaces_the_sessions(service: Service) -> None:
    session = await service.open(scope="read")
    more = await service.refreshed(session["refresh_token"], session_scope="read write")
    assert more["scope"] == "read write"
    later = await service.refreshed(more["refresh_token"], scope="write")
    assert claims_of(later["access_token"])["scope"] == "write"


async def test_scope_is_judged_by_the_session_scope_that_comes_with_it(service: Service) -> None:
    session = await service.open(scope="read")
    answer = await service.refresh(session["refresh_token"], scope="read", session_scope="write")
    assert oauth_error(answer) == (400, "invalid_scope")
    fresh = await service.refreshed(session["refresh_token"], scope="write", session_scope="write")
    assert claims_of(fresh["access_token"])["scope"] == "write"


async def test_claims_replace_the_sessions(service: Service) -> None:
    session = await service.open(claims={"roles": ["old"], "tenant": 1})
    fresh = await service.refreshed(session["refresh_token"], claims=json.dumps({"roles": ["new"]}))
    token = claims_of(fresh["access_token"])
    assert (token["roles"], "tenant" in token) == (["new"], False)
    later = claims_of((await service.refreshed(fresh["refresh_token"]))["access_token"])
    assert later["roles"] == ["new"]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"refresh_token": ""}, "invalid_request"),
        ({"scope": "a  b"}, "invalid_scope"),
        ({"session_scope": 'a"b'}, "invalid_scope"),
        ({"session_scope": "a" * 1025}, "invalid_scope"),
        ({"claims": "{"}, "invalid_request"),
        ({"ip": "nowhere"}, "invalid_request"),
    ],
)
async def test_a_form_that_cannot_be_meant_is_400_and_rotates_nothing(
    service: Service, form: dict[str, str], code: str
) -> None:
    session = await service.open(scope="a b")
    form = {"grant_type": "refresh_token", "refresh_token": session["refresh_token"], **form}
    assert oauth_error(await service.client.post("/token", data=form)) == (400, code)
    assert (await service.refreshed(session["refresh_token"]))["refresh_token"].split(".")[1] == "1"


@pytest.mark.parametrize(
    ("claims", "code"),
    [({"sub": "root"}, "reserved_claim"), ({"x": "y" * 4096}, "claims_too_large"), ([], "invalid_body")],
)
async def test_claims_are_held_to_the_rules_of_the_opening(service: Service, claims: object, code: str) -> None:
    session = await service.open()
    answer = await service.refresh(session["refresh_token"], claims=json.dumps(claims))
    assert oauth_error(answer) == (422, code)


@pytest.mark.parametrize("depth", [8, 500, 1010])
async def test_claims_of_any_depth_are_refused_not_an_error_of_ours(service: Service, depth: int) -> None:
    session = await service.open()
    answer = await service.refresh(session["refresh_token"], claims=f'{{"x":{"[" * depth}{"]" * depth}}}')
    assert oauth_error(answer) == (422, "invalid_body")


async def test_an_agent_of_any_length_is_the_same_agent_again(service: Service) -> None:
    agent = "x" * 1000
    session = await service.open(user_agent=agent)
    first = await service.refreshed(session["refresh_token"], user_agent=agent)
    again = await service.refreshed(session["refresh_token"], user_agent=agent)
    assert again["refresh_token"] == first["refresh_token"]
