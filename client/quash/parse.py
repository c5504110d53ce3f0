"""The strict outer shell of a token: what is refused before any cryptography.

Other parsers of the same bytes must not be able to read another token in them, so everything on
which JSON and base64 readers differ is refused: padding, loose tail bits, duplicate names,
numbers that a double cannot hold, encodings other than UTF-8, lone surrogates.
"""

from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from json import JSONDecoder, dumps
from re import compile as pattern
from typing import TypeGuard

from .challenges import invalid_token
from .errors import TokenInvalid
from .policy import ALGORITHMS
from .reasons import Reason

MAX_TOKEN_BYTES = 16 * 1024
"""The longest token that is looked at."""

MAX_DEPTH = 8
"""How deeply objects and lists may nest; the outermost object is the first level."""

MAX_NUMBER = 2**53
"""The greatest magnitude of a number: beyond it JSON readers disagree (RFC 7493 §2.2)."""

_PARTS = 3
_NAME = pattern(r"[^\x00-\x1f\x7f-\x9f]{1,255}")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URLSAFE = bytes.maketrans(b"+/", b"-_")

# Extensions that change what is signed, and headers by which a token brings its own key.
_REFUSED_HEADERS = frozenset({"crit", "b64", "jku", "jwk", "x5u", "x5c"})


@dataclass(frozen=True, slots=True)
class Unverified:
    """A well-formed token that nobody has verified yet: nothing in it may be believed.

    ``typ`` is in lower case and without ``application/``, which RFC 7515 §4.1.9 makes optional;
    ``""`` when absent. ``kid`` and ``iss`` are ``None`` when absent.
    """

    header: Mapping[str, object]
    payload: Mapping[str, object] = field(repr=False)
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    alg: str
    kid: str | None
    typ: str
    iss: str | None


def parse(raw: str | bytes) -> Unverified:
    """Return the parts of a compact JWS with a JSON payload (RFC 7515 §7.1, RFC 7519 §7.2).

    Raises ``TokenInvalid`` with ``malformed``, or with ``algorithm_not_allowed`` for ``none`` and
    every algorithm that no issuer may allow.
    """
    token = _ascii(raw)
    parts = token.split(b".")
    if len(parts) != _PARTS:
        raise _malformed("a token has three parts", parts=len(parts))
    header = _json_object(parts[0], "header")
    payload = _json_object(parts[1], "payload")
    signature = _decoded(parts[2], "signature")
    kid = _name_or_none(header, "kid")
    typ = _media_type(header)
    iss = _name_or_none(payload, "iss")
    alg = _algorithm(header)
    if not signature:
        raise _malformed("the signature is empty")
    signing_input = token[: -len(parts[2]) - 1]
    return Unverified(header, payload, signing_input, signature, alg, kid, typ, iss)


def is_name(value: object) -> TypeGuard[str]:
    """Tell whether ``value`` is a string of 1–255 characters without control characters."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _malformed(message: str, **evidence: object) -> TokenInvalid:
    return invalid_token(Reason.MALFORMED, message, **evidence)


def _ascii(raw: str | bytes) -> bytes:
    if len(raw) > MAX_TOKEN_BYTES:
        raise _malformed("the token is over 16 KiB", length=len(raw))
    if isinstance(raw, bytes):
        return raw
    if not raw.isascii():
        raise _malformed("the token has characters outside base64url")
    return raw.encode("ascii")


def _decoded(part: bytes, name: str) -> bytes:
    """Return the bytes of one part; only their one canonical encoding is accepted."""
    try:
        decoded = a2b_base64(part.translate(_TO_STANDARD) + b"==")
    except ValueError:
        decoded = b""
    # Encoding it again catches padding, foreign characters and loose tail bits alike.
    canonical = b2a_base64(decoded, newline=False).rstrip(b"=").translate(_TO_URLSAFE)
    if canonical != part:
        raise _malformed(f"the {name} is not canonical base64url (RFC 7515 §2)")
    return decoded


def _json_object(part: bytes, name: str) -> dict[str, object]:
    value = strict_json(_decoded(part, name))
    if not isinstance(value, dict):
        raise _malformed(f"the {name} is not a strict JSON object")
    if name == "header" and not _REFUSED_HEADERS.isdisjoint(value):
        refused = sorted(_REFUSED_HEADERS.intersection(value))
        raise _malformed("the header has members that are refused", headers=refused)
    return value


def strict_json(raw: bytes) -> object:
    """Return the value that ``raw`` holds, or ``None`` if it is not strict JSON.

    Not an exception: json's own carries the whole document with it.
    """
    try:
        text = raw.decode("utf-8")
        value: object = _DECODER.decode(text)
        if "\\u" in text:  # The only way in for a lone surrogate, which UTF-8 cannot write.
            dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        return None
    may_be_deep = text.count("{") + text.count("[") > MAX_DEPTH
    return None if may_be_deep and not _fits(value, MAX_DEPTH) else value


def _fits(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        return levels > 0 and all(_fits(child, levels - 1) for child in value.values())
    if isinstance(value, list):
        return levels > 0 and all(_fits(child, levels - 1) for child in value)
    return True


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _integer(text: str) -> int:
    number = int(text)
    if abs(number) > MAX_NUMBER:
        raise ValueError
    return number


def _float(text: str) -> float:
    number = float(text)
    if abs(number) > MAX_NUMBER:
        raise ValueError
    return number


def _constant(_: str) -> object:
    raise ValueError  # NaN, Infinity and -Infinity are not JSON.


_DECODER = JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant)


def _name_or_none(members: Mapping[str, object], name: str) -> str | None:
    if name not in members:
        return None
    value = members[name]
    if not is_name(value):
        raise _malformed(f"{name} is not a string of 1-255 characters", claim=name)
    return value


def _media_type(header: Mapping[str, object]) -> str:
    typ = header.get("typ", "")
    # Lower-casing beyond ASCII maps foreign letters onto ours.
    if not isinstance(typ, str) or not typ.isascii():
        raise _malformed("typ is not a media type")
    short = typ.lower().removeprefix("application/")
    return typ.lower() if "/" in short else short


def _algorithm(header: Mapping[str, object]) -> str:
    alg = header.get("alg")
    if not isinstance(alg, str):
        raise _malformed("alg is missing or not a string (RFC 7515 §4.1.1)")
    if alg not in ALGORITHMS:
        raise invalid_token(Reason.ALGORITHM_NOT_ALLOWED, "no issuer may use this algorithm", alg=alg[:32])
    return alg
