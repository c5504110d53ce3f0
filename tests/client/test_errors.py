"""The error tree: what is caught together, and what each error carries."""

import pytest

from quash import errors


def below(error: type[errors.QuashError]) -> set[str]:
    return {child.__name__ for child in error.__subclasses__()}


def test_the_tree_is_the_documented_one() -> None:
    assert below(errors.QuashError) == {"Unauthenticated", "Forbidden", "Unavailable"}
    assert below(errors.Unauthenticated) == {"TokenInvalid", "TokenRevoked"}
    assert below(errors.TokenInvalid) == {"TokenExpired"}
    assert below(errors.Forbidden) == {"InsufficientScope", "ReauthenticationRequired"}


def test_the_docstring_draws_every_error() -> None:
    drawn = errors.__doc__ or ""
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.QuashError):
            assert f" {name} " in f"{drawn} ".replace("\n", " ")


def test_unavailable_is_never_a_kind_of_unauthenticated() -> None:
    """Whoever logs users out on Unauthenticated must not do so because Redis is down."""
    assert not issubclass(errors.Unavailable, errors.Unauthenticated)
    assert not issubclass(errors.Unavailable, errors.Forbidden)


def test_an_error_carries_code_message_evidence_and_challenge() -> None:
    error = errors.TokenRevoked("token_revoked", "logged out", evidence={"jti": "t-1"}, challenge="Bearer")
    assert (error.code, str(error), error.evidence, error.challenge) == (
        "token_revoked",
        "logged out",
        {"jti": "t-1"},
        "Bearer",
    )


def test_without_a_message_the_code_speaks() -> None:
    assert str(errors.TokenInvalid("malformed")) == "malformed"


def test_evidence_is_a_copy_that_cannot_be_changed() -> None:
    seen: dict[str, object] = {"exp": 1}
    error = errors.TokenExpired("expired", evidence=seen)
    seen["exp"] = 2
    assert error.evidence == {"exp": 1}
    with pytest.raises(TypeError):
        error.evidence["exp"] = 3  # type: ignore[index]  # that it cannot be changed is the claim


def test_unavailable_has_its_own_code_and_no_challenge() -> None:
    error = errors.Unavailable(evidence={"node": "a"})
    assert (error.code, error.challenge, error.evidence) == ("unavailable", "", {"node": "a"})
    assert "try again" in str(error)
