"""What a check reads, and what the answer means. No I/O: a transport asks and fills in.

One check reads the user's fields in one command and, only if one of the user's tokens was revoked
one by one and may still count, the blacklist bucket of this token in a second.
"""

from dataclasses import dataclass

from .claims import Claims
from .ids import is_session_id, partition, session_tag
from .keyspace import (
    SLACK_MS,
    Global,
    Record,
    Tombstone,
    bucket_key,
    read_number,
    unpack_session,
    unpack_version,
    user_key,
)


@dataclass(frozen=True, slots=True)
class Question:
    """What one check asks of the state: the fields ``fields`` of the hash ``key``.

    ``bucket`` is the key and ``jti16`` the field of the single revocation, ``None`` for a token
    without a ``jti``. ``partition`` is where all of it lives.
    """

    partition: int
    key: str
    fields: tuple[str | bytes, ...]
    bucket: str | None
    jti16: bytes | None


@dataclass(frozen=True, slots=True)
class State:
    """What the state says of one token's user, session and id, and of keys and issuers."""

    shared: Global
    version: int
    session: Record | Tombstone | None
    jti_revoked: bool


def question(claims: Claims) -> Question:
    """Return what must be read to judge ``claims``."""
    sid = claims.sid
    if sid is None or not is_session_id(sid) or session_tag(sid) != claims.tag:
        sid = "-"  # no session of this user's: a name that no field has
    jti16 = claims.jti16
    single = b"!" + jti16 if jti16 is not None else b"!"
    return Question(
        partition=partition(claims.tag),
        key=user_key(claims.tag),
        fields=("v", "j", sid, single),
        bucket=bucket_key(claims.tag, jti16, claims.exp) if jti16 is not None else None,
        jti16=jti16,
    )


def session_question(sid: str) -> Question:
    """Return what must be read to judge a refresh token of the session ``sid``."""
    return Question(
        partition=partition(sid), key=user_key(sid[:16]), fields=("v", "j", sid, b"!"), bucket=None, jti16=None
    )


def needs_bucket(asked: Question, answer: list[bytes | None], now_ms: int) -> bool:
    """Tell whether the bucket must be read too: a revoked token of this user may still count."""
    latest = answer[1]
    if asked.bucket is None or latest is None or not latest.isdigit():  # `decide` refuses what is no number
        return False
    return int(latest) * 1000 + 60_000 >= now_ms - SLACK_MS


def decide(shared: Global, answer: list[bytes | None], *, in_bucket: bool) -> State:
    """Turn the answer to a question into the state that the verdict judges.

    Raises ``Unavailable`` for a record of another form.
    """
    version, latest, session, single = answer
    if latest is not None:
        read_number(latest)
    return State(
        shared=shared,
        version=unpack_version(version)[0],
        session=unpack_session(session) if session is not None else None,
        jti_revoked=in_bucket or single is not None,
    )
