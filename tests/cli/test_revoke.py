"""`quash revoke` and `quash sessions`, beside a running service."""

import json
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import Done, is_active, open_session, quash
from tests.servers import RunningServer, serve

OURS = "http://127.0.0.1:8400"


def revoke(server: RunningServer, *args: str, stdin: str = "") -> Done:
    return quash("revoke", *args, data_dir=server.data_dir, stdin=stdin)


def refresh(server: RunningServer, token: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return httpx.post(f"{server.url}/token", data=form, auth=("admin", server.admin_secret))


def test_an_access_token_ends_itself_only(server: RunningServer) -> None:
    opened = open_session(server, "one")
    done = revoke(server, "--token", "-", stdin=opened["access_token"] + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert opened["access_token"] not in done.stdout
    assert not is_active(server, opened["access_token"])
    assert is_active(server, opened["refresh_token"])


def test_a_refresh_token_ends_its_session(server: RunningServer) -> None:
    opened = open_session(server, "two")
    done = revoke(server, "--token", "-", "--json", "--cause", "logout", stdin=opened["refresh_token"])
    answer = json.loads(done.stdout)
    assert (answer["revoked"], answer["session_id"], answer["found"]) == ("session", opened["session_id"], True)
    assert not is_active(server, opened["access_token"])
    assert refresh(server, opened["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_session_ends_alone(server: RunningServer) -> None:
    laptop, phone = open_session(server, "three"), open_session(server, "three")
    assert revoke(server, "--session", laptop["session_id"]).returncode == 0
    assert not is_active(server, laptop["access_token"])
    assert is_active(server, phone["access_token"])


def test_a_user_goes_but_for_what_is_kept(server: RunningServer) -> None:
    laptop, phone, tablet = (open_session(server, "four") for _ in range(3))
    keep = ("--keep", laptop["session_id"], "--keep", phone["session_id"], "--keep", "x" * 38)
    done = revoke(server, "--user", "four", *keep, "--json", "--cause", "password_change")
    answer = json.loads(done.stdout)
    assert set(answer["kept"]) == {laptop["session_id"], phone["session_id"]}
    assert "not kept: " + "x" * 38 in done.stderr
    assert refresh(server, laptop["refresh_token"]).status_code == 200
    assert refresh(server, tablet["refresh_token"]).status_code == 400
    assert not any(is_active(server, one["access_token"]) for one in (laptop, phone, tablet))


def test_access_only_spares_the_sessions(server: RunningServer) -> None:
    opened = open_session(server, "five")
    assert revoke(server, "--user", "five", "--access-only", "--iss", OURS).returncode == 0
    assert not is_active(server, opened["access_token"])
    assert refresh(server, opened["refresh_token"]).status_code == 200


def test_a_key_goes_and_the_running_service_signs_with_the_next(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        opened = open_session(server, "six")
        before = httpx.get(f"{server.url}/.well-known/jwks.json").json()["keys"]
        (kid,) = {key["kid"] for key in before} & {kid_of(opened["access_token"])}
        done = revoke(server, "--kid", kid, "--cause", "compromised")
        assert (done.returncode, done.stderr) == (0, "")
        assert not is_active(server, opened["access_token"])
        wait_signed_otherwise(server, opened["refresh_token"], kid)
        assert kid not in {key["kid"] for key in httpx.get(f"{server.url}/.well-known/jwks.json").json()["keys"]}


def kid_of(token: str) -> str:
    import jwt

    return str(jwt.get_unverified_header(token)["kid"])


def wait_signed_otherwise(server: RunningServer, token: str, kid: str) -> None:
    """Running workers take over changed keys within a second."""
    for _ in range(100):
        answer = refresh(server, token).json()
        token = answer["refresh_token"]
        if kid_of(answer["access_token"]) != kid:
            assert is_active(server, answer["access_token"])
            return
    raise AssertionError("still signed with the revoked key")


def test_an_issuer_goes_only_with_yes(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        opened = open_session(server, "seven")
        refused = revoke(server, "--issuer", OURS)
        assert refused.returncode == 2
        assert "--yes" in refused.stderr
        assert is_active(server, opened["access_token"])
        assert revoke(server, "--issuer", OURS, "--yes").returncode == 0
        assert not is_active(server, opened["access_token"])
        assert refresh(server, opened["refresh_token"]).status_code == 400


@pytest.mark.parametrize(
    ("args", "stdin"),
    [
        (("--session", "x" * 38), ""),
        (("--session", "nonsense"), ""),
        (("--kid", "nobody"), ""),
        (("--token", "-"), "nonsense"),
        (("--token", "-"), "qrt_nonsense"),
    ],
)
def test_what_is_not_known_is_a_problem_found(server: RunningServer, args: tuple[str, ...], stdin: str) -> None:
    done = revoke(server, *args, stdin=stdin)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("quash: ")


def test_a_token_on_the_command_line_is_refused_and_not_repeated(data_dir: Path) -> None:
    done = quash("revoke", "--token", "eyJhbGciOiJFUzI1NiJ9.e30.AA", data_dir=data_dir)
    assert done.returncode == 2
    assert "standard input" in done.stderr
    assert "eyJ" not in done.stderr
    assert not data_dir.exists()


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("12345",),
        ("--user", "alice", "--session", "x" * 38),
        ("--user", "alice", "--cause", "5"),
        ("--user", "alice", "--cause", "because"),
        ("--session", "x" * 38, "--keep", "y" * 38),
        ("--session", "x" * 38, "--access-only"),
        ("--session", "x" * 38, "--iss", OURS),
        ("--token", "-"),
        ("--issuer", OURS),
    ],
)
def test_unclear_wishes_are_usage_and_touch_nothing(data_dir: Path, args: tuple[str, ...]) -> None:
    assert quash("revoke", *args, data_dir=data_dir).returncode == 2
    assert not data_dir.exists()


@pytest.mark.parametrize(
    "args",
    [("--user", ""), ("--user", "a\nb"), ("--user", "alice", "--iss", "https://nobody.example"), ("--user", "x" * 256)],
)
def test_names_that_cannot_be_are_usage(server: RunningServer, args: tuple[str, ...]) -> None:
    assert revoke(server, *args).returncode == 2


def test_sessions_are_listed_as_the_route_lists_them(server: RunningServer) -> None:
    for device in ("laptop", "phone"):
        open_session(server, "eight", device=device, ip="192.0.2.7", user_agent="agent", scope="read")
    auth = ("admin", server.admin_secret)
    over_http = httpx.get(f"{server.url}/sessions", params={"sub": "eight"}, auth=auth).json()
    done = quash("sessions", "eight", "--json", data_dir=server.data_dir)
    assert json.loads(done.stdout) == over_http
    assert len(over_http["sessions"]) == 2


def test_the_table_is_readable_and_holds_no_token(server: RunningServer) -> None:
    opened = open_session(server, "nine", device="laptop", ip="192.0.2.7")
    done = quash("sessions", "nine", data_dir=server.data_dir)
    head, row = done.stdout.splitlines()
    assert head.split() == ["SESSION", "OPENED", "LAST", "USED", "ENDS", "IP", "DEVICE"]
    assert row.split()[0] == opened["session_id"]
    assert row.split()[-2:] == ["192.0.2.7", "laptop"]
    assert opened["access_token"] not in done.stdout
    assert opened["refresh_token"] not in done.stdout


def test_a_user_agent_cannot_steer_the_terminal() -> None:
    from quash_service.cli.table import table

    text = table(("DEVICE",), [("\x1b[2J\x07evil\u202e\n",)])
    assert "evil" in text
    assert not set(text) & set("\x1b\x07\u202e")
    assert text.count("\n") == 1


def test_a_user_without_sessions_has_none_and_an_unknown_issuer_is_usage(server: RunningServer) -> None:
    done = quash("sessions", "nobody", data_dir=server.data_dir)
    assert (done.returncode, done.stdout) == (0, "nobody has no live session.\n")
    assert quash("sessions", "nobody", "--iss", "https://nobody.example", data_dir=server.data_dir).returncode == 2
