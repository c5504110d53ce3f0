"""Minting access tokens after RFC 9068."""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from quash.errors import Unavailable
from quash_service.rotation import LiveSession

from .signer import Signer

SIGN_S = 2.0
"""How long a signer may take before the token counts as unavailable."""
REGISTERED = frozenset(
    {
        *("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "ver", "auth_time", "acr", "amr", "scope", "scp"),
        *("client_id", "typ", "cnf", "act", "azp", "nonce", "at_hash", "events"),
    }
)
"""Names that a session's own ``claims`` may not use: ours, and those with a meaning to verifiers."""


@dataclass(frozen=True, slots=True)
class Minted:
    """An access token and its remaining life in seconds."""

    token: str
    expires_in: int

    def __repr__(self) -> str:
        return f"Minted(expires_in={self.expires_in})"


class Minter:
    """Mints access tokens. Parameters: ``signer`` returns the active one, ``access_ttl_s`` the life."""

    def __init__(
        self,
        signer: Callable[[], Signer],
        *,
        issuer: str,
        audience: str,
        access_ttl_s: int,
        now_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._signer = signer
        self._issuer = issuer
        self._audience = audience
        self._access_ttl_s = access_ttl_s
        self._now_ms = now_ms
        self._random_bytes = random_bytes
        self._failed = False

    async def ready(self) -> None:
        """Try a signer that failed last time; call it before a change whose answer needs a token.

        So a refresh token is not used up while no access token can be had. Raises ``Unavailable``.
        """
        signer = self._signer()
        if self._failed:
            await self._sign(signer, b"")

    async def mint(self, session: LiveSession, scope: str | None = None) -> Minted:
        """Mint for a live session; ``scope`` narrows this token, within the session's.

        The token never outlives the session's absolute end. Raises ``Unavailable`` when the signer
        does not sign.
        """
        signer = self._signer()
        now_s = self._now_ms() // 1000
        exp = min(now_s + self._access_ttl_s, session.absolute_end // 1000)
        payload = self._payload(session, scope, now_s, exp)
        header = {"alg": signer.alg, "kid": signer.kid, "typ": "at+jwt"}
        signing_input = _part(orjson.dumps(header)) + b"." + _part(orjson.dumps(payload))
        signature = await self._sign(signer, signing_input)
        return Minted((signing_input + b"." + _part(signature)).decode(), exp - now_s)

    async def _sign(self, signer: Signer, signing_input: bytes) -> bytes:
        try:
            async with asyncio.timeout(SIGN_S):
                signature = await signer.sign(signing_input)
        except OSError as error:  # TimeoutError is one
            self._failed = True
            raise Unavailable(evidence={"signer": type(error).__name__}) from error
        self._failed = False
        return signature

    def _payload(self, session: LiveSession, scope: str | None, now_s: int, exp: int) -> dict[str, object]:
        fields = session.fields
        own: dict[str, object] = orjson.loads(fields["claims"]) if "claims" in fields else {}
        payload = {name: value for name, value in own.items() if name not in REGISTERED}
        audience = fields.get("audience", self._audience).split(" ")
        payload |= {
            "iss": self._issuer,
            "sub": fields["sub"],
            "aud": audience[0] if len(audience) == 1 else audience,
            # RFC 9068 §2.2 requires it; a session opened for no client in particular is its caller's.
            "client_id": fields.get("client_id", fields["caller"]),
            "exp": exp,
            "iat": now_s,
            "jti": _part(self._random_bytes(16)).decode(),
            "sid": session.sid,
            "ver": session.version,
        }
        granted = fields.get("scope", "") if scope is None else scope
        if granted:
            payload["scope"] = granted
        # A fresh authentication that stated none leaves them empty.
        if fields.get("acr"):
            payload["acr"] = fields["acr"]
        if fields.get("amr"):
            payload["amr"] = fields["amr"].split(" ")
        if "auth_time" in fields:
            payload["auth_time"] = int(fields["auth_time"])
        return payload


def _part(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")
