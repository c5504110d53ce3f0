"""The verified contents of a token: what the verdict is made from."""

from collections.abc import Mapping
from dataclasses import dataclass

from .policy import Issuer


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a token whose signature was verified. Times are epoch seconds.

    ``key_tag`` names the key that verified (``ids.key_tag`` of issuer and RFC 7638 thumbprint),
    never what the header claimed. ``sid`` and ``ver`` are ``None`` where the issuer does not
    embed them. ``typ`` is the header's media type in lower case. ``tag`` is the user's ``h`` and
    ``jti16`` the 16-byte blacklist id, both computed once because every check needs them.
    """

    policy: Issuer
    key_tag: str
    typ: str
    iss: str
    sub: str
    exp: int
    iat: int
    nbf: int | None
    jti: str | None
    aud: tuple[str, ...]
    scopes: frozenset[str]
    sid: str | None
    ver: int | None
    auth_time: int | None
    acr: str | None
    amr: tuple[str, ...]
    client_id: str | None
    tag: str
    jti16: bytes | None
    all: Mapping[str, object]
