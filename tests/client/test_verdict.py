"""The verdict: every rule at its boundary, and the one order of them all."""

from dataclasses import replace
from typing import Any

import pytest

from quash.claims import Claims
from quash.ids import issuer_tag, key_tag, user_tag
from quash.keyspace import Global, Record, Tombstone
from quash.policy import Ask, Issuer
from quash.reader import State
from quash.reasons import Cause, Reason
from quash.verdict import claims_verdict, verdict

ISS = "https://auth.example"
POLICY = Issuer(ISS, frozenset({"ES256"}), max_access_ttl_s=600, embeds=frozenset({"sid", "ver"}))
TAG = user_tag(ISS, "bob")
SID = TAG + "x" * 22
IAT, EXP = 10_000, 10_600
NOW = 10_100_000
LONG = replace(POLICY, max_access_ttl_s=10**6)
BORN = 9_000_000
VERSION = 9_500_000


def claims(**changes: Any) -> Claims:
    good = Claims(
        policy=POLICY,
        key_tag=key_tag(ISS, "thumbprint"),
        typ="at+jwt",
        iss=ISS,
        sub="bob",
        exp=EXP,
        iat=IAT,
        nbf=None,
        jti="t1",
        aud=("orders",),
        scopes=frozenset({"read"}),
        sid=SID,
        ver=VERSION,
        auth_time=IAT,
        acr="1",
        amr=(),
        client_id=None,
        tag=TAG,
        jti16=b"0" * 16,
        all={},
    )
    return replace(good, **changes)


RECORD = Record(0, VERSION, BORN + 1_000, BORN + 1_000, NOW + 1, NOW + 1, "a", "-", 1, "0")
STONE = Tombstone(NOW * 2, NOW, Cause.LOGOUT, 1)


def state(session: Record | Tombstone | None = RECORD, *, revoked: bool = False, **shared: Any) -> State:
    return State(
        shared=Global(**{"born": BORN, "since": BORN, "keys": {}, "issuers": {}, **shared}),
        version=VERSION,
        session=session,
        jti_revoked=revoked,
    )


def judged(claims_: Claims, state_: State | None = None, ask: Ask | None = None, now_ms: int = NOW) -> Reason | None:
    return verdict(claims_, state_ or state(), now_ms, ask or Ask())


def test_a_good_token_is_active() -> None:
    assert judged(claims()) is None
    assert claims_verdict(claims(), NOW, Ask()) is None


@pytest.mark.parametrize(
    ("now_ms", "leeway", "reason"),
    [
        (EXP * 1000 - 1, 0, None),
        (EXP * 1000, 0, Reason.EXPIRED),
        (EXP * 1000 + 9_999, 10, None),
        (EXP * 1000 + 10_000, 10, Reason.EXPIRED),
    ],
)
def test_on_or_after_exp_is_too_late(now_ms: int, leeway: int, reason: Reason | None) -> None:
    live = state(replace(RECORD, idle_end=now_ms + 1, absolute_end=now_ms + 1))
    assert judged(claims(), live, Ask(leeway_s=leeway), now_ms) is reason


