"""``quash.toml``: reading the file, and its tables of foreign issuers."""

import json
import tomllib
from pathlib import Path
from re import fullmatch
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from quash.jwks_http import refusal_of
from quash.keys import Key, KeyRefused, keys_from_jwks
from quash.parse import is_name
from quash.policy import ALGORITHMS, Issuer

PATHS = ("data_dir", "keys_dir", "tls_cert", "tls_key")
"""The settings that are paths: in the file they are relative to the file's own folder."""


class ConfigRefused(ValueError):
    """The file cannot be read; the message names it and shows nothing of its content."""


def read_config(path: Path, *, required: bool) -> dict[str, Any]:
    """Return the file's settings, none if it is absent and not ``required``. Raises ``ConfigRefused``."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            raise ConfigRefused(f"{path}: there is no such file") from None
        return {}
    except OSError as error:
        raise ConfigRefused(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigRefused(f"{path} is not TOML: {error}") from None
    if "config" in document:
        raise ConfigRefused(f"{path}: config: a file cannot name another one")
    return _anchored(document, path.parent)


def _anchored(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the paths in the file relative to its folder: a service's working directory is rarely that."""
    tables = document.get("issuers")
    issuers = [one for one in tables if isinstance(one, dict)] if isinstance(tables, list) else []
    for holder, names in ((document, PATHS), *((one, ("keys",)) for one in issuers)):
        for name in names:
            if isinstance(holder.get(name), str):
                holder[name] = folder / holder[name]
    return document


def _whole(value: object) -> object:
    """Refuse what Python would take for an integer and a person would not: ``true``, ``1_0``, ``1.0``."""
    if isinstance(value, bool) or (isinstance(value, str) and not fullmatch(r"-?[0-9]+", value.strip())):
        raise ValueError("must be a whole number")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
"""An integer, from the environment or from the file."""


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError("must be 1-255 characters without control characters")
    return text


def _known(names: frozenset[str]) -> frozenset[str]:
    unknown = names - ALGORITHMS
    if unknown or not names:
        raise ValueError(f"must be some of {', '.join(sorted(ALGORITHMS))}")
    return names


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Name = Annotated[str, AfterValidator(_name)]


class IssuerConfig(BaseModel):
    """One ``[[issuers]]`` table: somebody else's tokens that can be introspected and revoked here.

    Its keys are published at ``jwks_uri``, or lie in the file ``keys``; symmetric ones only in the
    file, because that is ours to keep secret.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: Name = Field(description="The tokens' `iss`.")
    jwks_uri: str | None = Field(None, description="Where it publishes its keys: https, or http on loopback.")
    keys: Path | None = Field(
        None,
        description="Instead of `jwks_uri`: a JWK Set file of public keys, or of HMAC secrets kept secret.",
    )
    algorithms: Annotated[frozenset[str], AfterValidator(_known)] = Field(
        frozenset({"RS256", "ES256"}), description="The only algorithms that it may sign with."
    )
    audience: Annotated[tuple[Name, ...], BeforeValidator(_listed)] = Field(
        (), description="The `aud` values of which a token must have one; none is demanded when empty."
    )
    max_access_ttl_s: Whole = Field(3600, ge=1, le=86400, description="Longest exp - iat that is accepted.")
    skew_s: Whole = Field(1, ge=0, le=60, description="How far its clock may be from ours.")
    has_jti: bool = Field(default=True, description="Off: its tokens have no `jti` and cannot be revoked one by one.")
    require: dict[Name, str] = Field(
        {}, description="Claims that must have these values, where `typ` does not tell its access tokens from others."
    )
    embeds: frozenset[Literal["sid", "ver"]] = Field(
        frozenset(), description="Which of our claims it puts into its tokens; listed ones are required."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.jwks_uri is None) == (self.keys is None):
            raise ValueError("needs either jwks_uri or keys")
        if self.jwks_uri is not None:
            refusal = refusal_of(self.jwks_uri)
            if refusal is not None:
                raise ValueError(f"jwks_uri cannot be used: {refusal}")
            if any(name.startswith("HS") for name in self.algorithms):
                raise ValueError("HMAC secrets are never published: HS algorithms need keys, not jwks_uri")
        return self

    def policy(self) -> Issuer:
        """Return what is accepted from this issuer."""
        return Issuer(
            issuer=self.issuer,
            algorithms=self.algorithms,
            audiences=frozenset(self.audience),
            max_access_ttl_s=self.max_access_ttl_s,
            skew_s=self.skew_s,
            has_jti=self.has_jti,
            embeds=frozenset(self.embeds),
            require=frozenset(self.require.items()),
        )

    def load_keys(self) -> tuple[Key, ...]:
        """Return the keys of the issuer's file, weak ones marked; none where it publishes them.

        Raises ``KeysRefused`` naming the file and what is wrong.
        """
        if self.keys is None:
            return ()
        try:
            document: Any = json.loads(self.keys.read_bytes())
        except OSError as error:
            raise self._refused(error.strerror or type(error).__name__) from None
        except (ValueError, RecursionError):
            raise self._refused("it is not JSON") from None
        try:
            keys = keys_from_jwks(
                document, issuer=self.issuer, algorithms=self.algorithms, allow_symmetric=True, on_refused=_refuse
            )
        except KeyRefused as error:
            raise self._refused(error.message) from None
        if not keys:
            raise self._refused("there is no key in it")
        return keys

    def _refused(self, why: str) -> "KeysRefused":
        return KeysRefused(f"the keys of issuer {self.issuer} in {self.keys} cannot be used: {why}")


class KeysRefused(ValueError):
    """An issuer's key file is missing or wrong; the message names it and never shows its content."""


def _refuse(refusal: KeyRefused) -> None:
    """A key that its own operator configured and that cannot be used is a mistake to mend, not to skip."""
    raise refusal
