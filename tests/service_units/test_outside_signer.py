"""Signers whose key lives elsewhere: how they take over, are followed, revoked, and given up."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from quash.errors import Unavailable
from quash_service.rotation import LiveSession
from quash_service.tokens.keyring import FILE, SignedElsewhere
from quash_service.tokens.mint import Minter
from quash_service.tokens.signer import LocalSigner, Signer, new_key
from tests.service_units.rings import DAY, ISSUER, TERMS, Time, published, ring, states, stored, tag_of


class Outside:
    """A key that is not in the folder; `trouble` is what it raises instead of signing."""

    def __init__(self, algorithm: str = "ES256") -> None:
        self._key = LocalSigner(new_key(algorithm))
        self.trouble: OSError | None = None
        self.asked = 0

    @property
    def kid(self) -> str:
        return self._key.kid

    @property
    def alg(self) -> str:
        return self._key.alg

    @property
    def jwk(self) -> Mapping[str, object]:
        return self._key.jwk

    async def sign(self, signing_input: bytes) -> bytes:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return await self._key.sign(signing_input)


@pytest.fixture
def time() -> Time:
    return Time()


async def test_it_signs_and_its_public_key_is_published_and_verifies(tmp_path: Path) -> None:
    outside = Outside()
    keys = ring(tmp_path, external=outside)
    assert (published(keys), states(tmp_path)) == ([outside.kid], ["active"])
    [key] = keys.keys
    assert key.verifies(b"input", await keys.signer().sign(b"input"))
    assert outside.asked == 1
    assert "d" not in stored(tmp_path)[0]["jwk"]


async def test_the_keys_of_the_folder_retire_when_it_takes_over_and_are_dropped(tmp_path: Path, time: Time) -> None:
    old = ring(tmp_path, now_s=time).signer().kid
    outside = Outside()
    keys = ring(tmp_path, now_s=time, external=outside)
    assert states(tmp_path) == ["retired", "active"]
    assert published(keys) == [old, outside.kid]
    time.now += TERMS.retire_s
    await keys.tend()
    assert published(keys) == [outside.kid]


async def test_a_start_with_another_key_retires_the_one_before_in_the_same_order(tmp_path: Path, time: Time) -> None:
    first, second = Outside(), Outside("EdDSA")
    stale = ring(tmp_path, now_s=time, external=first)
    keys = ring(tmp_path, now_s=time, external=second)
    assert published(keys) == [first.kid, second.kid]
    assert states(tmp_path) == ["retired", "active"]
    # Until it is restarted too, a worker goes on with the signer that it was given.
    assert (stale.signer().kid, keys.signer().kid) == (first.kid, second.kid)
    time.now += 900 * DAY
    await keys.tend()
    assert published(keys) == [second.kid]


def test_starting_again_with_the_same_key_changes_nothing(tmp_path: Path, time: Time) -> None:
    outside = Outside()
    ring(tmp_path, now_s=time, external=outside)
    before = (tmp_path / FILE).read_text()
    time.now += 900 * DAY
    ring(tmp_path, now_s=time, external=outside)
    assert (tmp_path / FILE).read_text() == before


def test_a_key_that_was_retired_may_sign_again(tmp_path: Path) -> None:
    first, second = Outside(), Outside()
    for outside in (first, second):
        ring(tmp_path, external=outside)
    keys = ring(tmp_path, external=first)
    assert (states(tmp_path), published(keys)) == (["retired", "active"], [second.kid, first.kid])


def test_without_it_a_key_of_the_folder_signs_again(tmp_path: Path) -> None:
    outside = Outside()
    ring(tmp_path, external=outside)
    keys = ring(tmp_path)
    assert states(tmp_path) == ["retired", "active", "next"]
    assert published(keys) == [outside.kid, keys.signer().kid, published(keys)[2]]


def test_a_worker_that_has_none_yet_goes_on_with_the_key_that_it_had(tmp_path: Path) -> None:
    stale = ring(tmp_path)
    old = stale.signer().kid
    ring(tmp_path, external=Outside())
    assert stale.signer().kid == old
    assert old in published(stale)
    stale.revoke(tag_of(stale, old))
    with pytest.raises(Unavailable):
        stale.signer()


def test_commands_leave_it_in_charge(tmp_path: Path) -> None:
    outside = Outside()
    ring(tmp_path, external=outside)
    before = (tmp_path / FILE).read_text()
    command = ring(tmp_path, tends=False)
    assert isinstance(command.rotate(force=True), SignedElsewhere)
    assert (tmp_path / FILE).read_text() == before
    with pytest.raises(Unavailable):
        command.signer()


def test_when_its_key_is_revoked_nothing_signs_until_there_is_another_one(tmp_path: Path) -> None:
    outside, another = Outside(), Outside()
    keys = ring(tmp_path, external=outside)
    assert ring(tmp_path, tends=False).revoke(tag_of(keys, outside.kid))
    with pytest.raises(Unavailable) as refused:
        keys.signer()
    assert refused.value.evidence == {"signer": "key_revoked"}
    assert published(keys) == []
    with pytest.raises(ValueError, match="was revoked"):
        ring(tmp_path, external=outside)
    assert published(ring(tmp_path, external=another)) == [another.kid]


def test_after_its_key_was_revoked_a_key_of_the_folder_may_sign(tmp_path: Path) -> None:
    keys = ring(tmp_path, external=Outside())
    keys.revoke(tag_of(keys, keys.signer().kid))
    assert ring(tmp_path).signer().alg == "ES256"
    assert states(tmp_path) == ["revoked", "active", "next"]


class Wrong(Outside):
    def __init__(self, **members: object) -> None:
        super().__init__()
        self._members = members

    @property
    def jwk(self) -> Mapping[str, object]:
        return {**super().jwk, **self._members}


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"kid": "another"}, "must be strong and have its kid and alg"),
        ({"alg": "RS256"}, "cannot be used"),
        ({"kty": "oct", "k": "A" * 43, "alg": "HS256"}, "cannot be used"),
        ({"d": "secret"}, "must be the public one"),
        ({"x": "!"}, "cannot be used"),
    ],
)
def test_a_signer_whose_public_key_is_none_stops_the_start(tmp_path: Path, members: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ring(tmp_path, external=Wrong(**members))
    assert not (tmp_path / FILE).exists()


def test_a_public_key_that_is_not_marked_as_external_is_a_file_that_lost_its_private_keys(tmp_path: Path) -> None:
    ring(tmp_path, external=Outside())
    rows = [{name: value for name, value in row.items() if name != "external"} for row in stored(tmp_path)]
    (tmp_path / FILE).write_text(json.dumps({"keys": rows}))
    with pytest.raises(ValueError, match="with private keys"):
        ring(tmp_path)


def minter(signer: Signer) -> Minter:
    return Minter(
        lambda: signer,
        issuer=ISSUER,
        audience=ISSUER,
        access_ttl_s=600,
        now_ms=lambda: 1_900_000_000_000,
        random_bytes=lambda count: b"\1" * count,
    )


async def test_one_that_does_not_sign_is_unavailable_and_tried_before_the_next_refresh_token_is_used_up() -> None:
    outside = Outside()
    made = minter(outside)
    session = LiveSession("s" * 38, 0, "a", 0, 2 * 10**12, 2 * 10**12, {"iss": ISSUER, "sub": "alice", "caller": "web"})
    await made.ready()
    assert outside.asked == 0
    outside.trouble = ConnectionRefusedError()
    for call in (made.mint(session), made.ready(), made.ready()):
        with pytest.raises(Unavailable) as refused:
            await call
        assert refused.value.evidence == {"signer": "ConnectionRefusedError"}
    assert outside.asked == 3
    outside.trouble = None
    await made.ready()
    await made.ready()
    assert outside.asked == 4
    await made.mint(session)


async def test_one_that_never_answers_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quash_service.tokens.mint.SIGN_S", 0.01)

    class Silent(Outside):
        async def sign(self, signing_input: bytes) -> bytes:
            await asyncio.Event().wait()
            return b""

    made = minter(Silent())
    made._failed = True
    with pytest.raises(Unavailable):
        await made.ready()
