"""``quash revoke``: take back a token, a session, a user, a key or an issuer."""

import sys
from typing import Any

import click

from quash.reasons import Cause
from quash_service.services import Services

from .common import PLACE, Misused, Stop, act, as_json, cli_actor, located, problems, put
from .table import printable

_KINDS = ("token", "session", "user", "kid", "issuer")
# Which of the further options go with which kind.
_ALLOWED = {
    "token": (),
    "session": (),
    "user": ("iss", "keep", "access_only"),
    "kid": ("iss",),
    "issuer": (),
}


@click.command()
@click.option("--token", help="`-`: an access token (itself) or a refresh token (its session), from standard input.")
@click.option("--session", help="A session id.")
@click.option("--user", help="A `sub`: all tokens and sessions of this user.")
@click.option("--kid", help="A signing key: every token that it signed, for ever.")
@click.option("--issuer", help="All that an issuer issued until now; needs --yes.")
@click.option("--iss", help="The issuer of --user or --kid; ours when not given.")
@click.option("--keep", multiple=True, help="With --user: a session that lives on. Repeatable.")
@click.option("--access-only", is_flag=True, help="With --user: access tokens die, sessions live on (changed roles).")
@click.option("--yes", is_flag=True, help="Really revoke everything of an issuer.")
@click.option("--cause", type=click.Choice([cause.value for cause in Cause]), default=Cause.ADMIN.value, help="Why.")
@as_json
@located
def revoke(*, cause: str, json_wanted: bool, **flags: Any) -> None:  # noqa: ANN401 - flags, lists and texts
    """Take back exactly one token, session, user, key or issuer.

    It is in force everywhere when this command exits with 0. An access token ends itself only, a refresh token
    its session.
    """
    body = {**_selector(flags), "cause": cause}
    done = act({name: flags[name] for name in PLACE}, lambda services: _revoked(services, body))
    if json_wanted:
        put(done)
    if not done["found"] and done["revoked"] != "user":
        raise Stop("nothing of the kind is known here, so there was nothing to revoke")
    if not json_wanted:
        click.echo(_sentence(done))
    lost = set(flags["keep"]) - set(done.get("kept", flags["keep"]))
    if lost:
        click.echo(f"quash: no live session of this user, so not kept: {printable(' '.join(sorted(lost)))}", err=True)


def _selector(named: dict[str, Any]) -> dict[str, Any]:
    """Return the one thing that is named, as `POST /revoke` has it. Raises ``Misused``."""
    kinds = [kind for kind in _KINDS if named[kind] is not None]
    if len(kinds) != 1:
        raise Misused("name exactly one of --token -, --session, --user, --kid, --issuer")
    (kind,) = kinds
    for option in ("iss", "keep", "access_only"):
        if named[option] and option not in _ALLOWED[kind]:
            raise Misused(f"--{option.replace('_', '-')} does not go with --{kind}")
    value = named[kind]
    match kind:
        case "token":
            return {"token": _token(value)}
        case "session":
            return {"session_id": value}
        case "user":
            return {"sub": value, "keep": list(named["keep"]), "access_only": named["access_only"], **_iss(named)}
        case "kid":
            return {"kid": value, **_iss(named)}
        case _:
            if not named["yes"]:
                raise Misused(f"this ends every session and token of {value}: say so with --yes")
            return {"issuer": value}


def _iss(named: dict[str, Any]) -> dict[str, str]:
    return {} if named["iss"] is None else {"iss": named["iss"]}


def _token(value: str) -> str:
    if value != "-":
        raise Misused(
            "a token on the command line is readable by every user of this machine and stays in the shell's history: "
            "give it on standard input, with --token -"
        )
    token = sys.stdin.buffer.read(20_000).decode("ascii", errors="replace").strip()
    if not token:
        raise Misused("standard input holds no token")
    return token


async def _revoked(services: Services, body: dict[str, Any]) -> dict[str, Any]:
    # The same verb as the route's, so that both answer alike.
    from quash_service.http.revoke import revoked
    from quash_service.http.selectors import read_selector

    with problems():
        selector, cause = read_selector(body)
        return dict(await revoked(services, cli_actor(), selector, cause))


def _sentence(done: dict[str, Any]) -> str:
    match done["revoked"]:
        case "token":
            text = f"Revoked one access token of {done['sub']}."
        case "session":
            text = f"Ended the session {done['session_id']}: its refresh and access tokens are dead."
        case "user":
            kept = f"; kept: {' '.join(done['kept'])}" if done["kept"] else ""
            text = f"Revoked all tokens of {done['sub']} below version {done['version']}{kept}."
        case "key":
            name = done["kid"] or done["thumbprint"]
            text = f"Revoked the key {name} of {done['iss']}: every token that it signed is dead."
        case _:
            text = f"Revoked all that {done['iss']} issued until now."
    return printable(text)
