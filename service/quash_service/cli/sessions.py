"""``quash sessions``: where a user is logged in."""

import click

from quash_service.services import Services
from quash_service.store import SessionView

from .common import act, as_json, cli_actor, located, problems, put
from .table import printable, readable, table

_HEAD = ("SESSION", "OPENED", "LAST USED", "ENDS", "IP", "DEVICE")
_DEVICE_WIDTH = 40


@click.command()
@click.argument("user")
@click.option("--iss", help="The user's issuer; ours when not given.")
@as_json
@located
def sessions(user: str, iss: str | None, *, json_wanted: bool, **where: str | None) -> None:
    """List the live sessions of USER (a `sub`). The most recently used come first; times are UTC."""
    views = act(where, lambda services: _views(services, iss, user))
    if json_wanted:
        from quash_service.http.sessions import document_of

        put({"sessions": [document_of(view) for view in views]})
    elif views:
        click.echo(table(_HEAD, [_row(view) for view in views]))
    else:
        click.echo(f"{printable(user)} has no live session.")


async def _views(services: Services, iss: str | None, user: str) -> list[SessionView]:
    from quash_service.http.revoke import issuer_of

    who = cli_actor()
    with problems():
        return await services.listing.sessions(who, issuer_of(services, who, iss), user)


def _row(view: SessionView) -> tuple[str, ...]:
    record, fields = view.record, view.fields
    return (
        view.sid,
        readable(record.opened),
        readable(record.rotated),
        readable(min(record.idle_end, record.absolute_end)),
        fields.get("ip", ""),
        (fields.get("device") or fields.get("agent", ""))[:_DEVICE_WIDTH],
    )