@pytest.mark.parametrize(
    ("nbf", "leeway", "reason"),
    [
        (NOW // 1000, 0, None),
        (NOW // 1000 + 1, 0, Reason.NOT_YET_VALID),
        (NOW // 1000 + 1, 1, None),
        (NOW // 1000 + 2, 1, Reason.NOT_YET_VALID),
    ],
)
def test_before_nbf_is_too_early(nbf: int, leeway: int, reason: Reason | None) -> None:
    assert judged(claims(nbf=nbf), ask=Ask(leeway_s=leeway)) is reason


@pytest.mark.parametrize(
    ("ahead", "leeway", "reason"),
    [
        (1, 0, None),
        (2, 0, Reason.ISSUED_IN_FUTURE),
        (3, 2, None),
        (4, 2, Reason.ISSUED_IN_FUTURE),
    ],
)
@pytest.mark.parametrize("name", ["iat", "auth_time"])
def test_an_iat_or_auth_time_ahead_by_more_than_the_issuers_skew_is_refused(
    name: str, ahead: int, leeway: int, reason: Reason | None
) -> None:
    assert judged(claims(**{name: NOW // 1000 + ahead}), ask=Ask(leeway_s=leeway)) is reason


def test_the_audience_must_be_one_that_the_issuers_list_and_this_check_accept() -> None:
    listed = claims(policy=replace(POLICY, audiences=frozenset({"orders", "billing"})))
    assert judged(listed) is None
    assert judged(replace(listed, aud=("other",))) is Reason.WRONG_AUDIENCE
    assert judged(replace(listed, aud=())) is Reason.WRONG_AUDIENCE
    assert judged(claims(aud=("x", "y")), ask=Ask(audiences=frozenset({"y"}))) is None
    assert judged(claims(), ask=Ask(audiences=frozenset({"y"}))) is Reason.WRONG_AUDIENCE
    assert judged(claims(aud=())) is None


def test_another_media_type_is_no_access_token() -> None:
    assert judged(claims(typ="logout+jwt")) is Reason.WRONG_TYPE
    assert judged(claims(typ="")) is None


def test_a_claim_that_must_have_a_value_tells_access_tokens_from_others() -> None:
    policy = replace(POLICY, require=frozenset({("token_use", "access")}))
    assert judged(claims(policy=policy, all={"token_use": "access"})) is None
    for others in ({"token_use": "id"}, {"token_use": ["access"]}, {}):
        assert judged(claims(policy=policy, all=others)) is Reason.WRONG_TYPE


@pytest.mark.parametrize(("life", "reason"), [(600, None), (601, Reason.LIFETIME_TOO_LONG)])
def test_a_lifetime_beyond_the_issuers_longest_is_refused(life: int, reason: Reason | None) -> None:
    assert judged(claims(exp=IAT + life)) is reason


def test_a_revoked_key_takes_all_its_tokens_whatever_iat_they_state() -> None:
    gone = {claims().key_tag: 1}
    assert judged(claims(iat=NOW // 1000), state(keys=gone)) is Reason.KEY_REVOKED
    assert judged(claims(key_tag=key_tag(ISS, "another")), state(keys=gone)) is None


@pytest.mark.parametrize(
    ("instant", "reason"),
    [
        (IAT * 1000 - 1, None),
        (IAT * 1000, Reason.ISSUER_REVOKED),
        (IAT * 1000 + 999, Reason.ISSUER_REVOKED),
    ],
)
def test_an_iat_at_or_before_its_issuers_instant_is_revoked(instant: int, reason: Reason | None) -> None:
    assert judged(claims(), state(issuers={issuer_tag(ISS): instant})) is reason
    assert judged(claims(), state(issuers={issuer_tag("other"): instant})) is None


def test_with_our_sid_the_session_is_judged_by_its_opening_in_ms() -> None:
    assert judged(claims(iat=BORN // 1000, policy=LONG), state(replace(RECORD, opened=BORN + 1_000))) is None
    assert judged(claims(), state(replace(RECORD, opened=BORN + 999))) is Reason.STORE_REBORN


@pytest.mark.parametrize("session", [None, STONE])
def test_with_our_sid_but_no_record_the_iat_is_judged_by_born_and_never_by_what_is_trusted(session: Any) -> None:
    trusting = state(session, since=0)
    assert judged(claims(iat=BORN // 1000, exp=NOW // 1000 + 1, policy=LONG), trusting) is Reason.STORE_REBORN
    assert judged(claims(iat=BORN // 1000 + 1, exp=NOW // 1000 + 1, policy=LONG), trusting) is not Reason.STORE_REBORN


def test_without_a_sid_the_iat_is_judged_by_what_is_trusted() -> None:
    bare = claims(sid=None, ver=None, iat=BORN // 1000, exp=NOW // 1000 + 1, policy=LONG)
    unversioned = replace(state(None), version=0)
    assert judged(bare, unversioned) is Reason.STORE_REBORN
    assert judged(bare, replace(unversioned, shared=Global(BORN, BORN - 1, {}, {}))) is None


def test_a_blacklisted_token_is_revoked() -> None:
    assert judged(claims(), state(revoked=True)) is Reason.TOKEN_REVOKED


def test_a_version_below_the_users_is_superseded_and_an_equal_or_later_one_is_not() -> None:
    assert judged(claims(ver=VERSION - 1)) is Reason.VERSION_SUPERSEDED
    assert judged(claims(ver=VERSION + 1)) is None


@pytest.mark.parametrize(
    ("iat", "reason"),
    [
        (VERSION // 1000, Reason.VERSION_SUPERSEDED),
        (VERSION // 1000 + 1, Reason.VERSION_SUPERSEDED),
        (VERSION // 1000 + 2, None),
    ],
)
def test_without_ver_an_iat_within_the_skew_of_the_versions_second_is_superseded(
    iat: int, reason: Reason | None
) -> None:
    bare = claims(ver=None, sid=None, iat=iat, exp=NOW // 1000 + 1, policy=LONG)
    assert judged(bare, state(None)) is reason


def test_without_ver_a_user_never_bumped_supersedes_nothing() -> None:
    assert judged(claims(ver=None, sid=None), replace(state(None), version=0)) is None


def test_a_sid_of_another_user_is_a_mismatch() -> None:
    assert judged(claims(sid="y" * 38), state(None)) is Reason.SESSION_MISMATCH


def test_sessions_end_by_revocation_by_time_by_absence_and_by_the_version() -> None:
    assert judged(claims(), state(STONE)) is Reason.SESSION_REVOKED
    assert judged(claims(), state(replace(RECORD, idle_end=NOW))) is Reason.SESSION_EXPIRED
    assert judged(claims(), state(replace(RECORD, absolute_end=NOW))) is Reason.SESSION_EXPIRED
    assert judged(claims(), state(None)) is Reason.SESSION_UNKNOWN
    assert judged(claims(), state(replace(RECORD, version=VERSION - 1))) is Reason.SESSION_SUPERSEDED


def test_a_missing_scope_is_insufficient() -> None:
    assert judged(claims(), ask=Ask(scopes=frozenset({"read"}))) is None
    assert judged(claims(), ask=Ask(scopes=frozenset({"read", "write"}))) is Reason.INSUFFICIENT_SCOPE


@pytest.mark.parametrize(
    ("auth_time", "max_age", "leeway", "reason"),
    [
        (NOW // 1000 - 60, 60, 0, None),
        (NOW // 1000 - 61, 60, 0, Reason.REAUTHENTICATION_REQUIRED),
        (NOW // 1000 - 61, 60, 1, None),
        (None, 10**6, 0, Reason.REAUTHENTICATION_REQUIRED),
    ],
)
def test_a_login_older_than_asked_for_or_of_unknown_age_must_be_repeated(
    auth_time: int | None, max_age: int, leeway: int, reason: Reason | None
) -> None:
    assert judged(claims(auth_time=auth_time), ask=Ask(max_age_s=max_age, leeway_s=leeway)) is reason


def test_a_login_of_none_of_the_classes_asked_for_must_be_repeated() -> None:
    assert judged(claims(), ask=Ask(acr=("2", "1"))) is None
    assert judged(claims(), ask=Ask(acr=("2",))) is Reason.REAUTHENTICATION_REQUIRED
    assert judged(claims(acr=None), ask=Ask(acr=("2",))) is Reason.REAUTHENTICATION_REQUIRED


def test_max_age_and_acr_make_a_check_critical() -> None:
    assert Ask(check="live").critical
    assert Ask(check="cached", max_age_s=0).critical
    assert Ask(check="cached", acr=("2",)).critical
    assert not Ask(check="cached", scopes=frozenset({"x"})).critical


def test_the_first_rule_that_hits_decides_in_the_published_order() -> None:
    """Break everything at once, then mend one thing after another: the reasons come in their order."""
    steps: list[tuple[Reason, dict[str, Any], dict[str, Any]]] = [
        (Reason.EXPIRED, {"exp": EXP}, {}),
        (Reason.NOT_YET_VALID, {"nbf": None}, {}),
        (Reason.ISSUED_IN_FUTURE, {"iat": 9_000}, {}),
        (Reason.WRONG_AUDIENCE, {"aud": ("orders",)}, {}),
        (Reason.WRONG_TYPE, {"typ": "at+jwt"}, {}),
        (Reason.LIFETIME_TOO_LONG, {"policy": replace(LONG, audiences=frozenset({"orders"}))}, {}),
        (Reason.KEY_REVOKED, {}, {"keys": {}}),
        (Reason.ISSUER_REVOKED, {}, {"issuers": {}}),
        (Reason.STORE_REBORN, {}, {"born": 1_000, "since": 1_000}),
        (Reason.TOKEN_REVOKED, {}, {"revoked": False}),
        (Reason.VERSION_SUPERSEDED, {"ver": VERSION}, {}),
        (Reason.SESSION_MISMATCH, {"sid": SID}, {}),
        (Reason.SESSION_REVOKED, {}, {"session": replace(RECORD, idle_end=NOW, version=1)}),
        (Reason.SESSION_EXPIRED, {}, {"session": replace(RECORD, version=1)}),
        (Reason.SESSION_SUPERSEDED, {}, {"session": RECORD}),
        (Reason.INSUFFICIENT_SCOPE, {"scopes": frozenset({"write"})}, {}),
        (Reason.REAUTHENTICATION_REQUIRED, {"auth_time": NOW // 1000}, {}),
    ]
    token: dict[str, Any] = {
        "exp": NOW // 1000,
        "nbf": NOW,
        "iat": NOW,
        "aud": ("x",),
        "typ": "x",
        "ver": 1,
        "sid": "y" * 38,
        "policy": replace(POLICY, audiences=frozenset({"orders"})),
        "auth_time": None,
    }
    token["exp"] = NOW // 1000
    known: dict[str, Any] = {
        "keys": {claims().key_tag: 1},
        "issuers": {issuer_tag(ISS): NOW * 2},
        "born": NOW,
        "since": NOW,
        "revoked": True,
        "session": STONE,
    }
    ask = Ask(scopes=frozenset({"write"}), max_age_s=1)
    for reason, mend_token, mend_state in steps:
        facts = {**known}
        assert verdict(claims(**token), state(**facts), NOW, ask) is reason
        token |= mend_token
        known |= mend_state
    assert verdict(claims(**token), state(**known), NOW, ask) is None
    order = list(Reason)
    assert [reason for reason, _, _ in steps] == sorted((reason for reason, _, _ in steps), key=order.index)
