"""``quash caller``: the programs that may call the API."""

import os
from base64 import b64encode
from re import split
from typing import Any

import click

from quash_service.callers import ADMIN, SCOPES, Caller, digest, is_caller_name, new_secret
from quash_service.services import Services

from .common import Misused, Stop, act, as_json, located, put
from .table import table


@click.group()
def caller() -> None:
    """Add, list and remove the programs that may call the API."""


def _scopes(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> frozenset[str]:
    del ctx, parameter
    scopes = frozenset(name for one in given for name in split(r"[\s,]+", one) if name)
    unknown = scopes - set(SCOPES)
    if unknown or not scopes:
        raise click.BadParameter(f"must be some of {', '.join(SCOPES)}")
    return scopes


def _free_name(ctx: click.Context, parameter: click.Parameter, name: str) -> str:
    del ctx, parameter
    if not is_caller_name(name):
        raise click.BadParameter("must be 1-64 letters, digits, _ and -, and begin with a letter or digit")
    if name == ADMIN:
        raise click.BadParameter("`admin` is reserved: it is made at the first start, or from QUASH_ADMIN_SECRET")
    return name


@caller.command()
@click.argument("name", callback=_free_name)
@click.option(
    "--scope", "scopes", multiple=True, required=True, callback=_scopes, help=f"Repeatable: {', '.join(SCOPES)}."
)
@click.option("--issuer", "issuers", multiple=True, help="Repeatable: the only issuers that it may act on.")
@as_json
@located
def add(name: str, scopes: frozenset[str], issuers: tuple[str, ...], *, json_wanted: bool, **where: str | None) -> None:
    """Add a caller and show its secret, this once. Only a hash of it is kept."""
    secret = new_secret(os.urandom)
    added = Caller(name, digest(secret), scopes, frozenset(issuers) or None)
    act(where, lambda services: _add(services, added))
    bearer = f"qk_{name}.{secret}"
    if json_wanted:
        put({**_document(added), "secret": secret, "bearer": bearer})
        return
    basic = b64encode(f"{name}:{secret}".encode()).decode()
    click.echo(
        f"Added the caller {name}. Its secret is shown this once:\n\n    {secret}\n\n"
        f"    curl --user {name}:{secret} …\n"
        f"    Authorization: Basic {basic}\n"
        f"    Authorization: Bearer {bearer}"
    )


async def _add(services: Services, added: Caller) -> None:
    unknown = (added.issuers or frozenset()) - set(services.store.issuers.index)
    if unknown:
        raise Misused(f"no such issuer is configured: {', '.join(sorted(unknown))}")
    if any(one.name == added.name for one in await services.callers.all()):
        raise Stop(
            f"there is a caller {added.name} already; a new secret needs `quash caller remove {added.name}` first"
        )
    await services.callers.add(added)


@caller.command("list")
@as_json
@located
def list_callers(*, json_wanted: bool, **where: str | None) -> None:
    """List the callers; secrets are not kept, so none are shown."""
    callers = act(where, lambda services: services.callers.all())
    if json_wanted:
        put({"callers": [_document(one) for one in callers]})
        return
    rows = [(one.name, " ".join(sorted(one.scopes)), " ".join(sorted(one.issuers or {"(all)"}))) for one in callers]
    click.echo(table(("NAME", "SCOPES", "ISSUERS"), rows))


@caller.command()
@click.argument("name", callback=_free_name)
@as_json
@located
def remove(name: str, *, json_wanted: bool, **where: str | None) -> None:
    """Remove a caller; running services refuse it within 5 s."""
    found = act(where, lambda services: services.callers.remove(name))
    if json_wanted:
        put({"removed": name, "found": found})
    if not found:
        raise Stop(f"there is no caller {name}")
    if not json_wanted:
        click.echo(f"Removed the caller {name}; running services refuse it within 5 s.")


def _document(one: Caller) -> dict[str, Any]:
    return {
        "name": one.name,
        "scopes": sorted(one.scopes),
        "issuers": None if one.issuers is None else sorted(one.issuers),
    }
