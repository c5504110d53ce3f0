"""The tables of ``quash.toml``: foreign issuers."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from quash.keys import Key, KeyRefused, keys_from_jwks
from quash.policy import ALGORITHMS, Issuer


def _known(names: frozenset[str]) -> frozenset[str]:
    unknown = names - ALGORITHMS
    if unknown or not names:
        raise ValueError(f"must be some of {', '.join(sorted(ALGORITHMS))}")
    return names


class IssuerConfig(BaseModel):
    """One ``[[issuers]]`` table: somebody else's tokens that can be introspected and revoked here.

    ``keys`` is the path of a JWK Set file; symmetric keys are allowed in it, because it is ours to
    keep secret. ``embeds`` lists which of our claims (``sid``, ``ver``) the issuer puts in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(min_length=1, max_length=255)
    keys: Path
    algorithms: Annotated[frozenset[str], AfterValidator(_known)] = frozenset({"RS256", "ES256"})
    audience: tuple[str, ...] | str = ()
    max_access_ttl_s: int = Field(3600, ge=1, le=86400)
    skew_s: int = Field(1, ge=0, le=60)
    has_jti: bool = True
    embeds: frozenset[Annotated[str, Field(pattern="^(sid|ver)$")]] = frozenset()

    def policy(self) -> Issuer:
        """Return what is accepted from this issuer."""
        return Issuer(
            issuer=self.issuer,
            algorithms=self.algorithms,
            audiences=frozenset((self.audience,) if isinstance(self.audience, str) else self.audience),
            max_access_ttl_s=self.max_access_ttl_s,
            skew_s=self.skew_s,
            has_jti=self.has_jti,
            embeds=self.embeds,
        )

    def load_keys(self) -> tuple[Key, ...]:
        """Return the issuer's keys. Raises ``KeysRefused`` naming the file and what is wrong."""
        try:
            document: Any = json.loads(self.keys.read_text())
            return keys_from_jwks(
                document,
                issuer=self.issuer,
                algorithms=self.algorithms,
                allow_symmetric=True,
                on_refused=_refuse,
            )
        except (OSError, ValueError) as error:
            message = error.message if isinstance(error, KeyRefused) else type(error).__name__
            raise KeysRefused(f"the keys of issuer {self.issuer} in {self.keys} cannot be used: {message}") from None


class KeysRefused(Exception):
    """An issuer's key file is missing or wrong; the message names it and never shows its content."""


def _refuse(refusal: KeyRefused) -> None:
    """A key that its own operator configured and that cannot be used is a mistake to mend, not to skip."""
    raise refusal
