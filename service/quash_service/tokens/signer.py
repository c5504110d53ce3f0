"""Who signs access tokens: the seam for keys that live elsewhere (an HSM, a key service).

``docs/keys.md`` shows how to plug one in, ``examples/signer`` is one that works.
"""

from collections.abc import Callable, Mapping
from secrets import token_bytes
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import Algorithm, get_default_algorithms

from quash.keys import KeyRefused, key_from_jwk, thumbprint

SHARED = "HS256"
"""The one algorithm whose key is a shared secret: it is never published."""
PUBLIC = ("ES256", "RS256", "EdDSA")
"""Algorithms whose tokens everybody can verify."""

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_HMAC_BYTES = 32
_NEW: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=3072),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    SHARED: lambda: token_bytes(_HMAC_BYTES),
}


class Signer(Protocol):
    """Signs with one key. ``jwk`` is its public JWK with ``kid`` and ``alg``, as published."""

    @property
    def kid(self) -> str:
        """The key's id, as in the header of what it signs."""
        ...

    @property
    def alg(self) -> str:
        """The one algorithm it signs with (RFC 7518 §3.1)."""
        ...

    @property
    def jwk(self) -> Mapping[str, object]:
        """The public key (RFC 7517 §4)."""
        ...

    async def sign(self, signing_input: bytes) -> bytes:
        """Return the JWS signature of ``signing_input`` (RFC 7515 §5.1): for ES256 r and s, 64 bytes.

        Raises ``OSError`` or ``TimeoutError`` while the key cannot be used.
        """
        ...


def new_key(algorithm: str) -> Mapping[str, object]:
    """Return a fresh private JWK. Its ``kid`` is the RFC 7638 thumbprint, of a shared secret a random text (§7)."""
    jwk = get_default_algorithms()[algorithm].to_jwk(_NEW[algorithm](), as_dict=True)
    jwk.pop("key_ops", None)
    kid = token_bytes(16).hex() if algorithm == SHARED else thumbprint(jwk)
    return {**jwk, "kid": kid, "alg": algorithm, "use": "sig"}


class LocalSigner:
    """A private key in this process; ``jwk`` is empty for a shared secret. Its repr shows no key material."""

    def __init__(self, private_jwk: Mapping[str, object]) -> None:
        self.kid = str(private_jwk["kid"])
        self.alg = str(private_jwk["alg"])
        self._algorithm: Algorithm = get_default_algorithms()[self.alg]
        members = {name: value for name, value in private_jwk.items() if name not in {"kid", "alg", "use"}}
        self._key = self._algorithm.from_jwk(members)
        self.jwk: Mapping[str, object] = {}
        if self.alg != SHARED:
            public = self._algorithm.to_jwk(self._key.public_key(), as_dict=True)
            self.jwk = {**public, "kid": self.kid, "alg": self.alg, "use": "sig"}

    def __repr__(self) -> str:
        return f"LocalSigner(kid={self.kid!r}, alg={self.alg!r})"

    async def sign(self, signing_input: bytes) -> bytes:
        """Return the JWS signature of ``signing_input``."""
        return self._algorithm.sign(signing_input, self._key)


def check_external(signer: Signer, issuer: str) -> None:
    """Refuse a signer whose ``jwk`` cannot be published as it is. Raises ``ValueError``."""
    try:
        key = key_from_jwk(signer.jwk, issuer=issuer, algorithms=frozenset(PUBLIC))
    except KeyRefused as refusal:
        raise ValueError(f"the external signer's public key cannot be used: {refusal.message}") from None
    if key.weak or (key.kid, key.alg, signer.jwk.get("alg")) != (signer.kid, signer.alg, signer.alg):
        raise ValueError("the external signer's jwk must be strong and have its kid and alg")
    if set(signer.jwk) & _PRIVATE:
        raise ValueError("the external signer's jwk must be the public one: it is published")
