"""``quash key``: the keys that sign access tokens, and the secrets behind refresh tokens."""

import os
from typing import Any

import click

from quash_service.bootstrap import make_private
from quash_service.clock import Clock
from quash_service.services import Services
from quash_service.tokens.keyring import Rotated, SignedElsewhere, TooEarly
from quash_service.tokens.secret_life import ID, SPREAD_S
from quash_service.wiring import secrets_of

from .common import Misused, Stop, act, as_json, located, put, refusals, say_if_new, settle
from .table import readable, table

_PURPOSE = {"next": "signs from", "active": "signs until", "retired": "verifies until", "revoked": "refused for ever"}


@click.group()
def key() -> None:
    """List and rotate signing keys and refresh secrets. Running services follow."""


@key.command("list")
@as_json
@located
def list_keys(*, json_wanted: bool, **where: str | None) -> None:
    """List signing keys and refresh secrets. What each is for, and until when; nothing secret is shown."""
    document = act(where, _listed)
    if json_wanted:
        put(document)
        return
    now_s = Clock().host_ms() // 1000
    keys = [
        (one["state"], one["kid"], one["alg"], _age(now_s - one["since_at"]), _until(one)) for one in document["keys"]
    ]
    secrets = [
        (one["id"], _age(None if one["since_at"] is None else now_s - one["since_at"]), _used_until(one))
        for one in document["refresh_secrets"]
    ]
    click.echo(table(("STATE", "KEY", "ALGORITHM", "AGE", ""), keys))
    click.echo()
    click.echo(table(("REFRESH SECRET", "AGE", ""), secrets))


@key.command()
@click.option("--now", "force", is_flag=True, help="Do not wait until the next key was published for a day.")
@click.option("--refresh-secret", is_flag=True, help="Make a new secret for refresh tokens instead.")
@as_json
@located
def rotate(*, force: bool, refresh_secret: bool, json_wanted: bool, **where: str | None) -> None:
    """Let the next key sign from now on. It must have been published for a day; the active one retires."""
    if force and refresh_secret:
        raise Misused("--now is for signing keys: a new refresh secret is always made at once")
    if refresh_secret:
        name = act(where, _rotate_secret)
        said = (
            f"Made the refresh secret {name}; it makes new tokens from {SPREAD_S} s from now on. Old tokens stay good."
        )
        put({"rotated": True, "refresh_secret": name}) if json_wanted else click.echo(said)
        return
    match act(where, lambda services: _rotate(services, force=force)):
        case Rotated(kid):
            put({"rotated": True, "kid": kid}) if json_wanted else click.echo(f"The key {kid} signs from now on.")
        case TooEarly(ready_at):
            if json_wanted:
                put({"rotated": False, "ready_at": ready_at})
            raise Stop(
                f"the next key may sign from {readable(ready_at * 1000)}, when it was published for a day: "
                "verifiers that cache the JWKS would refuse it before; --now does not wait"
            )
        case SignedElsewhere():
            raise Stop("an external signer signs: start the service with another one to rotate its key")


@key.command("drop-refresh-secret")
@click.argument("name", metavar="ID")
@click.option("--yes", is_flag=True, help="Log the users out whose refresh token was made with it.")
@as_json
@located
def drop_refresh_secret(name: str, *, yes: bool, json_wanted: bool, **where: str | None) -> None:
    """Forget a refresh secret at once. It leaked, or it is lost for ever.

    Every session whose current refresh token was made with it cannot be refreshed any more.
    """
    if ID.fullmatch(name) is None:
        raise Misused("a refresh secret's id is one letter or digit: see `quash key list`")
    if not yes:
        raise Misused(f"every session whose refresh token was made with {name} ends: say --yes")
    # Before the state is joined: it may be refusing this host because of this very secret.
    settings = settle(where)
    say_if_new(settings)
    with refusals():
        make_private(settings.data_dir)
        found = secrets_of(settings, Clock(), os.urandom).drop(name)
    act(where, _joined)
    if json_wanted:
        put({"dropped": name, "found": found})
        return
    click.echo(
        f"Dropped the refresh secret {name}. Refresh tokens made with it are refused (invalid_grant)."
        if found
        else f"This host had no refresh secret {name}; the state does not ask for it any more."
    )


async def _listed(services: Services) -> dict[str, Any]:
    ring = services.keyring
    return {
        "keys": [
            {
                "state": one.state,
                "kid": one.kid,
                "alg": one.alg,
                "external": one.external,
                "since_at": one.since,
                "changes_at": ring.changes_at(one),
            }
            for one in ring.stored
        ],
        "refresh_secrets": [
            {"id": name, "makes_tokens": name == services.secrets.newest, "since_at": since, "drops_at": drops}
            for name, since, drops in services.secrets.listed()
        ],
    }


async def _rotate(services: Services, *, force: bool) -> Rotated | TooEarly | SignedElsewhere:
    return services.keyring.rotate(force=force)


async def _rotate_secret(services: Services) -> str:
    name = services.secrets.rotate()
    await services.floor.join()
    return name


async def _joined(services: Services) -> None:
    """Do nothing more: joining the state made its floor forget."""


def _age(seconds: int | None) -> str:
    if seconds is None:
        return "unknown"
    return f"{seconds // 86_400} d" if seconds >= 2 * 86_400 else f"{max(0, seconds) // 3600} h"


def _until(one: dict[str, Any]) -> str:
    if one["state"] == "active" and one["external"]:
        return "signs elsewhere"
    purpose, at = _PURPOSE[one["state"]], one["changes_at"]
    return purpose if at is None else f"{purpose} {readable(at * 1000)}"


def _used_until(one: dict[str, Any]) -> str:
    if one["makes_tokens"]:
        return "makes tokens"
    if one["drops_at"] is None and one["since_at"] is not None:
        return f"makes tokens from {readable((one['since_at'] + SPREAD_S) * 1000)}"
    return "verifies" if one["drops_at"] is None else f"verifies until {readable(one['drops_at'] * 1000)}"
