"""What everybody may read: metadata, keys, health, metrics and the API page."""

import re
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.http import issuers
from tests.http.issuers import issued
from tests.http.support import ISSUER, Service, fresh, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    return {"issuers": issuers.table(folder, issuers.ES)}


async def get(service: Service, path: str) -> httpx.Response:
    answer = await service.http().get(path)
    assert answer.status_code == 200, answer.text
    return answer


async def test_the_metadata_is_rfc_8414_and_names_routes_that_exist(service: Service) -> None:
    found = (await get(service, "/.well-known/oauth-authorization-server")).json()
    assert found["issuer"] == ISSUER
    assert found["grant_types_supported"] == ["refresh_token"]
    assert found["response_types_supported"] == []
    for name in ("token", "introspection", "revocation"):
        assert found[f"{name}_endpoint_auth_methods_supported"] == ["client_secret_basic", "client_secret_post"]
        path = found[f"{name}_endpoint"].removeprefix(ISSUER)
        assert (await service.http().post(path, data={"token": "t"})).status_code == 401
    for name in ("jwks_uri", "service_documentation"):
        await get(service, found[name].removeprefix(ISSUER))


async def test_the_jwks_has_public_members_only_and_verifies_our_tokens(service: Service) -> None:
    answer = await get(service, "/.well-known/jwks.json")
    keys = answer.json()["keys"]
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert len(keys) == 2  # the active one and the next
    for key in keys:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (key["alg"], key["use"]) == ("ES256", "sig")
    token = (await service.open())["access_token"]
    header = jwt.get_unverified_header(token)
    (named,) = (key for key in keys if key["kid"] == header["kid"])
    claims = jwt.decode(
        token, jwt.PyJWK(named).key, ["ES256"], audience=ISSUER, options={"verify_iat": False, "verify_exp": False}
    )
    assert (header["typ"], claims["iss"]) == ("at+jwt", ISSUER)


async def test_the_jwks_never_lists_anothers_keys(service: Service) -> None:
    assert "k1" not in [key["kid"] for key in (await get(service, "/.well-known/jwks.json")).json()["keys"]]


async def test_a_healthy_service_is_alive_and_ready(service: Service) -> None:
    assert (await get(service, "/healthz")).json() == {"status": "ok"}
    assert (await get(service, "/readyz")).json() == {"status": "ready", "clock_offset_ms": 0}


async def test_a_clock_more_than_2_s_off_is_not_ready(service: Service) -> None:
    clock = service.parts.clock
    service.advance(5)
    try:
        for offset_ms, ready in ((2000, True), (2001, False), (-2001, False)):
            clock.offset_ms = offset_ms
            answer = await service.http().get("/readyz")
            if ready:
                assert answer.status_code == 200
            else:
                assert problem(answer) == (503, "unavailable")
                assert f"{offset_ms} ms" in answer.json()["detail"]
    finally:
        clock.offset_ms = 0


async def test_metrics_count_and_their_labels_never_name_anybody(service: Service) -> None:
    service.advance(2)
    sub = fresh("secretive")
    session = await service.open(sub, client_id="shop", user_agent="phone/1")
    caller = await service.caller("revoke", name="helpdesk")
    foreign = issued(issuers.ES, service.now)
    await service.introspect(foreign)
    for method in ("get", "delete"):
        await getattr(caller, method)(f"/sessions/{session['session_id']}")
    await caller.get("/sessions", params={"sub": sub})
    await service.refresh(session["refresh_token"])
    await service.http().get(f"/{sub}")
    page = (await get(service, "/metrics")).text
    series = {line.partition("{")[0].partition(" ")[0] for line in page.splitlines() if not line.startswith("#")}
    assert {
        *("quash_verdicts_total", "quash_rotations_total", "quash_revocations_total"),
        *("quash_sessions_opened_total", "quash_request_seconds_count"),
    } <= series
    named = [sub, "secretive", "shop", "phone", "helpdesk", issuers.ES, "bob", *session["refresh_token"].split(".")]
    for word in [*named, session["session_id"], session["access_token"]]:
        assert len(word) < 3 or word not in page
    assert 'route="/sessions/{sid}"' in page
    assert 'route="unmatched"' in page


async def test_the_labels_of_a_metric_come_from_closed_sets(service: Service) -> None:
    page = (await get(service, "/metrics")).text
    names = set(re.findall(r'[{,]([a-z_]+)="', page))
    assert names <= {"reason", "outcome", "detail", "kind", "cause", "route", "method", "status", "le"}


async def test_the_api_page_asks_no_other_host_for_anything(service: Service) -> None:
    page = (await get(service, "/docs")).text
    assert not re.search(r"(?:https?:)?//[a-z]", page.replace("<!--", ""))
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(assets) == 3
    for asset in assets:
        found = await get(service, f"/{asset}")
        kind = {".css": "text/css", ".js": "text/javascript", ".png": "image/png"}[Path(asset).suffix]
        assert found.headers["content-type"].partition(";")[0] == kind
    assert 'url: "openapi.json"' in page.replace("'", '"')


@pytest.mark.parametrize("name", ["nothing.js", "%2e%2e%2fauth.py", "redoc.standalone.js"])
async def test_only_the_pages_own_files_are_served(service: Service, name: str) -> None:
    assert problem(await service.http().get(f"/docs/assets/{name}")) == (404, "not_found")
