"""The commands by name. Each is imported when it is asked for, because together they take a second."""

from importlib import import_module

import click

_COMMANDS = ("serve", "caller", "key", "revoke", "sessions", "doctor")


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f".{cmd_name}", __package__), cmd_name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="quash", message="quash %(version)s")
def quash() -> None:
    """Is this token still good? The server that remembers what was taken back.

    Settings come from QUASH_… variables and quash.toml; flags win over both.
    Exit codes: 0 done, 1 problem found, 2 usage, 3 state unavailable.
    """
