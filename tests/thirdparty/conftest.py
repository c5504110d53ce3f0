"""One real service for all tests of this folder that run in one process, with itself as its issuer."""

from collections.abc import Iterator

import pytest

from tests.engines import free_port
from tests.servers import RunningServer, serve
from tests.thirdparty.logins import SECRET


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A service whose issuer is its own address, as discovery wants it (RFC 8414 §3.3)."""
    port = free_port()
    env = {"QUASH_ISSUER": f"http://127.0.0.1:{port}", "QUASH_ADMIN_SECRET": SECRET}
    with serve(tmp_path_factory.mktemp("thirdparty"), env=env, port=port) as running:
        yield running
