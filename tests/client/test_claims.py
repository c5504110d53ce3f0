"""The claims of a well-signed token: which must be there, and of what type each must be."""

from dataclasses import replace

import pytest

from quash import ids
from tests.client.checking import POLICY, refusal, refused_claims, verified
from tests.client.minting import ISSUER, claims, mint

OURS = replace(POLICY, embeds=frozenset({"sid", "ver"}), audiences=frozenset({"orders"}))
SID = ids.new_session_id(ids.user_tag(ISSUER, "alice"), bytes)


@pytest.mark.parametrize("name", ["iss", "sub", "exp", "iat", "jti"])
def test_required_claims_are_required(name: str) -> None:
    assert refused_claims(**{name: ...}) == ("missing_claim", name)


def test_the_audience_is_required_where_the_issuer_has_one() -> None:
    assert verified(mint(claims(aud=...))).aud == ()
    assert refused_claims(replace(POLICY, audiences=frozenset({"orders"})), aud=...) == ("missing_claim", "aud")


def test_jti_may_be_absent_where_the_issuer_has_none() -> None:
    policy = replace(POLICY, has_jti=False)
    result = verified(mint(claims(jti=...)), policy)
    assert (result.jti, result.jti16) == (None, None)
    assert verified(mint(claims()), policy).jti == "t-1"
    assert refused_claims(policy, jti=7) == ("malformed", "jti")


@pytest.mark.parametrize("name", ["sid", "ver"])
def test_embedded_claims_are_required(name: str) -> None:
    assert refused_claims(OURS, **{"sid": SID, "ver": 1, name: ...}) == ("missing_claim", name)


def test_embedded_claims_are_passed_on_whoever_they_name() -> None:
    """Whether the sid is the user's own is the verdict's to say: session_mismatch."""
    result = verified(mint(claims(sid=SID, ver=0)), OURS)
    assert (result.sid, result.ver) == (SID, 0)
    assert verified(mint(claims(sid="not ours", ver=2**53)), OURS).sid == "not ours"


@pytest.mark.parametrize(("sid", "ver"), [("foreign", 3), (17, True), (None, None), ([], {})])
def test_sid_and_ver_of_other_issuers_are_ignored(sid: object, ver: object) -> None:
    result = verified(mint(claims(sid=sid, ver=ver)))
    assert (result.sid, result.ver) == (None, None)


def test_sid_alone_may_be_embedded() -> None:
    policy = replace(POLICY, embeds=frozenset({"sid"}))
    result = verified(mint(claims(sid=SID, ver="mine")), policy)
    assert (result.sid, result.ver) == (SID, None)


@pytest.mark.parametrize("value", [-1, True, False, 1.0, "1", None, []])
def test_a_version_is_an_integer_of_at_least_0(value: object) -> None:
    assert refused_claims(OURS, sid=SID, ver=value) == ("malformed", "ver")


@pytest.mark.parametrize("value", [1, None, [], {}, True])
def test_an_embedded_sid_is_a_string(value: object) -> None:
    assert refused_claims(OURS, sid=value, ver=1) == ("malformed", "sid")


@pytest.mark.parametrize("name", ["sub", "jti"])
@pytest.mark.parametrize("value", [1, None, True, [], {}, "", "a\nb", "\0", "a\x7f", "\x9f", "a" * 256])
def test_sub_and_jti_are_names(name: str, value: object) -> None:
    assert refused_claims(**{name: value}) == ("malformed", name)


@pytest.mark.parametrize("name", ["sub", "jti"])
@pytest.mark.parametrize("value", ["a", "a" * 255, "ü|名前 😀", " "])
def test_names_may_be_long_and_foreign(name: str, value: str) -> None:
    result = verified(mint(claims(**{name: value})))
    assert getattr(result, name) == value
    assert result.tag == ids.user_tag(ISSUER, result.sub)
    assert result.jti16 == ids.jti_id(ISSUER, result.jti or "")


@pytest.mark.parametrize("name", ["exp", "iat", "nbf", "auth_time"])
@pytest.mark.parametrize("value", [-1, -0.5, True, False, None, "1900000000", [], {}])
def test_times_are_numbers_of_at_least_0(name: str, value: object) -> None:
    assert refused_claims(**{name: value}) == ("malformed", name)


