"""Settings: flag over environment (``QUASH_…``) over ``quash.toml`` over default.

A wrong value stops the start with its name and what it must be, and never shows a secret.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from quash.policy import MAX_LEEWAY_S

from .config import IssuerConfig
from .engine import Durability

SigningAlgorithm = Literal["ES256", "RS256", "EdDSA"]


class SettingsRefused(Exception):
    """A setting is wrong; the message names it and says what it must be."""


class Settings(BaseSettings):
    """Everything that can be set. Times in seconds where the name ends in ``_s``."""

    model_config = SettingsConfigDict(
        env_prefix="QUASH_", hide_input_in_errors=True, extra="forbid", frozen=True, env_ignore_empty=True
    )
    redis_url: SecretStr | None = Field(None, description="The engine; the embedded one when unset.")
    data_dir: Path = Field(Path("quash-data"), description="Where the embedded engine, keys and secrets live.")
    config: Path = Field(Path("quash.toml"), description="The file with tables, if it exists.")
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8400, ge=0, le=65535, description="The port to listen on.")
    workers: int = Field(1, ge=1, le=256, description="Worker processes.")
    tls_cert: Path | None = Field(None, description="Certificate chain (PEM) for https.")
    tls_key: Path | None = Field(None, description="Private key (PEM) for https.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    admin_secret: SecretStr | None = Field(
        None, min_length=32, description="Secret of the caller `admin`, at least 32 characters."
    )
    issuer: str = Field("http://127.0.0.1:8400", min_length=1, max_length=255, description="Our own `iss`.")
    audience: str | None = Field(
        None, min_length=1, max_length=255, description="Default `aud`; the issuer when unset."
    )
    mint: bool = Field(default=True, description="Whether access tokens are minted here.")
    algorithm: SigningAlgorithm = Field("ES256", description="What new signing keys sign with.")
    keys_dir: Path | None = Field(None, description="Keys and refresh secrets; `keys` in the data dir when unset.")
    access_ttl_s: int = Field(600, ge=1, description="Life of an access token.")
    idle_ttl_s: int = Field(30 * 86400, ge=1, description="A session ends when not refreshed for so long.")
    absolute_ttl_s: int = Field(90 * 86400, ge=1, description="A session ends so long after its opening.")
    grace_s: int = Field(30, ge=0, le=300, description="How long a refresh may be retried.")
    max_sessions: int = Field(50, ge=1, le=400, description="Live sessions per user; the least recently used goes.")
    opens_per_minute: int = Field(60, ge=1, description="Sessions that one user may open within a minute.")
    max_access_ttl_s: int = Field(3600, ge=1, le=86400, description="Longest exp - iat that is accepted.")
    leeway_s: int = Field(0, ge=0, le=MAX_LEEWAY_S, description="Leeway when judging exp, nbf and iat.")
    durability: Durability = Field(Durability.FSYNC, description="What an acknowledged write survives.")
    trust_tokens_since: int | None = Field(
        None, ge=0, description="Epoch seconds: accept tokens issued since, when a state is born."
    )
    audit_days: int = Field(30, ge=1, description="How long audit entries are kept.")
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
        named = {**env_settings(), **init_settings()}.get("config", "quash.toml")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(named))

    @field_validator("tls_key")
    @classmethod
    def _tls_whole(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if (value is None) != (info.data.get("tls_cert") is None):
            raise ValueError("QUASH_TLS_CERT and QUASH_TLS_KEY belong together")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.access_ttl_s > self.max_access_ttl_s:
            raise ValueError("QUASH_ACCESS_TTL_S must not exceed QUASH_MAX_ACCESS_TTL_S")
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
    """Return the settings; ``flags`` are those that were given. Raises ``SettingsRefused``."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = (_explain(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors())
        raise SettingsRefused("\n".join(lines)) from None


def _explain(name: str, message: str) -> str:
    return f"QUASH_{name.upper()}: {message}" if name else message.removeprefix("Value error, ")
