"""Keys and tokens for the tests of the read side: minted by PyJWT, or put together by hand."""

import json
import warnings
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

ISSUER = "https://auth.example"
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact(header: object, payload: object, signature: bytes = b"signature") -> str:
    """Put a token together from values, JSON text or raw bytes, with any signature."""
    return ".".join(b64(part) for part in (as_bytes(header), as_bytes(payload), signature))


def as_bytes(part: object) -> bytes:
    if isinstance(part, bytes):
        return part
    return (part if isinstance(part, str) else json.dumps(part)).encode()


@cache
def private_key(alg: str) -> Any:
    if alg[:2] in {"RS", "PS"}:
        return _rsa(2048)
    if alg in CURVES:
        return ec.generate_private_key(CURVES[alg])
    if alg == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if alg == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    return bytes(range(64))


@cache
def _rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def small_rsa_key() -> rsa.RSAPrivateKey:
    return _rsa(1024)


def jwk_of(key: Any, alg: str, /, **members: object) -> dict[str, Any]:
    """Return the JWK of a private key, its private members included."""
    jwk: dict[str, Any] = jwt.get_algorithm_by_name(alg).to_jwk(key, as_dict=True)
    return {**jwk, **members}


def claims(**changes: object) -> dict[str, Any]:
    """Return good claims, changed; a claim set to ``...`` is left out."""
    good: dict[str, object] = {
        "iss": ISSUER,
        "sub": "alice",
        "aud": "orders",
        "exp": 1_900_000_600,
        "iat": 1_900_000_000,
        "jti": "t-1",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def mint(payload: dict[str, Any], alg: str = "ES256", *, key: Any = None, **header: object) -> str:
    """Return a token signed by PyJWT: another implementation than the one that is tested."""
    signer = jwt.PyJWS()
    headers = {"kid": "k1", "typ": "JWT", **header}
    present = {name: value for name, value in headers.items() if value is not ...}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)  # Weak keys are minted with on purpose.
        return signer.encode(as_bytes(payload), private_key(alg) if key is None else key, alg, present)
