"""Who signs access tokens: the seam for keys that live elsewhere (an HSM, a key service)."""

from collections.abc import Mapping
from typing import Protocol

from jwt.algorithms import Algorithm, get_default_algorithms


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
        """Return the JWS signature of ``signing_input`` (RFC 7515 §5.1): for ES256 r and s, 64 bytes."""
        ...


class LocalSigner:
    """A private key in this process. Its repr shows no key material."""

    def __init__(self, private_jwk: Mapping[str, object]) -> None:
        self.kid = str(private_jwk["kid"])
        self.alg = str(private_jwk["alg"])
        self._algorithm: Algorithm = get_default_algorithms()[self.alg]
        members = {name: value for name, value in private_jwk.items() if name not in {"kid", "alg", "use"}}
        self._key = self._algorithm.from_jwk(members)
        self.jwk: Mapping[str, object] = {
            **self._algorithm.to_jwk(self._key.public_key(), as_dict=True),
            "kid": self.kid,
            "alg": self.alg,
            "use": "sig",
        }

    def __repr__(self) -> str:
        return f"LocalSigner(kid={self.kid!r}, alg={self.alg!r})"

    async def sign(self, signing_input: bytes) -> bytes:
        """Return the JWS signature of ``signing_input``."""
        return self._algorithm.sign(signing_input, self._key)
