"""RFC 9068: what we mint and what we accept as ours; RFC 8725 and 7519 where a forger would try."""

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest

from tests.client.minting import b64, compact
from tests.http.support import ISSUER, Service, claims_of, fresh

pytestmark = pytest.mark.asyncio(loop_scope="module")


def header_of(token: str) -> dict[str, Any]:
    part = token.partition(".")[0]
    header: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return header


async def test_the_header_says_that_it_is_an_access_token(service: Service) -> None:
    """§2.1."""
    token = (await service.open())["access_token"]
    header = header_of(token)
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")
    assert set(header) == {"typ", "alg", "kid"}


async def test_the_required_claims_are_there_and_of_their_types(service: Service) -> None:
    """§2.2."""
    claims = claims_of((await service.open(sub := fresh(), client_id="shop"))["access_token"])
    assert (claims["iss"], claims["sub"], claims["client_id"], claims["aud"]) == (ISSUER, sub, "shop", ISSUER)
    assert isinstance(claims["jti"], str)
    assert claims["exp"] - claims["iat"] == 600
    assert claims["iat"] == service.now


async def test_scope_is_there_when_it_was_granted(service: Service) -> None:
    """§2.2.3."""
    assert claims_of((await service.open(scope="a b"))["access_token"])["scope"] == "a b"
    assert "scope" not in claims_of((await service.open())["access_token"])


async def test_the_authentication_is_that_of_the_login_and_stays_when_refreshed(service: Service) -> None:
    """§2.2.1: `auth_time`, `acr` and `amr` change only when the user authenticates again."""
    session = await service.open(acr="gold", amr=["pwd", "otp"], auth_time=service.now - 5)
    service.advance(3)
    refreshed = await service.refreshed(session["refresh_token"])
    for token in (session["access_token"], refreshed["access_token"]):
        claims = claims_of(token)
        assert (claims["acr"], claims["amr"], claims["auth_time"]) == ("gold", ["pwd", "otp"], service.now - 8)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
async def test_our_own_type_is_accepted_in_both_spellings(service: Service, typ: str) -> None:
    """§4, and RFC 7515 §4.1.9."""
    session = await service.open(sub := fresh())
    token = service.own_token({"sub": sub, "sid": session["session_id"]}, typ=typ)
    assert await service.reason(token) == "active"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "id_token+jwt", "logout+jwt", "secevent+jwt", ...])
async def test_no_other_kind_of_token_passes_for_an_access_token(service: Service, typ: object) -> None:
    """§4 and RFC 8725 §3.11: an id or logout token of the same key is none."""
    assert await service.reason(service.own_token(typ=typ)) == "wrong_type"


@pytest.mark.parametrize("claim", ["iss", "sub", "exp", "iat", "jti", "sid", "ver"])
async def test_a_token_of_ours_without_one_of_its_claims_is_refused(service: Service, claim: str) -> None:
    """§2.2 and §4."""
    assert await service.reason(service.own_token({claim: ...})) == "missing_claim"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": ISSUER + "/"}, "unknown_issuer"),
        ({"iss": ISSUER.upper()}, "unknown_issuer"),
        ({"exp": "tomorrow"}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"aud": 5}, "malformed"),
        ({"sub": ""}, "malformed"),
        ({"sub": ["alice"]}, "malformed"),
        ({"jti": "a\nb"}, "malformed"),
    ],
)
async def test_claims_are_compared_exactly_and_have_their_types(
    service: Service, changes: dict[str, object], reason: str
) -> None:
    """RFC 7519 §4.1, RFC 8725 §3.8 and §3.10."""
    assert await service.reason(service.own_token(changes)) == reason


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "HS256", "RS256", "ES512", "EdDSA", "ES256K"])
async def test_the_header_does_not_choose_the_algorithm(service: Service, alg: str) -> None:
    """§4 and RFC 8725 §3.1, §3.2: whatever else is stated, also with the public key as an HMAC secret."""
    header = header_of((await service.open())["access_token"])
    payload = {"iss": ISSUER, "sub": "a", "iat": service.now, "exp": service.now + 60, "jti": "j", "sid": "s", "ver": 0}
    reason = await service.reason(compact({**header, "alg": alg}, payload))
    assert reason in {"algorithm_not_allowed", "unknown_key"}


@pytest.mark.parametrize(
    "member",
    [
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"jwk": {"kty": "oct", "k": "AA"}},
        {"x5c": ["AA"]},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": False},
    ],
)
async def test_a_token_brings_no_key_and_no_extension(service: Service, member: dict[str, Any]) -> None:
    """RFC 7515 §4.1.11, RFC 8725 §3.10: nothing is fetched, nothing that is critical is skipped."""
    assert await service.reason(service.own_token(**member)) == "malformed"


@pytest.mark.parametrize("kid", ["../../etc/passwd", "' OR 1=1 --", "x" * 255, "\u0000"])
async def test_a_kid_is_only_compared(service: Service, kid: str) -> None:
    """RFC 8725 §3.10."""
    assert await service.reason(service.own_token(kid=kid)) in {"unknown_key", "malformed"}


async def test_encrypted_and_json_forms_are_not_taken(service: Service) -> None:
    """RFC 7519 §3 would allow nesting; RFC 7515 §7.2 has other serializations. Neither is an access token here."""
    token = service.own_token()
    head, payload, signature = token.split(".")
    flattened = json.dumps({"protected": head, "payload": payload, "signature": signature})
    nested = compact({"alg": "ES256", "typ": "at+jwt", "cty": "JWT"}, token)
    encrypted = ".".join((b64(b'{"alg":"dir","enc":"A128GCM"}'), "", "AAAA", "AAAA", "AAAA"))
    for raw in (flattened, nested, encrypted, f"{token}.{signature}", f"{head}..{signature}"):
        assert await service.reason(raw) == "malformed"
