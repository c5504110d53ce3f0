"""What a check reads, and what the answer means."""

from dataclasses import replace

import pytest

from quash.ids import jti_id, partition
from quash.keyspace import Global, Record, bucket_key, user_key
from quash.reader import decide, needs_bucket, question, session_question
from tests.client.test_verdict import EXP, SID, TAG, claims

SHARED = Global(1, 1, {}, {})


def test_one_check_reads_the_users_fields_in_one_command() -> None:
    token = claims(jti16=jti_id("iss", "t"))
    asked = question(token)
    assert (asked.partition, asked.key) == (partition(TAG), user_key(TAG))
    assert asked.fields == ("v", "j", SID, b"!" + jti_id("iss", "t"))
    assert asked.bucket == bucket_key(TAG, jti_id("iss", "t"), EXP)


@pytest.mark.parametrize("sid", [None, "v", "j", "o", "y" * 38, TAG, "!" + "x" * 37])
def test_what_is_no_session_of_this_user_reads_a_field_that_nothing_has(sid: str | None) -> None:
    assert question(claims(sid=sid)).fields[2] == "-"


def test_a_token_without_a_jti_has_no_bucket() -> None:
    asked = question(claims(jti16=None))
    assert asked.bucket is None
    assert not needs_bucket(asked, [None, b"99999999999", None, None], 0)


@pytest.mark.parametrize(("now_s", "needed"), [(0, True), (10_000 + 65, True), (10_000 + 66, False)])
def test_the_bucket_is_read_only_while_a_revoked_token_of_the_user_may_count(now_s: int, needed: bool) -> None:
    asked = question(claims())
    assert needs_bucket(asked, [None, b"10000", None, None], now_s * 1000) is needed
    assert not needs_bucket(asked, [None, None, None, None], 0)


def test_an_answer_becomes_the_state() -> None:
    packed = b"S" + (1).to_bytes(4, "big") + b"".join(n.to_bytes(6, "big") for n in (2, 3, 4, 5, 6)) + b"ab\x01" + b"0"
    full = decide(SHARED, [b"2l", b"9", packed, None], in_bucket=False)
    assert (full.version, full.session, full.jti_revoked) == (2, Record(1, 2, 3, 4, 5, 6, "a", "b", 1, "0"), False)
    assert decide(SHARED, [None, None, None, b"9"], in_bucket=False).jti_revoked
    assert decide(SHARED, [None, None, None, None], in_bucket=True).jti_revoked
    assert decide(SHARED, [None, None, None, None], in_bucket=False) == replace(full, version=0, session=None)


def test_a_refresh_token_reads_its_session() -> None:
    asked = session_question(SID)
    assert (asked.key, asked.fields[2], asked.bucket) == (user_key(TAG), SID, None)
