"""Settings: flag over environment (``QUASH_…``) over ``quash.toml`` over default.

A wrong value stops the start with its name and what it must be, and never shows a secret.
"""

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from re import compile as pattern
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from quash.policy import MAX_LEEWAY_S

from .config import ConfigRefused, IssuerConfig, Whole, read_config
from .engine import Durability, parse_durability

PREFIX = "QUASH_"
DEFAULT_FILE = "quash.toml"
_TEN_YEARS_S = 3650 * 86400
SigningAlgorithm = Literal["ES256", "RS256", "EdDSA", "HS256"]

# Names that Kubernetes gives to every container beside a Service called quash or quash-….
_SERVICE_LINK = pattern(r"QUASH_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)")
_NO_SETTING = ("QUASH_TEST_",)


class SettingsRefused(Exception):
    """A setting is wrong; the message names it and says what it must be."""


class Settings(BaseSettings):
    """Everything that can be set. Times in seconds where the name ends in ``_s``."""

    model_config = SettingsConfigDict(
        env_prefix="QUASH_", hide_input_in_errors=True, extra="forbid", frozen=True, env_ignore_empty=True
    )
    redis_url: SecretStr | None = Field(None, description="The engine; the embedded one when unset.")
    data_dir: Path = Field(Path("quash-data"), description="Where the embedded engine, keys and secrets live.")
    config: Path = Field(
        Path(DEFAULT_FILE), description="The file with settings and tables; the default may be absent."
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: Whole = Field(8400, ge=0, le=65535, description="The port to listen on.")
    workers: Whole = Field(1, ge=1, le=256, description="Worker processes.")
    tls_cert: Path | None = Field(None, description="Certificate chain (PEM) for https.")
    tls_key: Path | None = Field(None, description="Private key (PEM) for https.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    admin_secret: SecretStr | None = Field(
        None, min_length=32, description="Secret of the caller `admin`, at least 32 characters."
    )
    issuer: str = Field(
        "http://127.0.0.1:8400",
        max_length=255,
        pattern="^[!-~]+$",
        description="Our own `iss`: the URL of this service.",
    )
    audience: str | None = Field(
        None,
        max_length=255,
        pattern=r"^[^\s\p{Cc}]+( [^\s\p{Cc}]+)*$",
        description="Default `aud`, several with a space between them; the issuer when unset.",
    )
    mint: bool = Field(default=True, description="Whether access tokens are minted here.")
    algorithm: SigningAlgorithm = Field("ES256", description="What new signing keys sign with.")
    keys_dir: Path | None = Field(None, description="Keys and refresh secrets; `keys` in the data dir when unset.")
    key_rotate_days: Whole = Field(
        90, ge=1, le=3650, description="Age at which a signing key or refresh secret is followed by the next."
    )
    access_ttl_s: Whole = Field(600, ge=1, description="Life of an access token.")
    idle_ttl_s: Whole = Field(
        30 * 86400, ge=1, le=_TEN_YEARS_S, description="A session ends when not refreshed for so long."
    )
    absolute_ttl_s: Whole = Field(
        90 * 86400, ge=1, le=_TEN_YEARS_S, description="A session ends so long after its opening."
    )
    grace_s: Whole = Field(30, ge=0, le=300, description="How long a refresh may be retried.")
    max_sessions: Whole = Field(50, ge=1, le=400, description="Live sessions per user; the least recently used goes.")
    opens_per_minute: Whole = Field(
        60, ge=1, le=100_000, description="Sessions that one user may open within a minute."
    )
    max_access_ttl_s: Whole = Field(3600, ge=1, le=86400, description="Longest exp - iat that is accepted.")
    leeway_s: Whole = Field(0, ge=0, le=MAX_LEEWAY_S, description="Leeway when judging exp, nbf and iat.")
    durability: Annotated[Durability, BeforeValidator(lambda value: parse_durability(str(value)))] = Field(
        Durability.FSYNC, description="What an acknowledged write survives."
    )
    trust_tokens_since: Whole | None = Field(
        None, ge=0, le=9_999_999_999, description="Epoch seconds: accept tokens issued since, when a state is born."
    )
    audit_days: Whole = Field(30, ge=1, le=3650, description="How long audit entries are kept.")
    issuers: tuple[IssuerConfig, ...] = Field((), description="Foreign issuers (`[[issuers]]` in quash.toml).")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put flags first, then the environment, then the file that either of them names."""
        del dotenv_settings, file_secret_settings
        named = _named_file(init_settings())
        file = read_config(Path(named or DEFAULT_FILE), required=named is not None)
        return init_settings, env_settings, InitSettingsSource(settings_cls, file)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("QUASH_TLS_CERT and QUASH_TLS_KEY belong together")
        if self.access_ttl_s > self.max_access_ttl_s:
            raise ValueError("QUASH_ACCESS_TTL_S must not exceed QUASH_MAX_ACCESS_TTL_S")
        if "?" in self.issuer or "#" in self.issuer:
            raise ValueError("QUASH_ISSUER must have no query and no fragment (RFC 8414 §2)")
        names = [one.issuer for one in self.issuers]
        if self.mint:
            names.append(self.issuer)
        if len(set(names)) != len(names):
            raise ValueError("every issuer, our own included while minting is on, may be configured once")
        if not names:
            raise ValueError("with QUASH_MINT off, quash.toml must list the issuers whose tokens are judged")
        return self

    @property
    def keys_folder(self) -> Path:
        """Where keys and refresh secrets live."""
        return self.keys_dir or self.data_dir / "keys"

    @property
    def longest_access_ttl_s(self) -> int:
        """The longest lifetime that any issuer's access token may have."""
        return max((self.max_access_ttl_s, *(one.max_access_ttl_s for one in self.issuers)))


def load_settings(**flags: object) -> Settings:
    """Return the settings; ``flags`` are those that were given. Raises ``SettingsRefused``.

    A ``QUASH_…`` variable that is no setting is refused: it is one that somebody mistyped.
    """
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    unknown = list(_unknown(_environment()))
    if unknown:
        raise SettingsRefused("\n".join(unknown))
    try:
        return Settings(**given)
    except ConfigRefused as error:
        raise SettingsRefused(str(error)) from None
    except ValidationError as error:
        raise SettingsRefused("\n".join(_explain(one, given) for one in error.errors(include_input=False))) from None


def _environment() -> dict[str, str]:
    """Return the variables of ours that are not empty; letter case does not matter to pydantic-settings."""
    ours = ((name.upper(), value) for name, value in os.environ.items() if value)
    return {name: value for name, value in ours if name.startswith(PREFIX)}


def _named_file(given: Mapping[str, Any]) -> str | Path | None:
    return given.get("config") or _environment().get("QUASH_CONFIG")


def _unknown(environment: Mapping[str, str]) -> Iterable[str]:
    known = [name.upper() for name in Settings.model_fields]
    for variable in environment:
        name = variable.removeprefix(PREFIX)
        if name == "ISSUERS":
            yield f"{variable}: issuers are tables, so they go into {DEFAULT_FILE} as [[issuers]]"
        elif name not in known and not variable.startswith(_NO_SETTING) and not _SERVICE_LINK.fullmatch(variable):
            yield f"{variable}: {_no_such(name, known, PREFIX)}"


def _no_such(name: str, known: Iterable[str], prefix: str = "") -> str:
    near = get_close_matches(name, list(known), n=1)
    return "there is no such setting" + (f"; did you mean {prefix}{near[0]}?" if near else "")


_WORDS = {
    "missing": "is required",
    "path_type": "must be a path",
    "string_pattern_mismatch": "must be printable, without control characters and stray spaces",
    "too_short": "must have at least {min_length} characters",
}


def _explain(error: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Return one refusal as a sentence: where the value came from, its name, and what it must be."""
    kind, place = error["type"], error["loc"]
    message = _message(kind, error)
    if not place:
        return message
    if kind == "extra_forbidden":
        known = (Settings if len(place) == 1 else IssuerConfig).model_fields
        message = _no_such(place[-1], known)
    variable = PREFIX + place[0].upper()
    value = _environment().get(variable)
    if variable == "QUASH_PORT" and value is not None and "://" in value:
        # A Service called quash brings this variable along.
        message = (
            "Kubernetes set it, for a Service of that name: set enableServiceLinks to false, or QUASH_PORT yourself"
        )
    if value is not None or place[0] in given:
        return f"{variable}: {message}"
    return f"{_named_file(given) or DEFAULT_FILE}: {_spoken(place)}: {message}"


def _message(kind: str, error: Mapping[str, Any]) -> str:
    if kind in _WORDS:
        return _WORDS[kind].format(**error.get("ctx", {}))
    return str(error["msg"]).removeprefix("Value error, ")


def _spoken(place: tuple[str | int, ...]) -> str:
    """Return a place in the file as a person would count: the first table is number 1."""
    return " ".join(f"number {part + 1}" if isinstance(part, int) else part for part in place)
