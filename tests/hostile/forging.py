"""Tokens that are good but for one thing: every one here is signed, over exactly the bytes that it shows."""

import hmac
import json
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.client.minting import b64, compact, jwk_of, private_key, small_rsa_key

MANY = "https://many.example"
"""An issuer that may use every algorithm, with a key for each, two of one name, and weak ones."""

OTHER = "https://other.example"
"""An issuer with one key, whose tokens are for `orders`."""

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493

_KEYS: dict[str, tuple[str, str, Any]] = {
    "es": (MANY, "ES256", private_key("ES256")),
    "es384": (MANY, "ES384", private_key("ES384")),
    "rs": (MANY, "RS256", private_key("RS256")),
    "ed": (MANY, "EdDSA", private_key("EdDSA")),
    "hs": (MANY, "HS256", bytes(range(64))),
    "twin": (MANY, "ES256", ec.generate_private_key(ec.SECP256R1())),
    "second twin": (MANY, "ES256", ec.generate_private_key(ec.SECP256R1())),
    "hs128": (MANY, "HS256", bytes(range(100, 116))),
    "hs248": (MANY, "HS256", bytes(range(100, 131))),
    "hs384 of 256": (MANY, "HS384", bytes(range(100, 132))),
    "hs512 of 256": (MANY, "HS512", bytes(range(100, 132))),
    "rs1024": (MANY, "RS256", small_rsa_key()),
    "other": (OTHER, "ES256", ec.generate_private_key(ec.SECP256R1())),
}
CONFUSIONS = ("pem", "pem stripped", "der", "pkcs1", "jwk", "n")
"""The names of all that a verifier could take a public key as, where it expects a secret."""

NOBODYS = ec.generate_private_key(ec.SECP256R1())
"""A key that no issuer has."""


def table(folder: Path) -> list[dict[str, Any]]:
    """Write both issuers' key files and return their `[[issuers]]` tables."""
    rows = []
    for at, issuer in enumerate((MANY, OTHER)):
        algs = {alg for iss, alg, _ in _KEYS.values() if iss == issuer}
        jwks = [
            jwk_of(key, alg, kid=name.removeprefix("second "), alg=alg)
            for name, (iss, alg, key) in _KEYS.items()
            if iss == issuer
        ]
        path = folder / f"hostile-{at}.jwks.json"
        path.write_text(json.dumps({"keys": jwks}))
        audience = {"audience": ["orders"]} if issuer == OTHER else {}
        more = {"PS256"} if issuer == MANY else set()
        rows.append({"issuer": issuer, "keys": path, "algorithms": sorted(algs | more), **audience})
    return rows


def key_of(name: str) -> Any:
    """Return an issuer's private key."""
    return _KEYS[name][2]


def head_of(key: str = "es", **changes: Any) -> dict[str, object]:
    """Return the header that names a key, changed; a member set to ``...`` is left out."""
    good = {"alg": _KEYS[key][1], "kid": key, "typ": "JWT", **changes}
    return {name: value for name, value in good.items() if value is not ...}


def claims(now_s: int, **changes: object) -> dict[str, object]:
    """Return claims that are good now, changed; a claim set to ``...`` is left out."""
    good = {"iss": MANY, "sub": "eve", "iat": now_s, "exp": now_s + 600, "jti": "hostile", **changes}
    return {name: value for name, value in good.items() if value is not ...}


def with_text(members: dict[str, object], more: str) -> str:
    """Return an object as JSON text with members that no dict can hold."""
    return f"{json.dumps(members)[:-1]},{more}}}"


def sign(head: object, payload: object, *, key: Any = None, alg: str = "ES256") -> str:
    """Return a token over these bytes, whatever they are, that the key of `es` signed unless another is given."""
    return sign_text(compact(head, payload, b"").rpartition(".")[0], key=key, alg=alg)


def sign_text(unsigned: str, *, key: Any = None, alg: str = "ES256") -> str:
    """Return a token whose first two parts are this text."""
    signer = key_of("es") if key is None else key
    return f"{unsigned}.{b64(jwt.get_algorithm_by_name(alg).sign(unsigned.encode(), signer))}"


def by(name: str, payload: object, **changes: object) -> str:
    """Return a token that names a key and is signed with it."""
    return sign(head_of(name, **changes), payload, key=key_of(name), alg=_KEYS[name][1])


def hmac_signed(head: object, payload: object, secret: bytes) -> str:
    """Return a token under HMAC-SHA256, also with secrets that a careful signer refuses to use."""
    unsigned = compact(head, payload, b"").rpartition(".")[0]
    return f"{unsigned}.{b64(hmac.digest(secret, unsigned.encode(), 'sha256'))}"


def public_key_texts(name: str) -> dict[str, bytes]:
    """Return a public key in the forms of `CONFUSIONS`; `pkcs1` and `n` for RSA only."""
    public = key_of(name).public_key()
    jwk = jwk_of(public, _KEYS[name][1])
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    texts = {
        "pem": pem,
        "pem stripped": pem.strip(),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(jwk).encode(),
    }
    if "n" in jwk:
        texts |= {"n": jwk["n"].encode(), "pkcs1": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1)}
    return texts


def resigned(token: str, signature: bytes) -> str:
    """Return a token with another signature."""
    return f"{token.rpartition('.')[0]}.{b64(signature)}"


def signature_of(token: str) -> bytes:
    """Return the bytes of a token's signature."""
    return jwt.utils.base64url_decode(token.rpartition(".")[2])


def other_s(token: str) -> str:
    """Return the twin (r, n - s) of a token under ES256: the same claims, as good a signature, other bytes."""
    raw = signature_of(token)
    s = P256_ORDER - int.from_bytes(raw[32:], "big")
    return resigned(token, raw[:32] + s.to_bytes(32, "big"))


def as_der(token: str) -> str:
    """Return a token under ES256 with its signature as X.509 writes them."""
    raw = signature_of(token)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    return resigned(token, der)


def shifted_s(token: str) -> str:
    """Return a token under EdDSA with s + the group's order, which RFC 8032 §5.1.7 refuses."""
    raw = signature_of(token)
    s = int.from_bytes(raw[32:], "little") + ED25519_ORDER
    return resigned(token, raw[:32] + s.to_bytes(32, "little"))
