"""Names are frozen: what another version wrote is found again, and no pair shifts into another."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quash import ids

ISSUER = "https://auth.example"


def reference(iss: str, name: str, length: int) -> bytes:
    """Compute the digest from the design's words: sha256(len(iss) ":" iss name), cut."""
    return sha256(str(len(iss)).encode() + b":" + iss.encode() + name.encode()).digest()[:length]


def text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(("iss", "name"), [(ISSUER, "alice"), ("ü", "名前"), ("1:", ""), ("a" * 255, "b" * 255)])
def test_every_name_is_the_cut_digest_that_the_design_states(iss: str, name: str) -> None:
    assert ids.user_tag(iss, name) == text(reference(iss, name, 12))
    assert ids.key_tag(iss, name) == text(reference(iss, name, 12))
    assert ids.issuer_tag(iss) == text(reference(iss, "", 12))
    assert ids.jti_id(iss, name) == reference(iss, name, 16)


def test_names_stay_what_they_were_when_they_were_published() -> None:
    assert ids.user_tag(ISSUER, "alice") == "JoyxNwCFqLZ-PI9M"
    assert ids.jti_id(ISSUER, "t-1").hex() == "a0e7d69bc8372c0f9f962bc295b53051"
    assert ids.key_tag(ISSUER, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs") == "e3tqqcJgvdqE6lNF"
    assert ids.issuer_tag(ISSUER) == "DJ_YevY09GstqdTV"
    assert ids.partition("JoyxNwCFqLZ-PI9M") == 9


@given(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))
def test_moving_the_border_between_issuer_and_name_gives_another_name(one: str, two: str, three: str) -> None:
    if two:
        assert ids.user_tag(one + two, three) != ids.user_tag(one, two + three)
        assert ids.jti_id(one + two, three) != ids.jti_id(one, two + three)


def test_a_session_id_is_the_tag_and_128_random_bits() -> None:
    tag = ids.user_tag(ISSUER, "alice")
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    sid = ids.new_session_id(tag, random_bytes)
    assert asked == [16]
    assert len(sid) == ids.SESSION_ID_LENGTH
    assert ids.is_session_id(sid)
    assert ids.session_tag(sid) == tag
    assert urlsafe_b64decode(sid[ids.TAG_LENGTH :] + "==") == bytes(range(16))


@pytest.mark.parametrize(
    "sid", ["", "a" * 37, "a" * 39, "a" * 37 + "=", "a" * 37 + "\n", "a" * 38 + "\n", "é" * 38, " " + "a" * 37]
)
def test_other_texts_are_no_session_ids(sid: str) -> None:
    assert not ids.is_session_id(sid)


@given(st.binary(min_size=12, max_size=12))
def test_the_partition_is_the_first_six_bits_of_the_hash(digest: bytes) -> None:
    assert ids.partition(text(digest)) == digest[0] >> 2


def test_the_partitions_are_all_used_and_there_are_64() -> None:
    used = {ids.partition(ids.user_tag(ISSUER, str(user))) for user in range(2000)}
    assert used == set(range(ids.PARTITIONS))
