"""Hostile refresh tokens: junk is refused without asking the engine, and kills nothing."""

from collections.abc import Callable
from typing import Any

import pytest
import pytest_asyncio

from quash.ids import new_session_id, user_tag
from tests.hostile import routes
from tests.hostile.counting import Calls, counted, counters
from tests.http.support import ISSUER, Service, fresh

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ROUTES = {**routes.JUDGING, **routes.REVOKING, **routes.REFRESHING}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sessions(service: Service) -> dict[str, str]:
    """Two live sessions of one user: their refresh tokens, of generation 1."""
    tokens = {}
    for name in ("first", "second"):
        opened = await service.open("victim")
        tokens[name] = str((await service.refreshed(opened["refresh_token"]))["refresh_token"])
    return tokens


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _counting(service: Service) -> Any:
    """Count, with the callers read already, so that what is counted is the token's."""
    assert (await service.client.post("/introspect", data={"token": "t"})).status_code == 200
    with counters():
        yield


def _part(at: int, edit: Callable[[str], str]) -> Callable[[str, str], str]:
    def build(token: str, _: str) -> str:
        parts = token.split(".")
        parts[at] = edit(parts[at])
        return ".".join(parts)

    return build


def _next(letter: str) -> str:
    return ALPHABET[(ALPHABET.index(letter) + 1) % 64]


def _other_mac(token: str, other: str) -> str:
    return f"{token.rpartition('.')[0]}.{other.rpartition('.')[2]}"


def _other_session(token: str, other: str) -> str:
    return f"{other.partition('.')[0]}.{token.partition('.')[2]}"


JUNK: dict[str, Callable[[str, str], str]] = {
    "the other session's mac": _other_mac,
    "the other session's id": _other_session,
    **{
        f"generation {text!r}": _part(1, lambda _, text=text: text)  # type: ignore[misc]  # the text of this round
        for text in (
            *("0", "2", "9", "01", "001", "+1", "-1", "1.0", "1e0", "0x1", "1_", " 1", "1 ", "", "true"),
            *("\u0661", "\u00b9", "\uff11", "\u09e7", "1\u200b", "1\0", "1\n"),
            *("9" * 9, "9" * 10, "9" * 400, str(2**53 + 1), str(2**64 + 1)),
        )
    },
    **{
        f"secret {text!r}": _part(2, lambda mac, text=text: text + mac[1:])  # type: ignore[misc]  # as above
        for text in ("z", "Z", "0", "-", "_", "", "aa", "\u0430", " a")
    },
    **{
        f"the mac's character {at} changed": _part(
            2,
            lambda mac, at=at: mac[:at] + _next(mac[at]) + mac[at + 1 :],  # type: ignore[misc]  # as above
        )
        for at in (1, 2, 22, 42, 43)
    },
    **{
        f"the session's character {at} changed": _part(
            0,
            lambda sid, at=at: sid[:at] + _next(sid[at]) + sid[at + 1 :],  # type: ignore[misc]  # as above
        )
        for at in (4, 19, 20, 40, 41)
    },
    "a mac one short": _part(2, lambda mac: mac[:-1]),
    "a mac one longer": _part(2, lambda mac: mac + "A"),
    "a padded mac": _part(2, lambda mac: mac + "="),
    "a mac in the standard alphabet": _part(2, lambda mac: mac[:5] + "+/" + mac[7:]),
    "no mac": _part(2, lambda _: ""),
    "no secret and no mac": lambda token, _: token.rpartition(".")[0],
    "a session one short": _part(0, lambda sid: sid[:-1]),
    "a fourth part": lambda token, _: token + ".x",
    "a line break behind": lambda token, _: token + "\n",
    "a null behind": lambda token, _: token + "\0",
    "a space behind": lambda token, _: token + " x",
    "the prefix alone": lambda _, __: "qrt_",
    "the prefix twice": lambda token, _: "qrt_" + token,
    "the prefix in capitals": lambda token, _: "QRT_" + token[4:],
    "60 KiB": lambda token, _: token + "A" * 60_000,
    "a key of the state": lambda _, __: "qrt_*",
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", JUNK)
async def test_junk_is_refused_without_the_engine_on_every_route(
    service: Service, sessions: dict[str, str], name: str, route: str
) -> None:
    token = JUNK[name](sessions["first"], sessions["second"])
    with counted() as calls:
        await ROUTES[route](service, token, "malformed")
    assert calls == Calls()


async def test_no_junk_has_killed_or_rotated_anything(service: Service, sessions: dict[str, str]) -> None:
    """Both live after all of it, and their own tokens are still the current ones."""
    for route in ROUTES.values():
        for build in JUNK.values():
            await route(service, build(sessions["first"], sessions["second"]), "malformed")
    for token in sessions.values():
        assert await service.is_active(token)
        assert (await service.refresh(token)).status_code == 200
    kinds = {entry["kind"] for entry in await service.audited("victim")}
    assert kinds <= {"opened"}


async def test_a_good_mac_for_a_session_that_never_was_kills_nothing(service: Service) -> None:
    """What a leaked secret could make: it is unknown, and its user's sessions live on."""
    opened = await service.open(sub := fresh())
    sid = new_session_id(user_tag(ISSUER, sub), bytes)
    forged = service.parts.secrets.build(sid, 3, service.parts.secrets.newest)
    before = await service.user_fields(sub)
    await routes.refresh(service, forged, "")
    await routes.revoke_form(service, forged, "")
    await routes.introspect(service, forged, "")
    assert await service.user_fields(sub) == before
    assert await service.is_active(opened["access_token"])


async def test_forward_auth_takes_no_refresh_token_however_good(service: Service, sessions: dict[str, str]) -> None:
    with counted() as calls:
        await routes.forward_auth(service, sessions["second"], "malformed")
    assert calls == Calls()
