"""All routes for all callers: who may call what stands in one table here, and a route that is not in it fails."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.routing import BaseRoute

from quash_service.callers import SCOPES
from quash_service.http.edge import OAUTH_ROUTES
from tests.http import issuers
from tests.http.support import Service, fresh, oauth_error, problem, unopened

pytestmark = pytest.mark.asyncio(loop_scope="module")

PUBLIC = None


@dataclass(frozen=True)
class Case:
    """One request and the scope that it needs, `PUBLIC` for none."""

    method: str
    path: str
    needs: str | None
    request: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path} {' '.join(self.request.get('json', ()))}".strip()

    async def send(self, client: httpx.AsyncClient) -> httpx.Response:
        path = self.path.replace("{sid}", unopened("nobody")).replace("{name}", "favicon.png")
        return await client.request(self.method, path, **self.request)


REVOCATIONS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"token": "t"}, "revoke"),
    ({"session_id": "s"}, "revoke"),
    ({"jti": "j", "sub": "nobody", "exp": 1}, "revoke"),
    ({"sub": "nobody"}, "revoke"),
    ({"kid": "k1", "iss": issuers.ES}, "admin"),
    ({"thumbprint": "x" * 43, "iss": issuers.ES}, "admin"),
    ({"issuer": issuers.ES, "before": 1}, "admin"),
)
CASES = (
    Case("POST", "/introspect", "introspect", {"data": {"token": "t"}}),
    Case("POST", "/introspect/batch", "introspect", {"json": {"tokens": []}}),
    Case("POST", "/token", "sessions", {"data": {"grant_type": "refresh_token", "refresh_token": "t"}}),
    Case("POST", "/revoke", "revoke", {"data": {"token": "t"}}),
    *(Case("POST", "/revoke", needs, {"json": body}) for body, needs in REVOCATIONS),
    Case("POST", "/sessions", "sessions", {"json": {"sub": "somebody"}}),
    Case("GET", "/sessions", "revoke", {"params": {"sub": "nobody"}}),
    Case("DELETE", "/sessions", "revoke", {"params": {"sub": "nobody"}}),
    Case("GET", "/sessions/{sid}", "revoke"),
    Case("DELETE", "/sessions/{sid}", "revoke"),
    Case("POST", "/sessions/{sid}/step-up", "sessions", {"json": {}}),
    Case("GET", "/forward-auth", PUBLIC),
    Case("GET", "/.well-known/oauth-authorization-server", PUBLIC),
    Case("GET", "/.well-known/jwks.json", PUBLIC),
    Case("GET", "/healthz", PUBLIC),
    Case("GET", "/readyz", PUBLIC),
    Case("GET", "/metrics", PUBLIC),
    Case("GET", "/docs", PUBLIC),
    Case("GET", "/docs/assets/{name}", PUBLIC),
    Case("GET", "/openapi.json", PUBLIC),
)
CALLERS = ("no credentials", "wrong secret", "no scope", *SCOPES)


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    return {"issuers": issuers.table(folder, issuers.ES)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clients(service: Service) -> dict[str, httpx.AsyncClient]:
    """A client for each of `CALLERS`."""
    wrong = await service.caller(*SCOPES, name="wrong")
    wrong.auth = httpx.BasicAuth("wrong", "not-the-secret")
    return {
        "no credentials": service.http(),
        "wrong secret": wrong,
        "no scope": await service.caller(),
        **{scope: await service.caller(scope, name=fresh("one")) for scope in SCOPES},
    }


def flat(routes: Iterable[BaseRoute]) -> list[Any]:
    """Return all routes, those of included routers too."""
    found: list[Any] = []
    for route in routes:
        nested = getattr(route, "original_router", None)
        found.extend([route] if nested is None else flat(nested.routes))
    return found


async def test_every_route_and_method_has_a_case_here(service: Service) -> None:
    served = {(method, route.path) for route in flat(service.app.routes) for method in route.methods}
    heads = {("HEAD", case.path) for case in CASES if ("HEAD", case.path) in served}
    assert served == {(case.method, case.path) for case in CASES} | heads
    assert heads <= {("HEAD", case.path) for case in CASES if case.needs is PUBLIC}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_route_serves_the_callers_that_have_its_scope_and_no_others(
    service: Service, clients: dict[str, httpx.AsyncClient], case: Case, caller: str
) -> None:
    answer = await case.send(clients[caller])
    if case.needs is PUBLIC:
        anyone = await case.send(service.http())
        assert (answer.status_code, answer.headers.get("www-authenticate")) == (
            anyone.status_code,
            anyone.headers.get("www-authenticate"),
        )
        return
    is_form = case.path in OAUTH_ROUTES and "data" in case.request
    refusal = oauth_error if is_form else problem
    if caller in {"no credentials", "wrong secret"}:
        assert refusal(answer) == (401, "invalid_client" if is_form else "unauthenticated")
        assert answer.headers["www-authenticate"] == 'Basic realm="quash", charset="UTF-8"'
    elif caller in {case.needs, "admin"}:
        assert answer.status_code not in {401, 403}, answer.text
        assert answer.status_code < 500
    else:
        assert refusal(answer) == (403, "insufficient_scope")
        assert f'scope="{case.needs}"' in answer.headers["www-authenticate"]


async def test_the_openapi_document_lists_every_route_and_no_other(service: Service) -> None:
    listed = (await service.http().get("/openapi.json")).json()["paths"]
    named = {(method.upper(), path) for path, operations in listed.items() for method in operations}
    page = {"/docs", "/docs/assets/{name}", "/openapi.json"}  # what shows the document is not part of it
    assert named == {(case.method, case.path) for case in CASES if case.path not in page}


async def test_the_openapi_document_says_which_routes_need_a_caller(service: Service) -> None:
    listed = (await service.http().get("/openapi.json")).json()["paths"]
    for path, operations in listed.items():
        for method, operation in operations.items():
            needs = {case.needs for case in CASES if (case.method, case.path) == (method.upper(), path)}
            callers = any("callerBasic" in one for one in operation["security"])
            assert callers == (needs != {PUBLIC}), (method, path)
