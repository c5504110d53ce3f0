"""Access tokens signed inside an HSM: a `Signer` on PKCS#11, and the service with it.

    python pkcs11_signer.py                            # make the key, once
    uvicorn --factory pkcs11_signer:app --port 8400    # serve

The environment says where the key is: PKCS11_MODULE (the HSM's library), PKCS11_TOKEN (the token's
label), PKCS11_PIN, PKCS11_KEY (the key's label, `quash` when unset), beside the QUASH_… settings.
"""

import asyncio
import os
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pkcs11
from fastapi import FastAPI
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.types import SignMixin
from pkcs11.util.ec import encode_named_curve_parameters

from quash.keys import thumbprint
from quash_service.app import create_app
from quash_service.logs import configure
from quash_service.settings import load_settings


def _session(*, writes: bool = False) -> pkcs11.Session:
    token = pkcs11.lib(os.environ["PKCS11_MODULE"]).get_token(token_label=os.environ["PKCS11_TOKEN"])
    return token.open(user_pin=os.environ["PKCS11_PIN"], rw=writes)


def _label() -> str:
    return os.environ.get("PKCS11_KEY", "quash")


def make_key() -> None:
    """Make a P-256 key that never leaves the token."""
    with _session(writes=True) as session:
        curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
        parameters.generate_keypair(label=_label(), store=True)


class Pkcs11Signer:
    """Signs ES256 with a key on a token. It satisfies `quash_service.tokens.signer.Signer`."""

    alg = "ES256"

    def __init__(self) -> None:
        self._session = _session()
        key = self._session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=_label())
        if not isinstance(key, SignMixin):
            raise TypeError(f"the key {_label()} cannot sign")
        self._key = key
        # A session does one thing at a time, and waiting for the token must not stop the service.
        self._thread = ThreadPoolExecutor(1, "pkcs11")
        public = self._session.get_key(object_class=ObjectClass.PUBLIC_KEY, label=_label())
        point = public[Attribute.EC_POINT]  # an octet string that ends with x and y
        jwk = {"kty": "EC", "crv": "P-256", "x": _text(point[-64:-32]), "y": _text(point[-32:])}
        self.kid = thumbprint(jwk)
        self.jwk: Mapping[str, object] = {**jwk, "kid": self.kid, "alg": self.alg, "use": "sig"}

    async def sign(self, signing_input: bytes) -> bytes:
        """Return r and s, 64 bytes. The hash is made here: tokens know the bare ECDSA best."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._sign, sha256(signing_input).digest()
        )

    def _sign(self, digest: bytes) -> bytes:
        try:
            return bytes(self._key.sign(digest, mechanism=Mechanism.ECDSA))
        except pkcs11.PKCS11Error as error:
            raise OSError(f"the token does not sign: {type(error).__name__}") from error


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def app() -> FastAPI:
    """Return the service (uvicorn's factory)."""
    settings = load_settings()
    configure(settings.log_level)
    return create_app(settings, signer=Pkcs11Signer())


if __name__ == "__main__":
    make_key()
