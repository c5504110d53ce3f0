"""Challenges are what RFC 6750 and RFC 9470 say, and cannot be broken out of."""

import pytest

from quash.challenges import bearer_challenge, invalid_token
from quash.reasons import Reason


def test_without_parameters_it_is_the_bare_scheme() -> None:
    assert bearer_challenge() == "Bearer"


def test_the_examples_of_rfc_6750_come_out() -> None:
    challenge = bearer_challenge(realm="example", error="invalid_token", description="The access token expired")
    assert challenge == 'Bearer realm="example", error="invalid_token", error_description="The access token expired"'


def test_a_missing_scope_names_the_scopes_that_are_needed() -> None:
    assert bearer_challenge(error="insufficient_scope", scope="a b") == 'Bearer error="insufficient_scope", scope="a b"'


def test_step_up_states_max_age_and_acr_values() -> None:
    """RFC 9470 §3."""
    challenge = bearer_challenge(error="insufficient_user_authentication", max_age_s=5, acr_values="gold silver")
    assert challenge == 'Bearer error="insufficient_user_authentication", max_age="5", acr_values="gold silver"'


def test_a_maximal_age_of_zero_is_stated() -> None:
    assert bearer_challenge(max_age_s=0) == 'Bearer max_age="0"'


def test_an_empty_value_is_stated_and_none_is_not() -> None:
    assert bearer_challenge(realm="", error=None) == 'Bearer realm=""'


def test_quotes_and_backslashes_are_escaped() -> None:
    assert bearer_challenge(realm='a"b\\c') == 'Bearer realm="a\\"b\\\\c"'


@pytest.mark.parametrize("text", ["a\r\nSet-Cookie: x=1", "a\n", "\0", "\t", "\x7f", "é", "\x85", "\u2028"])
@pytest.mark.parametrize("name", ["realm", "error", "description", "scope", "acr_values"])
def test_nothing_can_write_another_header(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        bearer_challenge(**{name: text})  # type: ignore[arg-type]  # keyword arguments by name are loose


def test_a_negative_age_is_refused() -> None:
    with pytest.raises(ValueError, match="max_age_s"):
        bearer_challenge(max_age_s=-1)


def test_a_refusal_carries_reason_evidence_and_challenge() -> None:
    error = invalid_token(Reason.UNKNOWN_KEY, "no such key", kid="k1")
    assert (error.code, str(error), error.evidence) == ("unknown_key", "no such key", {"kid": "k1"})
    assert error.challenge == 'Bearer error="invalid_token"'
