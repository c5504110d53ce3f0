"""Our signing keys: their life, and that no process misses what another one did to them."""

import json
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest

from quash.keys import KeySet
from quash.parse import parse
from quash.policy import Issuer
from quash.signature import verify_signature
from quash_service.tokens.files import locked
from quash_service.tokens.keyring import FILE, Keyring
from tests.client.minting import b64
from tests.service_units.processes import at_once

ISSUER = "https://quash.test"
ALGORITHMS = ("ES256", "RS256", "EdDSA")


def ring(folder: Path, algorithm: str = "ES256", now_s: Callable[[], int] = lambda: 1_900_000_000) -> Keyring:
    made = Keyring(folder, issuer=ISSUER, algorithm=algorithm, now_s=now_s)
    made.load()
    return made


def stored(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / FILE).read_text())["keys"]
    return rows


def states(folder: Path) -> list[str]:
    return [row["state"] for row in stored(folder)]


def tag_of(keys: Keyring, kid: str) -> str:
    [tag] = [key.tag for key in keys.keys if key.kid == kid]
    return tag


def published(keys: Keyring) -> list[str]:
    members: Any = keys.jwks["keys"]
    return [jwk["kid"] for jwk in members]


def kid_in(folder: Path, state: str) -> str:
    [kid] = [row["jwk"]["kid"] for row in stored(folder) if row["state"] == state]
    return str(kid)


def retire(folder: Path) -> str:
    """Do by hand what a rotation will do: the active key retires, the next one is active."""
    rows = stored(folder)
    kid = kid_in(folder, "active")
    for row in rows:
        row["state"] = {"active": "retired", "next": "active"}.get(row["state"], row["state"])
    (folder / FILE).write_text(json.dumps({"keys": rows}))
    return kid


def revoke_in(folder: str, kid: str) -> list[str]:
    """One of several processes that revoke at once: returns what it publishes afterwards."""
    keys = ring(Path(folder))
    keys.revoke(tag_of(keys, kid))
    return published(keys)


def load_in(folder: str) -> list[str]:
    return published(ring(Path(folder)))


def test_the_first_start_makes_an_active_and_a_next_key_and_publishes_both(tmp_path: Path) -> None:
    keys = ring(tmp_path / "keys")
    assert states(tmp_path / "keys") == ["active", "next"]
    assert published(keys) == [row["jwk"]["kid"] for row in stored(tmp_path / "keys")]
    assert keys.signer().kid == kid_in(tmp_path / "keys", "active")


def test_only_public_members_are_published(tmp_path: Path) -> None:
    for algorithm in ALGORITHMS:
        members: Any = ring(tmp_path / algorithm, algorithm).jwks["keys"]
        private = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
        assert [private & set(jwk) for jwk in members] == [set(), set()]
        assert {(jwk["alg"], jwk["use"]) for jwk in members} == {(algorithm, "sig")}


def test_the_file_and_its_folder_are_private(tmp_path: Path) -> None:
    ring(tmp_path / "keys")
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "keys" / FILE).stat().st_mode) == 0o600


def test_a_later_start_finds_the_same_keys_whatever_algorithm_new_ones_would_have(tmp_path: Path) -> None:
    first = ring(tmp_path)
    again = ring(tmp_path, "RS256")
    assert (again.keys, again.jwks) == (first.keys, first.jwks)
    again.revoke(tag_of(again, again.signer().kid))
    assert [row["jwk"]["alg"] for row in stored(tmp_path)] == ["ES256", "ES256", "RS256"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_what_it_signs_another_implementation_and_our_library_accept(tmp_path: Path, algorithm: str) -> None:
    keys = ring(tmp_path, algorithm)
    signer = keys.signer()
    header = {"alg": signer.alg, "kid": signer.kid, "typ": "at+jwt"}
    payload = {"iss": ISSUER, "sub": "alice", "exp": 1_900_000_600, "iat": 1_900_000_000, "jti": "t"}
    signed = ".".join(b64(json.dumps(part).encode()) for part in (header, payload))
    raw = f"{signed}.{b64(await signer.sign(signed.encode()))}"
    members: Any = keys.jwks["keys"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert json.loads(jwt.PyJWS().decode(raw, jwt.PyJWK(members[0]), algorithms=[algorithm])) == payload
    policy = Issuer(issuer=ISSUER, algorithms=frozenset({algorithm}))
    assert verify_signature(parse(raw), {ISSUER: policy}, KeySet(keys.keys)).sub == "alice"


def test_revoking_the_active_key_promotes_the_next_and_unpublishes_it_in_the_same_act(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    old, new = published(keys)
    assert keys.revoke(tag_of(keys, old))
    assert states(tmp_path) == ["revoked", "active", "next"]
    assert keys.signer().kid == new
    assert published(keys)[0] == new
    assert old not in published(keys)


def test_a_revoked_key_stays_for_verification_so_that_its_tokens_are_told_the_true_reason(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    old = keys.signer().kid
    keys.revoke(tag_of(keys, old))
    assert old in {key.kid for key in keys.keys}
    assert old in {key.kid for key in ring(tmp_path).keys}


def test_revoking_the_next_key_makes_another_next_one_and_leaves_the_active(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    active, waiting = published(keys)
    assert keys.revoke(tag_of(keys, waiting))
    assert states(tmp_path) == ["active", "revoked", "next"]
    assert keys.signer().kid == active
    assert waiting not in published(keys)


def test_revoking_a_retired_key_unpublishes_it_and_leaves_the_others(tmp_path: Path) -> None:
    ring(tmp_path)
    old = retire(tmp_path)
    keys = ring(tmp_path)
    active = keys.signer().kid
    assert old in published(keys)
    assert keys.revoke(tag_of(keys, old))
    assert states(tmp_path) == ["revoked", "active", "next"]
    assert keys.signer().kid == active
    assert old not in published(keys)


def test_revoking_twice_changes_nothing_the_second_time(tmp_path: Path) -> None:
    now = 1_900_000_000
    keys = ring(tmp_path, now_s=lambda: now)
    tag = tag_of(keys, keys.signer().kid)
    keys.revoke(tag)
    before = (tmp_path / FILE).read_text()
    now += 100
    assert keys.revoke(tag)
    assert (tmp_path / FILE).read_text() == before


def test_a_key_that_is_not_ours_is_not_revoked_here(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    assert not keys.revoke("A" * 16)
    assert states(tmp_path) == ["active", "next"]


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
    first, *others = at_once("tests.service_units.test_keyring", "load_in", *[[folder]] * 3, cwd=tmp_path)
    assert len(first) == 2
    assert others == [first, first]


def test_two_processes_that_revoke_at_once_both_succeed(tmp_path: Path) -> None:
    keys = ring(tmp_path / "keys")
    active, waiting = published(keys)
    calls = [[str(tmp_path / "keys"), kid] for kid in (active, waiting)]
    mine, theirs = at_once("tests.service_units.test_keyring", "revoke_in", *calls, cwd=tmp_path)
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
    shown = f"{keys!r} {keys.signer()!r} {keys.keys!r} {keys._stored!r} {keys._stored[0]}"
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
