"""Reason and cause codes are published: their values and their order do not change."""

from quash.reasons import INSUFFICIENT, Cause, Reason

PUBLISHED = """
malformed algorithm_not_allowed weak_key unknown_issuer unknown_key bad_signature missing_claim
expired not_yet_valid issued_in_future wrong_audience wrong_type lifetime_too_long
key_revoked issuer_revoked store_reborn token_revoked version_superseded
session_mismatch session_revoked session_expired session_unknown session_superseded
insufficient_scope reauthentication_required
"""


def test_the_reasons_and_their_order_are_the_published_ones() -> None:
    assert [str(reason) for reason in Reason] == PUBLISHED.split()


def test_a_reason_is_its_code() -> None:
    code: str = Reason.BAD_SIGNATURE
    assert code == f"{code}" == "bad_signature"


def test_the_last_two_reasons_mean_active_but_not_enough() -> None:
    assert set(list(Reason)[-2:]) == INSUFFICIENT


def test_the_causes_are_the_published_ones() -> None:
    published = "logout password_change permissions_changed admin account_disabled reuse detection evicted compromised"
    assert [str(cause) for cause in Cause] == [*published.split(), "other"]