@pytest.mark.parametrize("name", ["exp", "iat", "nbf", "auth_time"])
def test_fractions_of_seconds_are_rounded_down(name: str) -> None:
    """RFC 7519 §2 allows them."""
    for value, read in ((1_900_000_000.0, 1_900_000_000), (1_900_000_000.999, 1_900_000_000), (0, 0), (0.9, 0)):
        seconds = getattr(verified(mint(claims(**{name: value}))), name)
        assert seconds == read
        assert type(seconds) is int


@pytest.mark.parametrize(
    ("value", "read"), [("a", ("a",)), (["a", "b"], ("a", "b")), ([], ()), ("", ("",)), (["a b"], ("a b",))]
)
def test_the_audience_is_a_string_or_a_list_of_strings(value: object, read: tuple[str, ...]) -> None:
    assert verified(mint(claims(aud=value))).aud == read


@pytest.mark.parametrize("value", [1, None, True, {}, {"a": 1}, ["a", 1], [["a"]], [None]])
def test_other_audiences_are_malformed(value: object) -> None:
    assert refused_claims(aud=value) == ("malformed", "aud")


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({}, set()),
        ({"scope": ""}, set()),
        ({"scope": "read write"}, {"read", "write"}),
        ({"scope": " read  write "}, {"read", "write"}),
        ({"scope": "a\u00a0admin b\tadmin"}, {"a\u00a0admin", "b\tadmin"}),
        ({"scope": ["read", "write"]}, {"read", "write"}),
        ({"scp": ["read", "write"]}, {"read", "write"}),
        ({"scp": "read write"}, {"read", "write"}),
        ({"scope": "read", "scp": ["admin"]}, {"read"}),
        ({"scope": "", "scp": ["admin"]}, set()),
        ({"scope": ["a b"]}, {"a b"}),
    ],
)
def test_scopes_are_separated_by_spaces_or_listed(changes: dict[str, object], read: set[str]) -> None:
    assert verified(mint(claims(**changes))).scopes == read


@pytest.mark.parametrize("value", [1, None, True, {}, ["a", 1]])
def test_other_scopes_are_malformed(value: object) -> None:
    assert refused_claims(scope=value) == ("malformed", "scope")
    assert refused_claims(scp=value) == ("malformed", "scp")


@pytest.mark.parametrize("name", ["acr", "client_id"])
@pytest.mark.parametrize("value", [1, None, [], {}])
def test_acr_and_client_id_are_strings(name: str, value: object) -> None:
    assert getattr(verified(mint(claims(**{name: "x"}))), name) == "x"
    assert refused_claims(**{name: value}) == ("malformed", name)


@pytest.mark.parametrize("value", ["pwd", 1, None, {}, ["pwd", 1]])
def test_amr_is_the_strings_of_a_list_and_nothing_is_judged_by_it(value: object) -> None:
    assert verified(mint(claims(amr=["pwd", {"method": "otp"}, "otp"]))).amr == ("pwd", "otp")
    assert {type(one) for one in verified(mint(claims(amr=value))).amr} <= {str}


def test_what_is_absent_is_none_or_empty() -> None:
    result = verified(mint(claims(aud=...)))
    assert (result.nbf, result.auth_time, result.acr, result.client_id) == (None, None, None, None)
    assert (result.amr, result.aud, result.scopes) == ((), (), frozenset())


def test_clock_audience_type_and_lifetime_are_left_to_the_verdict() -> None:
    """A cached signature must judge them again, so they cannot be judged here once."""
    long_ago = verified(
        mint(claims(exp=2, iat=1, nbf=2**40, aud="other"), typ="dpop+jwt"), replace(OURS, embeds=frozenset())
    )
    assert (long_ago.exp, long_ago.iat, long_ago.typ) == (2, 1, "dpop+jwt")


def test_all_claims_are_kept_and_cannot_be_changed() -> None:
    """They are shared by everyone who sees the cached token."""
    result = verified(mint(claims(roles=["a"])))
    assert result.all == claims(roles=["a"])
    with pytest.raises(TypeError):
        result.all["sub"] = "bob"  # type: ignore[index]  # that it cannot be changed is the claim


def test_no_refusal_tells_the_value_of_a_claim_of_wrong_type() -> None:
    error = refusal(mint(claims(sub=["s3cret"])))
    assert "s3cret" not in f"{error}{error.evidence}"
    assert error.challenge == 'Bearer error="invalid_token"'
