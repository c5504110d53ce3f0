"""`quash caller`: who may call."""

import json
from base64 import b64decode
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import Done, quash
from tests.servers import RunningServer


def introspects(server: RunningServer, header: str) -> int:
    answer = httpx.post(f"{server.url}/introspect", data={"token": "x"}, headers={"authorization": header})
    return answer.status_code


def caller(server: RunningServer, *args: str) -> Done:
    return quash("caller", *args, data_dir=server.data_dir)


def test_the_shown_forms_of_the_secret_let_it_in(server: RunningServer) -> None:
    done = caller(server, "add", "reader", "--scope", "introspect")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.strip() for line in done.stdout.splitlines()]
    headers = [line.removeprefix("Authorization: ") for line in lines if line.startswith("Authorization: ")]
    assert [header.split()[0] for header in headers] == ["Basic", "Bearer"]
    wait_known(server, headers[1])
    assert [introspects(server, header) for header in headers] == [200, 200]
    secret = lines[2]
    assert b64decode(headers[0].split()[1]).decode() == f"reader:{secret}"
    assert headers[1] == f"Bearer qk_reader.{secret}"
    assert f"curl --user reader:{secret} …" in lines


def wait_known(server: RunningServer, header: str, *, status: int = 200) -> None:
    """A running service knows callers at most 5 s late."""
    import time

    deadline = time.monotonic() + 15
    while introspects(server, header) != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_json_is_alone_on_standard_output(server: RunningServer) -> None:
    done = caller(server, "add", "machine", "--scope", "introspect,revoke", "--scope", "sessions", "--json")
    added = json.loads(done.stdout)
    assert added["name"] == "machine"
    assert added["scopes"] == ["introspect", "revoke", "sessions"]
    assert added["issuers"] is None
    assert added["bearer"] == f"qk_machine.{added['secret']}"


def test_a_caller_may_be_held_to_issuers(server: RunningServer) -> None:
    ours = "http://127.0.0.1:8400"
    assert caller(server, "add", "held", "--scope", "introspect", "--issuer", ours).returncode == 0
    listed = json.loads(caller(server, "list", "--json").stdout)["callers"]
    assert next(one for one in listed if one["name"] == "held")["issuers"] == [ours]
    unknown = caller(server, "add", "lost", "--scope", "introspect", "--issuer", "https://nobody.example")
    assert unknown.returncode == 2
    assert "https://nobody.example" in unknown.stderr


def test_the_list_shows_names_and_scopes_and_no_secret(server: RunningServer) -> None:
    added = json.loads(caller(server, "add", "listed", "--scope", "revoke", "--json").stdout)
    for done in (caller(server, "list"), caller(server, "list", "--json")):
        assert done.returncode == 0
        assert "listed" in done.stdout
        assert "admin" in done.stdout
        assert added["secret"] not in done.stdout
        assert "digest" not in done.stdout


def test_a_name_in_use_is_not_given_a_second_secret_by_accident(server: RunningServer) -> None:
    assert caller(server, "add", "twice", "--scope", "revoke").returncode == 0
    again = caller(server, "add", "twice", "--scope", "admin")
    assert again.returncode == 1
    assert "quash caller remove twice" in again.stderr
    assert again.stdout == ""


def test_a_removed_caller_is_refused_within_five_seconds(server: RunningServer) -> None:
    bearer = f"Bearer {json.loads(caller(server, 'add', 'gone', '--scope', 'introspect', '--json').stdout)['bearer']}"
    wait_known(server, bearer)
    assert json.loads(caller(server, "remove", "gone", "--json").stdout) == {"removed": "gone", "found": True}
    wait_known(server, bearer, status=401)
    again = caller(server, "remove", "gone")
    assert again.returncode == 1
    assert "no caller gone" in again.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("add", "admin", "--scope", "introspect"),
        ("remove", "admin"),
        ("add", "no spaces", "--scope", "introspect"),
        ("add", "x" * 65, "--scope", "introspect"),
        ("add", "-x", "--scope", "introspect"),
        ("add", "app"),
        ("add", "app", "--scope", ""),
        ("add", "app", "--scope", "everything"),
    ],
)
def test_wrong_names_and_scopes_are_usage(data_dir: Path, args: tuple[str, ...]) -> None:
    assert quash("caller", *args, data_dir=data_dir).returncode == 2
    assert not data_dir.exists()
