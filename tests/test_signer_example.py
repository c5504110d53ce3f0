"""`examples/signer`: the service with a key in a PKCS#11 token, as its page says to run it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.engines import free_port
from tests.servers import READY_S, clean_environment, end_engine

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "signer"
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
ADMIN = "the-admin-secret-of-every-test-0123456789"


@pytest.fixture
def token(tmp_path: Path) -> dict[str, str]:
    """Make a soft token and return the environment in which it is found."""
    tool = shutil.which("softhsm2-util")
    module = next((one for one in MODULES if Path(one).exists()), None)
    if tool is None or module is None:
        words = "no softhsm2 on this machine"
        if os.environ.get("QUASH_TEST_ENGINES") == "all":
            pytest.fail(f"{words}, and QUASH_TEST_ENGINES=all promises it")
        pytest.skip(words)
    (tmp_path / "tokens").mkdir()
    configuration = tmp_path / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tmp_path}/tokens\nobjectstore.backend = file\n")
    env = {"SOFTHSM2_CONF": str(configuration), "PKCS11_MODULE": module, "PKCS11_TOKEN": "quash", "PKCS11_PIN": "1234"}
    subprocess.run(
        [tool, "--init-token", "--free", "--label", "quash", "--pin", "1234", "--so-pin", "5678"],
        env=clean_environment(env), check=True, capture_output=True,
    )  # fmt: skip
    return env


def make_key(env: Mapping[str, str]) -> None:
    program = [sys.executable, str(EXAMPLE / "pkcs11_signer.py")]
    subprocess.run(program, env=clean_environment(env), check=True, capture_output=True, timeout=60)


@contextmanager
def serving(tmp_path: Path, token: Mapping[str, str]) -> Iterator[httpx.Client]:
    """Run the example until the end of the block; the client speaks as the admin."""
    port = free_port()
    env = {
        **token,
        "QUASH_DATA_DIR": str(tmp_path / "data"),
        "QUASH_ADMIN_SECRET": ADMIN,
        "QUASH_ISSUER": "https://quash.test",
    }
    program = [sys.executable, "-m", "uvicorn", "--factory", "--app-dir", str(EXAMPLE), "pkcs11_signer:app"]
    with (tmp_path / "log").open("ab") as log:
        child = subprocess.Popen([*program, "--port", str(port)], env=clean_environment(env), stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=("admin", ADMIN)) as client:
            deadline = time.monotonic() + READY_S
            while not _ready(client):
                assert child.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.05)
            yield client
    finally:
        child.terminate()
        child.wait(timeout=READY_S)
        end_engine(tmp_path / "data")


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def opened(client: httpx.Client) -> dict[str, Any]:
    answer = client.post("/sessions", json={"sub": "alice"})
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def published(client: httpx.Client) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = client.get("/.well-known/jwks.json").json()["keys"]
    return keys


def test_a_token_signed_in_the_hsm_is_active_verifies_elsewhere_and_can_be_revoked(
    tmp_path: Path, token: dict[str, str]
) -> None:
    make_key(token)
    with serving(tmp_path, token) as client:
        session = opened(client)
        [jwk] = published(client)
        raw = session["access_token"]
        assert jwt.get_unverified_header(raw) == {"alg": "ES256", "kid": jwk["kid"], "typ": "at+jwt"}
        claims = jwt.decode(raw, jwt.PyJWK(jwk), algorithms=["ES256"], audience="https://quash.test")
        assert claims["sub"] == "alice"
        assert client.post("/introspect", data={"token": raw}).json()["active"] is True
        form = {"grant_type": "refresh_token", "refresh_token": session["refresh_token"]}
        refreshed = client.post("/token", data=form).json()["access_token"]
        assert client.post("/revoke", json={"kid": jwk["kid"]}).json()["found"] is True
        for one in (raw, refreshed):
            [result] = client.post("/introspect/batch", json={"tokens": [one]}).json()["results"]
            assert result["reason"] == "key_revoked"
        assert published(client) == []
        assert client.post("/sessions", json={"sub": "bob"}).status_code == 503
    file = json.loads((tmp_path / "data" / "keys" / "signing-keys.json").read_text())
    assert [(row["state"], row["external"], "d" in row["jwk"]) for row in file["keys"]] == [("revoked", True, False)]


def test_another_key_of_the_hsm_takes_over_at_a_start_and_old_tokens_stay_active(
    tmp_path: Path, token: dict[str, str]
) -> None:
    make_key(token)
    with serving(tmp_path, token) as client:
        old = opened(client)["access_token"]
        [before] = published(client)
    token["PKCS11_KEY"] = "quash-2"
    make_key(token)
    with serving(tmp_path, token) as client:
        new = opened(client)["access_token"]
        assert [jwk["kid"] for jwk in published(client)] == [before["kid"], jwt.get_unverified_header(new)["kid"]]
        for one in (old, new):
            assert client.post("/introspect", data={"token": one}).json()["active"] is True
