"""The file of signing keys: shared by processes, private, and named when it is broken."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from quash_service.tokens.files import locked
from quash_service.tokens.keyring import FILE
from tests.service_units.processes import at_once
from tests.service_units.rings import kid_in, published, ring, states, stored, tag_of


def revoke_in(folder: str, kid: str) -> list[str]:
    """One of several processes that revoke at once: returns what it publishes afterwards."""
    keys = ring(Path(folder))
    keys.revoke(tag_of(keys, kid))
    return published(keys)


def load_in(folder: str) -> list[str]:
    return published(ring(Path(folder)))


def test_another_processs_promotion_is_seen_by_the_next_signature(tmp_path: Path) -> None:
    here, there = ring(tmp_path), ring(tmp_path)
    old, new = published(here)
    there.revoke(tag_of(there, old))
    assert here.signer().kid == new
    assert (here.keys, here.jwks) == (there.keys, there.jwks)
    assert not here.refresh()


def test_a_key_that_another_process_just_made_can_be_revoked_here(tmp_path: Path) -> None:
    here, there = ring(tmp_path), ring(tmp_path)
    there.revoke(tag_of(there, there.signer().kid))
    assert here.revoke(tag_of(there, kid_in(tmp_path, "next")))
    assert states(tmp_path) == ["revoked", "active", "revoked", "next"]


def test_processes_that_start_at_once_agree_on_the_keys(tmp_path: Path) -> None:
    folder = str(tmp_path / "keys")
    first, *others = at_once("tests.service_units.test_keyring_file", "load_in", *[[folder]] * 3, cwd=tmp_path)
    assert len(first) == 2
    assert others == [first, first]


def test_two_processes_that_revoke_at_once_both_succeed(tmp_path: Path) -> None:
    keys = ring(tmp_path / "keys")
    active, waiting = published(keys)
    calls = [[str(tmp_path / "keys"), kid] for kid in (active, waiting)]
    mine, theirs = at_once("tests.service_units.test_keyring_file", "revoke_in", *calls, cwd=tmp_path)
    assert (active in mine, waiting in theirs) == (False, False)
    assert sorted(states(tmp_path / "keys")) == ["active", "next", "revoked", "revoked"]
    assert not {active, waiting} & set(published(ring(tmp_path / "keys")))
    assert keys.signer().kid not in {active, waiting}


def test_a_change_right_after_ours_is_not_taken_for_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = ring(tmp_path), ring(tmp_path)
    active, waiting = published(here)
    module = "quash_service.tokens.keyring.locked"

    @contextmanager
    def then_another(folder: Path) -> Iterator[None]:
        with locked(folder):
            yield
        monkeypatch.setattr(module, locked)
        there.revoke(tag_of(there, waiting))

    monkeypatch.setattr(module, then_another)
    here.revoke(tag_of(here, active))
    assert here.signer().kid == there.signer().kid
    assert here.jwks == there.jwks


def test_a_repr_shows_no_key(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    secrets = [row["jwk"]["d"] for row in stored(tmp_path)]
    shown = f"{keys!r} {keys.signer()!r} {keys.keys!r} {keys.stored!r} {keys.stored[0]}"
    assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "it is not JSON"),
        ('{"keys": [', "it is not JSON"),
        ("{}", "it is not {"),
        ("[]", "it is not {"),
        ('{"keys": [3]}', "it is not {"),
        ('{"keys": [{"state": "active", "since": 1, "jwk": 3}]}', "it is not {"),
        (
            '{"keys": [{"state": "active", "since": 1, "jwk": {"kty": "EC", "alg": "ES256", "kid": "k"}}]}',
            "it is not {",
        ),
        ('{"keys": [{"state": "active", "since": 1}]}', "it is not {"),
    ],
)
def test_a_broken_file_is_named_and_never_replaced(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ValueError, match=r"signing-keys\.json cannot be used: ") as error:
        ring(tmp_path)
    assert why in str(error.value)
    assert (tmp_path / FILE).read_text() == content


def test_public_keys_alone_cannot_sign_and_are_refused(tmp_path: Path) -> None:
    ring(tmp_path)
    rows = stored(tmp_path)
    for row in rows:
        del row["jwk"]["d"]
    (tmp_path / FILE).write_text(json.dumps({"keys": rows}))
    with pytest.raises(ValueError, match="with private keys"):
        ring(tmp_path)


@pytest.mark.parametrize("content", ["{", '{"keys": []}'])
def test_a_file_that_breaks_later_stops_no_signature_and_is_reported_until_it_is_mended(
    tmp_path: Path, content: str
) -> None:
    keys = ring(tmp_path)
    good = (tmp_path / FILE).read_text()
    kid = keys.signer().kid
    (tmp_path / FILE).write_text(content)
    for _ in range(2):
        assert keys.signer().kid == kid
        with pytest.raises(ValueError, match=r"signing-keys\.json cannot be used"):
            keys.refresh()
    (tmp_path / FILE).write_text(good)
    assert keys.refresh()
    assert keys.signer().kid == kid
