"""docs/adopt.md: its tables load, and tokens shaped as those issuers shape them are judged and taken back."""

import json
import re
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from quash_service.config import IssuerConfig
from tests.client.minting import jwk_of, mint, private_key
from tests.engines import RunningEngine
from tests.http.support import Service
from tests.service import running_app

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "adopt.md").read_text()
TABLES = {
    heading: tomllib.loads(block)["issuers"][0]
    for heading, block in re.findall(r"^## ([^\n]+)$(?:(?!^## ).)*?```toml\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
}

# What each issuer puts into its tokens beside iss, sub, iat and exp, and the header's typ.
SHAPES: dict[str, tuple[str | None, dict[str, Any]]] = {
    "Auth0": ("JWT", {"aud": ["https://api.example", "https://t.auth0.com/userinfo"], "azp": "app", "scope": "read"}),
    "Keycloak": (
        "JWT",
        {"jti": "j1", "typ": "Bearer", "azp": "app", "sid": "its-own", "acr": "1", "aud": "account", "scope": "email"},
    ),
    "Amazon Cognito": (None, {"jti": "j1", "token_use": "access", "client_id": "app", "auth_time": 1, "username": "u"}),
    "Supabase": (
        "JWT",
        {"aud": "authenticated", "role": "authenticated", "aal": "aal1", "session_id": "its-own",
         "amr": [{"method": "password", "timestamp": 1}]},
    ),
    "Tokens of your own making": ("at+jwt", {"aud": "orders", "jti": "j1", "ver": 0}),
}  # fmt: skip
OTHERS: dict[str, dict[str, Any]] = {
    "Auth0": {"aud": "the-client"},
    "Keycloak": {"typ": "ID"},
    "Amazon Cognito": {"token_use": "id", "aud": "the-client"},
    "Supabase": {"aud": "anon"},
    "Tokens of your own making": {"aud": "billing"},
}


def test_each_issuer_of_the_page_has_a_table_and_a_test() -> None:
    assert TABLES.keys() == SHAPES.keys() == OTHERS.keys()


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    """The page's tables, with the issuers' published keys lying in files: there is no way out of here."""
    issuers: list[dict[str, Any]] = []
    for table in TABLES.values():
        IssuerConfig(**table)
        alg = table["algorithms"][0]
        file = folder / f"{len(issuers)}.jwks.json"
        file.write_text(json.dumps({"keys": [jwk_of(private_key(alg), alg, kid="k1")]}))
        issuers.append({**{k: v for k, v in table.items() if k != "jwks_uri"}, "keys": file})
    return {"issuers": issuers, "mint": False}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(folder: Path, engine: RunningEngine, options: dict[str, Any]) -> AsyncIterator[Service]:
    async with running_app(folder, engine.url, **options) as app, Service(app) as running:
        running.advance(10)
        yield running


def token(service: Service, name: str, sub: str, **changes: object) -> str:
    typ, shape = SHAPES[name]
    payload = {"iss": TABLES[name]["issuer"], "sub": sub, "iat": service.now, "exp": service.now + 300}
    return mint({**payload, **shape, **changes}, TABLES[name]["algorithms"][0], kid="k1", typ=typ)


async def reason(service: Service, raw: str) -> str | None:
    answer = await service.client.post("/introspect/batch", json={"tokens": [raw]})
    return str(answer.json()["results"][0].get("reason", "active"))


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.asyncio(loop_scope="module")
async def test_its_access_tokens_are_active_and_its_other_tokens_are_not(service: Service, name: str) -> None:
    assert await reason(service, token(service, name, "ann")) == "active"
    assert await reason(service, token(service, name, "ann", **OTHERS[name])) in {"wrong_type", "wrong_audience"}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_user_is_signed_out_everywhere_and_can_log_in_again(service: Service, name: str) -> None:
    before = token(service, name, "bob")
    answer = await service.client.delete("/sessions", params={"sub": "bob", "iss": TABLES[name]["issuer"]})
    version = answer.json()["version"]
    assert await reason(service, before) == "version_superseded"
    embeds = "ver" in TABLES[name].get("embeds", [])
    after = token(service, name, "bob", **({"ver": version} if embeds else {}))
    assert await reason(service, after) == ("active" if embeds else "version_superseded")
    service.advance(2)
    assert await reason(service, token(service, name, "bob", **({"ver": version} if embeds else {}))) == "active"


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.asyncio(loop_scope="module")
async def test_one_token_is_taken_back_where_it_has_a_jti(service: Service, name: str) -> None:
    raw = token(service, name, "cyd")
    answer = await service.client.post("/revoke", data={"token": raw})
    if TABLES[name].get("has_jti", True):
        assert answer.status_code == 200
        assert await reason(service, raw) == "token_revoked"
    else:
        assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_token_type")
        assert await reason(service, raw) == "active"
