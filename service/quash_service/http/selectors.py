"""What a JSON revocation names: exactly one kind of thing, as values."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from quash.reasons import Cause

from .claims import Name
from .problems import Problem


def _as_integer(number: object) -> object:
    """To JSON 5.0 and 5 are one number, and some programs write the former."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


Seconds = Annotated[int, Field(ge=0, le=2**53, strict=True), BeforeValidator(_as_integer)]
"""An instant or a version."""
MAX_KEEP = 400


def _as_list(keep: object) -> object:
    """One session to keep may be given as itself."""
    return [keep] if isinstance(keep, str) else keep


_Kept = Annotated[tuple[str, ...], Field(max_length=MAX_KEEP)]


class _Selector(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ByToken(_Selector):
    """An access token (itself only) or a refresh token (its session)."""

    __match_args__ = ("token",)
    token: str = Field(min_length=1, max_length=16384)


class BySession(_Selector):
    """A session."""

    __match_args__ = ("session_id",)
    session_id: str = Field(min_length=1, max_length=255)


class ByJti(_Selector):
    """An access token that is not at hand. ``exp`` (s) may be an upper bound of its expiry."""

    jti: Name
    sub: Name
    exp: Seconds
    iss: Name | None = None


class ByUser(_Selector):
    """All of a user's tokens and sessions, but the refresh tokens of ``keep``.

    ``access_only`` spares every live session's refresh token: for changed roles.
    """

    sub: Name
    iss: Name | None = None
    keep: Annotated[_Kept, BeforeValidator(_as_list, json_schema_input_type=str | _Kept)] = ()
    access_only: Annotated[bool, Field(strict=True)] = False


class ByKey(_Selector):
    """A signing key, by ``kid`` or RFC 7638 ``thumbprint``."""

    kid: Name | None = None
    thumbprint: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")] | None = None
    iss: Name | None = None


class ByIssuer(_Selector):
    """All that an issuer issued at or before ``before`` (s; now when unset)."""

    issuer: Name
    before: Seconds | None = None


Selector = ByToken | BySession | ByJti | ByUser | ByKey | ByIssuer

# The member that makes a body this kind; `jti` comes with a `sub`, so it is asked for first.
_KINDS: tuple[tuple[str, type[Selector]], ...] = (
    ("token", ByToken),
    ("session_id", BySession),
    ("jti", ByJti),
    ("sub", ByUser),
    ("kid", ByKey),
    ("issuer", ByIssuer),
)


def read_selector(body: Any) -> tuple[Selector, Cause]:  # noqa: ANN401 - whatever JSON the caller sent
    """Return what a JSON body names and the cause. Raises ``invalid_body``."""
    if not isinstance(body, dict):
        raise Problem("invalid_body", "the body must be an object")
    rest = {name: value for name, value in body.items() if name != "cause"}
    kinds = [kind for member, kind in _KINDS if member in rest]
    if "thumbprint" in rest and ByKey not in kinds:
        kinds.append(ByKey)
    if ByJti in kinds and ByUser in kinds:
        kinds.remove(ByUser)
    if len(kinds) != 1:
        raise Problem("invalid_body", "name exactly one of token, session_id, jti, sub, kid or thumbprint, issuer")
    try:
        return kinds[0].model_validate(rest), read_cause(body.get("cause"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Problem("invalid_body", f"{where}: {first['msg']}") from None


def read_cause(cause: object) -> Cause:
    """Return a cause by name, ``other`` when none is stated. Raises ``invalid_body``."""
    if cause is None:
        return Cause.OTHER
    # Looked up by text only: the spelling of a list may be deeper than the stack.
    if not isinstance(cause, str) or cause not in set(Cause):
        raise Problem("invalid_body", f"cause must be one of {', '.join(Cause)}")
    return Cause(cause)
