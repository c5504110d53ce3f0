"""``quash serve``: the service, in this process or in several worker processes under this one."""

from contextlib import nullcontext

import click

from quash_service.logs import configure, get_logger
from quash_service.settings import Settings

from .common import Misused, located, settle
from .scratch import scratch


@click.command()
@located
@click.option("--host", help="Address to listen on (QUASH_HOST, 127.0.0.1).")
@click.option("--port", help="Port to listen on (QUASH_PORT, 8400); 0 takes a free one.")
@click.option("--workers", help="Worker processes (QUASH_WORKERS, 1).")
@click.option("--issuer", help="Our own `iss` (QUASH_ISSUER).")
@click.option("--log-level", help="debug, info, warning or error (QUASH_LOG_LEVEL, info).")
@click.option("--tls-cert", help="Certificate chain, PEM (QUASH_TLS_CERT).")
@click.option("--tls-key", help="Its private key, PEM (QUASH_TLS_KEY).")
@click.option("--memory", is_flag=True, help="A throw-away trial: everything is forgotten at the end.")
def serve(*, memory: bool, **flags: str | None) -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C.

    With no QUASH_REDIS_URL a real engine is started in the data directory. The first start makes the caller
    `admin`; its secret goes to the terminal, or to the file admin.secret in the data directory.
    """
    settings = settle(flags)
    configure(settings.log_level)
    _warn_of_argv(flags.get("redis_url"))
    if not memory:
        _serve(settings, memory=False)
        return
    if settings.workers > 1:
        raise Misused("--memory is one process's memory, so it cannot be shared by several workers: --workers 1")
    # Nothing of a trial stays, unless a place for it was named.
    named = "data_dir" in settings.model_fields_set
    with nullcontext() if named else scratch("quash-trial-") as place:
        _serve(settings if place is None else settle({**flags, "data_dir": str(place)}), memory=True)


def _serve(settings: Settings, *, memory: bool) -> None:
    from .serving import serve_many, serve_one

    if settings.workers > 1:
        serve_many(settings)
    else:
        serve_one(settings, in_memory=memory)


def _warn_of_argv(redis_url: str | None) -> None:
    if redis_url and "@" in redis_url:
        get_logger().warning(
            "password_on_command_line", effect="every user of this machine can read it", mend="set QUASH_REDIS_URL"
        )
