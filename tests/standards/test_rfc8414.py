"""RFC 8414: authorization server metadata; RFC 7517 and 7638 of the keys it points at."""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from quash_service.settings import SettingsRefused, load_settings
from tests.client.minting import jwk_of, private_key
from tests.http.support import ISSUER, Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACE = "/.well-known/oauth-authorization-server"


async def test_the_document_is_json_and_its_issuer_is_the_one_in_the_tokens(service: Service) -> None:
    """§3.2 and §3.3: identical, character for character."""
    answer = await service.http().get(PLACE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["issuer"] == ISSUER
    token = (await service.open())["access_token"]
    assert (await service.introspect(token))["iss"] == ISSUER


async def test_members_are_of_their_types_and_none_is_empty_but_the_required_one(service: Service) -> None:
    """§2 and §3.2: what has no values is left out; `response_types_supported` is required and there are none."""
    found = (await service.http().get(PLACE)).json()
    for name, value in found.items():
        if name.endswith("_supported"):
            assert all(isinstance(one, str) for one in value)
            assert value or name == "response_types_supported"
        else:
            place = urlsplit(value)
            assert place.scheme in {"http", "https"}
            assert not place.fragment
    assert {"issuer", "token_endpoint", "response_types_supported", "jwks_uri"} <= set(found)
    assert found["grant_types_supported"] == ["refresh_token"]


@pytest.mark.parametrize("issuer", ["https://a.example?x=1", "https://a.example/b#x", "https://a.example/?"])
async def test_an_issuer_has_no_query_and_no_fragment(tmp_path: Path, issuer: str) -> None:
    """§2."""
    with pytest.raises(SettingsRefused, match="no query and no fragment"):
        load_settings(data_dir=tmp_path, issuer=issuer)


async def test_the_keys_are_named_and_for_signing(service: Service) -> None:
    """RFC 7517 §4 and §5: `kty` always, `kid` unique, `use` and `alg` stated, no private member."""
    answer = await service.http().get("/.well-known/jwks.json")
    keys = answer.json()["keys"]
    assert len({key["kid"] for key in keys}) == len(keys) >= 1
    for key in keys:
        assert (key["kty"], key["use"], key["alg"]) == ("EC", "sig", "ES256")
        assert not {"d", "p", "q", "dp", "dq", "qi", "k", "oth"} & set(key)


async def test_a_keys_thumbprint_is_its_name_for_revoking(service: Service) -> None:
    """RFC 7638 §3: the required members, in order, without blanks, SHA-256."""
    jwk = jwk_of(private_key("ES256"), "ES256")
    hashed = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":")).encode()
    print_ = urlsafe_b64encode(sha256(hashed).digest()).rstrip(b"=").decode()
    done = await service.revoke(thumbprint=print_, iss=ISSUER)
    assert (done["thumbprint"], done["found"]) == (print_, False)
    keys = (await service.http().get("/.well-known/jwks.json")).json()["keys"]
    own = {name: keys[0][name] for name in ("crv", "kty", "x", "y")}
    print_ = urlsafe_b64encode(sha256(json.dumps(own, separators=(",", ":")).encode()).digest()).rstrip(b"=").decode()
    assert (await service.revoke(thumbprint=print_, iss=ISSUER))["found"]
    assert keys[0]["kid"] not in {
        key["kid"] for key in (await service.http().get("/.well-known/jwks.json")).json()["keys"]
    }
