"""What the service handles is known to the run's watch, and what it shows of itself holds none of it."""

import json

import pytest
from pydantic import SecretStr

from quash_service.engine import connect
from quash_service.tokens.keyring import FILE as KEYS
from quash_service.tokens.refresh import FILE as SECRETS
from tests.http.support import SECRET, Service
from tests.secrecy import Ledger
from tests.service import ADMIN
from tests.watching import LEDGER

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "correct-horse-battery-staple"


@pytest.fixture
def ledger(pytestconfig: pytest.Config) -> Ledger:
    """The ledger of this very run."""
    return pytestconfig.stash[LEDGER]


async def test_tokens_secrets_and_private_keys_are_known_to_the_watch(service: Service, ledger: Ledger) -> None:
    caller = await service.caller("sessions")
    opened = await service.open(by=caller)
    refreshed = await service.refreshed(opened["refresh_token"], by=caller)
    folder = service.parts.settings.keys_folder
    keys = [row["jwk"]["d"] for row in json.loads((folder / KEYS).read_text())["keys"]]
    secrets = [row["secret"] for row in json.loads((folder / SECRETS).read_text())["secrets"]]
    tokens = [one[name] for one in (opened, refreshed) for name in ("access_token", "refresh_token")]
    for known in [*tokens, *keys, *secrets, ADMIN, SECRET]:
        assert ledger.knows(known)
    for public in (opened["session_id"], "quash_service", tokens[0].partition(".")[0]):
        assert not ledger.knows(public)


async def test_what_the_service_shows_of_itself_holds_no_secret(service: Service, ledger: Ledger) -> None:
    caller = await service.parts.callers.authenticate("admin", ADMIN)
    parts = service.parts
    for part in (caller, parts, parts.settings, parts.keyring, parts.secrets, parts.minter, parts.judge, parts.callers):
        assert part is not None
        assert not ledger.knows(f"{part!r} {part!s}")


async def test_the_engines_password_is_in_no_repr(service: Service) -> None:
    url = f"redis://quash:{PASSWORD}@127.0.0.1:1/0"
    client = connect(url)
    settings = service.parts.settings.model_copy(update={"redis_url": SecretStr(url)})
    try:
        assert PASSWORD not in f"{client!r} {client.connection_pool!r} {settings!r} {settings.model_dump()}"
    finally:
        await client.aclose()
