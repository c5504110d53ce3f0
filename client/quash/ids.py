"""Names of users, sessions, tokens and keys, and the partition that each lives in.

Lengths are prefixed wherever two strings are hashed together, so that no pair of them can be
shifted into another pair with the same hash.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from re import compile as pattern

PARTITIONS = 64
TAG_LENGTH = 16
SESSION_ID_LENGTH = 38

_SESSION_ID = pattern(r"[A-Za-z0-9_-]{38}")


def _digest(iss: str, name: str) -> bytes:
    return sha256(f"{len(iss)}:{iss}{name}".encode()).digest()


def _b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def user_tag(iss: str, sub: str) -> str:
    """Return ``h``, the 16-character tag of the user (``iss``, ``sub``)."""
    return _b64(_digest(iss, sub)[:12])


def jti_id(iss: str, jti: str) -> bytes:
    """Return the 16 bytes under which (``iss``, ``jti``) stands on the blacklist."""
    return _digest(iss, jti)[:16]


def key_tag(iss: str, thumbprint: str) -> str:
    """Return the 16-character tag of a key: its issuer and RFC 7638 thumbprint."""
    return _b64(_digest(iss, thumbprint)[:12])


@lru_cache(maxsize=256)  # every check asks for one of a few
def issuer_tag(iss: str) -> str:
    """Return the 16-character tag of an issuer."""
    return _b64(_digest(iss, "")[:12])


def new_session_id(tag: str, random_bytes: Callable[[int], bytes]) -> str:
    """Return a fresh ``sid`` of the user ``tag``: the tag and 22 characters of 128 random bits."""
    return tag + _b64(random_bytes(16))


def is_session_id(text: str) -> bool:
    """Tell whether ``text`` has the form of one of our session ids."""
    return _SESSION_ID.fullmatch(text) is not None


def session_tag(sid: str) -> str:
    """Return the user's tag that a session id begins with."""
    return sid[:TAG_LENGTH]


def partition(tag: str) -> int:
    """Return the partition 0–63 of a user: the first six bits of the hash in the tag."""
    return _SIXBIT[tag[0]]


_SIXBIT = {
    letter: value for value, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
}
