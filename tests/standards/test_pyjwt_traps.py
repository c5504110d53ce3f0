"""What PyJWT accepts and we must not: each trap is shown to be one, then to be shut."""

import hmac
import json
import warnings
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from quash.claims import Claims
from quash.errors import TokenInvalid
from quash.keys import KeySet, keys_from_jwks
from quash.parse import parse
from quash.policy import ALGORITHMS, Ask, Issuer
from quash.reasons import Reason
from quash.signature import verify_signature
from quash.verdict import claims_verdict
from tests.client.minting import ISSUER, b64, claims, jwk_of, mint, private_key, small_rsa_key
from tests.http.support import Service

SECRET = bytes(range(64))
NOW_MS = 1_900_000_001_000
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
NO_TIME: Any = {"verify_exp": False, "verify_iat": False, "verify_aud": False, "verify_nbf": False}


def signed(header: bytes, payload: bytes, secret: bytes = SECRET) -> str:
    """Return an HS256 token of exactly these bytes."""
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(hmac.digest(secret, text.encode(), sha256))}"


def by_pyjwt(token: str, key: Any = SECRET, alg: str = "HS256") -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
        decoded: dict[str, Any] = jwt.decode(token, key, [alg], options=NO_TIME)
        return decoded


def by_us(token: str, key: Any = SECRET, alg: str = "HS256") -> Claims:
    jwk = {"kty": "oct", "k": b64(key), "alg": alg} if isinstance(key, bytes) else jwk_of(key, alg, alg=alg)
    keys = keys_from_jwks({"keys": [jwk]}, issuer=ISSUER, algorithms=ALGORITHMS, allow_symmetric=True)
    return verify_signature(parse(token), {ISSUER: Issuer(ISSUER, ALGORITHMS)}, KeySet(keys))


def refusal(token: str, key: Any = SECRET, alg: str = "HS256") -> Reason:
    with pytest.raises(TokenInvalid) as caught:
        by_us(token, key, alg)
    return Reason(caught.value.code)


HEADER = b'{"alg":"HS256"}'
PAYLOAD = json.dumps(claims()).encode()


def test_the_plain_token_passes_both() -> None:
    token = signed(HEADER, PAYLOAD)
    assert by_pyjwt(token)["sub"] == by_us(token).sub == "alice"


def test_padding() -> None:
    """RFC 7515 §2: base64url without padding."""
    padded = signed(HEADER, PAYLOAD) + "="
    assert by_pyjwt(padded)["sub"] == "alice"
    assert refusal(padded) is Reason.MALFORMED


def test_duplicate_names() -> None:
    """RFC 7515 §4, RFC 7519 §4: the last or none; readers differ, so none."""
    token = signed(HEADER, PAYLOAD[:-1] + b',"sub":"root"}')
    assert by_pyjwt(token)["sub"] == "root"
    assert refusal(token) is Reason.MALFORMED


def test_utf_16() -> None:
    """RFC 7519 §7.1, RFC 8725 §3.7: UTF-8."""
    token = signed(HEADER, PAYLOAD.decode().encode("utf-16"))
    assert by_pyjwt(token)["sub"] == "alice"
    assert refusal(token) is Reason.MALFORMED


def test_a_short_hmac_key() -> None:
    """RFC 7518 §3.2: at least as long as its hash."""
    short = b"sixteen bytes..."
    token = signed(HEADER, PAYLOAD, short)
    assert by_pyjwt(token, short)["sub"] == "alice"
    assert refusal(token, short) is Reason.WEAK_KEY


def test_rsa_1024() -> None:
    """RFC 7518 §3.3: at least 2048 bits."""
    token = mint(claims(), "RS256", key=small_rsa_key(), kid=...)
    assert by_pyjwt(token, small_rsa_key().public_key(), "RS256")["sub"] == "alice"
    assert refusal(token, small_rsa_key(), "RS256") is Reason.WEAK_KEY


def test_another_type() -> None:
    """RFC 8725 §3.11: PyJWT does not look at `typ`."""
    token = signed(b'{"alg":"HS256","typ":"logout+jwt"}', PAYLOAD)
    assert by_pyjwt(token)["sub"] == "alice"
    assert claims_verdict(by_us(token), NOW_MS, Ask()) is Reason.WRONG_TYPE


@pytest.mark.parametrize("number", [b"1" + b"0" * 400, b"1e400"])
def test_an_exp_of_ten_to_the_400(number: bytes) -> None:
    """RFC 7519 §2 has no bound; JSON's readers do (RFC 7493 §2.2)."""
    token = signed(HEADER, PAYLOAD.replace(b"1900000600", number))
    assert by_pyjwt(token)["exp"] > 10**300
    assert refusal(token) is Reason.MALFORMED


def twin(token: str) -> str:
    """Return another good signature of the same bytes: (r, n - s)."""
    head, _, signature = token.rpartition(".")
    raw = jwt.utils.base64url_decode(signature)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    assert decode_dss_signature(encode_dss_signature(r, s)) == (r, s)
    return f"{head}.{b64(r.to_bytes(32, 'big') + (ORDER - s).to_bytes(32, 'big'))}"


def test_an_ecdsa_signature_has_a_twin() -> None:
    token = mint(claims(), kid=...)
    assert twin(token) != token
    assert by_pyjwt(twin(token), private_key("ES256").public_key(), "ES256")["sub"] == "alice"
    assert by_us(twin(token), private_key("ES256"), "ES256").jti == "t-1"


@pytest.mark.asyncio(loop_scope="module")
async def test_so_the_blacklist_knows_issuer_and_jti_never_the_token(service: Service) -> None:
    """Revoking one spelling revokes the other, also where both were looked at before."""
    session = await service.open()
    token = session["access_token"]
    assert await service.is_active(token)
    assert await service.is_active(twin(token))
    await service.client.post("/revoke", data={"token": twin(token)})
    assert await service.reason(token) == await service.reason(twin(token)) == "token_revoked"
