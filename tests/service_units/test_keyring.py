"""Our signing keys: what they sign, and their life from next to revoked."""

import json
import stat
import warnings
from pathlib import Path
from typing import Any

import jwt
import pytest

from quash.keys import KeySet
from quash.parse import parse
from quash.policy import Issuer
from quash.signature import verify_signature
from quash_service.tokens.keyring import FILE
from tests.client.minting import b64
from tests.service_units.rings import ALGORITHMS, ISSUER, kid_in, published, ring, states, stored, tag_of


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


def test_a_later_start_finds_the_same_keys(tmp_path: Path) -> None:
    first, again = ring(tmp_path), ring(tmp_path)
    assert (again.keys, again.jwks) == (first.keys, first.jwks)


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
    keys = ring(tmp_path)
    old = keys.signer().kid
    keys.rotate(force=True)
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
