"""What reads the state's records: whatever is stored is read, or is unavailable; never a crash."""

from collections.abc import Mapping
from contextlib import suppress

from quash.errors import Unavailable
from quash.keyspace import (
    Global,
    Record,
    Tombstone,
    read_number,
    unpack_revoked,
    unpack_session,
    unpack_version,
)
from quash.reader import Question, decide, needs_bucket
from quash_service.callers import Caller
from quash_service.rotation import read_fields, read_live, read_rotation, read_step_up
from quash_service.store.floor import merge_revoked
from tests.fuzz.mutations import Target
from tests.fuzz.tokens import SID, STATE


def _six(number: int) -> bytes:
    return number.to_bytes(6, "big")


RECORD = b"S" + bytes((0, 0, 0, 2)) + b"".join(map(_six, (3, 10, 20, 30, 40))) + b"aa" + b"\0" + b"0"
TOMBSTONE = b"T" + _six(10**12) + _six(10**11) + b"l" + b"\0"
REVOKED = b"k" + b"T" * 16 + _six(10**12) + b"a" + b"i" + b"I" * 16 + _six(10**12) + b"c"
METADATA = b"\n".join(
    (b"iss", b"https://a", b"sub", b"bob", b"caller", b"web", b"claims", b'{"a":1}', b"auth_time", b"5")
)
REPLY = b"\n".join((b"rotated", b"1", b"a", b"0", b"1900000000000", b"1900000000000", METADATA))


def any_session(data: bytes) -> None:
    """A field is a record or a tombstone of exactly its length, or unavailable."""
    try:
        found = unpack_session(data)
    except Unavailable as error:
        assert error.evidence["state"] == "corrupt"  # noqa: PT017 - any other error is the finding
        assert data[:1] + str(len(data)).encode() != b"S39"
    else:
        assert isinstance(found, Record if data[:1] == b"S" else Tombstone)


def any_version(data: bytes) -> None:
    """A version is digits and the letter of a cause."""
    try:
        version, _ = unpack_version(data)
    except Unavailable:
        return
    assert version == int(data[:-1]) >= 0
    assert data[:-1].isdigit()


def any_number(data: bytes) -> None:
    """A number is digits."""
    try:
        assert read_number(data) >= 0
    except Unavailable:
        assert not (data.isdigit() and len(data) <= 16)


def any_revocations(data: bytes) -> None:
    """Not one revocation is lost quietly, also not in a union."""
    try:
        keys, issuers = unpack_revoked(data)
    except Unavailable:
        try:
            merge_revoked([REVOKED, data])
        except Unavailable:
            return
        raise AssertionError("a damaged list was taken over") from None
    union_keys, union_issuers = unpack_revoked(merge_revoked([REVOKED, data, data]))
    assert union_keys.keys() >= keys.keys()
    assert union_issuers.keys() >= issuers.keys()
    assert {name: max(union_keys[name], at) for name, at in keys.items()} == {name: union_keys[name] for name in keys}


def any_answer(data: bytes) -> None:
    """An answer to a check becomes a state, or is unavailable."""
    stored: list[bytes | None] = [one or None for one in [*data.split(b"\n"), b"", b"", b"", b""][:4]]
    asked = Question(0, "u", ("v", "j", "s", b"!"), "bucket", b"x" * 16)
    needs_bucket(asked, stored, 1)
    try:
        state = decide(STATE, stored, in_bucket=False)
    except Unavailable:
        return
    assert isinstance(state.shared, Global)
    assert state.jti_revoked == (stored[3] is not None)


def any_reply(data: bytes) -> None:
    """A script's answer names a session and its owner, or is unavailable."""
    reply = data.split(b"\n")
    for read in (read_rotation, read_step_up):
        with suppress(Unavailable):
            read(SID, reply)
    with suppress(Unavailable):
        assert {"iss", "sub", "caller"} <= read_live(SID, reply).fields.keys()


def any_metadata(data: bytes) -> None:
    """Metadata says whose the session is, or is unavailable."""
    parts = data.split(b"\n")
    try:
        found = read_fields(dict(zip(parts[::2], parts[1::2], strict=False)))
    except Unavailable:
        return
    assert {"iss", "sub", "caller"} <= found.keys()


def any_caller(data: bytes) -> None:
    """A caller's record is one, or is refused."""
    try:
        found = Caller.from_json("name", data)
    except (ValueError, RecursionError):
        return
    assert Caller.from_json("name", found.to_json().encode()) == found


_CALLER = Caller("name", "0" * 64, frozenset({"introspect", "revoke"}), frozenset({"https://a"})).to_json().encode()
TARGETS: Mapping[str, Target] = {
    "session": (any_session, (RECORD, TOMBSTONE)),
    "version": (any_version, (b"0o", b"1900000000000p")),
    "number": (any_number, (b"0", b"1900000000000")),
    "revocations": (any_revocations, (REVOKED, REVOKED * 3, b"")),
    "answer": (any_answer, (b"3o\n1900000000\n" + RECORD, b"3o\n\n" + TOMBSTONE, b"\n\n\nx", b"3o\n1\n\n1900000000")),
    "reply": (
        any_reply,
        (REPLY, b"reused\nlikely_theft", b"ended\nl", b"ended\nexpired", b"junk", b"stepped" + REPLY[7:]),
    ),
    "metadata": (any_metadata, (METADATA,)),
    "caller": (any_caller, (_CALLER,)),
}
