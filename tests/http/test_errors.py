"""Errors, request ids and logs: what an error says, and what is said to nobody."""

import io
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from tests.http.support import SECRET, Service, basic, fresh, oauth_error, problem
from tests.service import ADMIN

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", ["/", "/nothing", "/introspect/", "/sessions/a/b", "/Introspect", "//introspect"])
async def test_an_unknown_path_is_a_404_problem(service: Service, path: str) -> None:
    answer = await service.client.get(f"http://quash.test{path}")
    assert problem(answer) == (404, "not_found")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/introspect/batch", {"POST"}),
        ("PUT", "/sessions", {"GET", "POST", "DELETE"}),
        ("POST", "/sessions/some-sid", {"GET", "DELETE"}),
        ("GET", "/sessions/some-sid/step-up", {"POST"}),
        ("POST", "/forward-auth", {"GET", "HEAD"}),
        ("DELETE", "/healthz", {"GET", "HEAD"}),
        ("POST", "/openapi.json", {"GET", "HEAD"}),
    ],
)
async def test_another_method_is_a_405_problem_that_says_which_are_allowed(
    service: Service, method: str, path: str, allowed: set[str]
) -> None:
    answer = await service.client.request(method, path)
    assert problem(answer) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", ["/introspect", "/token", "/revoke"])
async def test_on_oauth_routes_errors_are_rfc_6749_ones(service: Service, path: str) -> None:
    assert oauth_error(await service.client.get(path)) == (405, "method_not_allowed")
    assert oauth_error(await service.client.post(path, data={})) == (400, "invalid_request")


async def test_revoke_answers_each_body_in_its_own_way(service: Service) -> None:
    assert oauth_error(await service.http().post("/revoke", data={"token": "t"})) == (401, "invalid_client")
    assert problem(await service.http().post("/revoke", json={"sub": "a"})) == (401, "unauthenticated")
    answer = await service.client.post("/revoke", content=b"{", headers={"content-type": "application/json"})
    assert problem(answer) == (422, "invalid_body")


@pytest.mark.parametrize(
    ("path", "content", "media_type", "expected"),
    [
        ("/introspect/batch", b"{}", "text/plain", (415, "unsupported_media_type")),
        ("/introspect/batch", b"{", "application/json", (422, "invalid_body")),
        ("/introspect/batch", b"\xff", "application/json", (422, "invalid_body")),
        ("/sessions", b"{", "application/json", (422, "invalid_body")),
        ("/sessions", b'"sub"', "application/json", (422, "invalid_body")),
        ("/sessions", b'{"sub": "a"}', "text/plain", (422, "invalid_body")),
        ("/sessions", b'{"sub": "\\ud800"}', "application/json", (422, "invalid_body")),
        ("/sessions", b"x" * (64 * 1024 + 1), "application/json", (413, "body_too_large")),
        ("/introspect/batch", b"x" * (1024 * 1024 + 1), "application/json", (413, "body_too_large")),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_problem(
    service: Service, path: str, content: bytes, media_type: str, expected: tuple[int, str]
) -> None:
    answer = await service.client.post(path, content=content, headers={"content-type": media_type})
    assert problem(answer) == expected


@pytest.mark.parametrize("query", ["", "sub=", "sub=" + "x" * 256, "sub=a%00b"])
async def test_a_query_of_another_form_is_a_422_problem(service: Service, query: str) -> None:
    assert problem(await service.client.get(f"/sessions?{query}")) == (422, "invalid_parameter")


async def test_a_refused_value_is_not_said_back(service: Service) -> None:
    answer = await service.client.post("/sessions", json={"sub": "a", "acr": {"password": "hunter2"}})
    assert problem(answer)[0] == 422
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("path", ["/introspect", "/introspect/batch", "/token", "/revoke", "/sessions"])
async def test_an_error_of_ours_is_500_and_leaks_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch, path: str, logged: io.StringIO
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("inner-detail")

    monkeypatch.setattr(service.parts.callers, "authenticate", broken)
    body: dict[str, Any] = (
        {"json": {"sub": "a"}} if path in {"/introspect/batch", "/sessions"} else {"data": {"a": "b"}}
    )
    answer = await service.client.post(path, **body)
    expected = (500, "internal_error")
    assert (problem if "json" in body else oauth_error)(answer) == expected
    assert "inner-detail" not in answer.text
    rid = answer.headers["x-request-id"]
    (entry,) = [one for one in entries(logged) if one["event"] == "internal_error" and one["request_id"] == rid]
    assert "inner-detail" in entry["exception"]


@pytest.mark.parametrize("path", ["/introspect", "/token", "/revoke"])
async def test_who_hangs_up_in_the_middle_writes_no_error_into_the_log(
    service: Service, path: str, logged: io.StringIO
) -> None:
    """Anybody can, before saying who it is, as often as it likes."""
    said = len(logged.getvalue())
    pieces = iter(({"type": "http.request", "body": b"tok", "more_body": True}, {"type": "http.disconnect"}))
    form = (b"content-type", b"application/x-www-form-urlencoded")
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": [form]}

    async def receive() -> dict[str, Any]:
        return next(pieces)

    async def send(_: MutableMapping[str, Any]) -> None:
        """Nobody is there."""

    await service.app(scope, receive, send)
    assert "error" not in {entry["level"] for entry in entries(io.StringIO(logged.getvalue()[said:]))}


def entries(logged: io.StringIO) -> list[dict[str, Any]]:
    """Return what was logged: one JSON object a line."""
    return [json.loads(line) for line in logged.getvalue().splitlines()]


@pytest.mark.parametrize("rid", ["a", "A.b_c-9", "x" * 64])
async def test_a_request_id_is_echoed(service: Service, rid: str) -> None:
    for path in ("/healthz", "/nothing"):
        answer = await service.http().get(path, headers={"x-request-id": rid})
        assert answer.headers.get_list("x-request-id") == [rid]


@pytest.mark.parametrize("rid", ["", "x" * 65, "a b", "ü".encode(), 'a"b', "a,b"])
async def test_a_request_id_of_another_form_is_replaced(service: Service, rid: str | bytes) -> None:
    stated = rid if isinstance(rid, bytes) else rid.encode()
    answer = await service.http().get("/healthz", headers=[(b"x-request-id", stated)])
    assert answer.headers["x-request-id"].encode() != stated
    assert len(answer.headers["x-request-id"]) == 12


async def test_request_ids_differ(service: Service) -> None:
    seen = {(await service.http().get("/healthz")).headers["x-request-id"] for _ in range(50)}
    assert len(seen) == 50


async def test_logs_are_json_with_the_requests_id_and_its_route(service: Service, logged: io.StringIO) -> None:
    sid = (await service.open())["session_id"]
    await service.client.get(f"/sessions/{sid}", headers={"x-request-id": (rid := fresh("rid"))})
    (entry,) = [one for one in entries(logged) if one.get("request_id") == rid]
    assert (entry["event"], entry["route"], entry["status"]) == ("request", "/sessions/{sid}", 200)
    assert sid not in json.dumps(entry)


async def test_no_token_or_secret_is_ever_logged(service: Service, logged: io.StringIO) -> None:
    logged.truncate(0)
    logged.seek(0)
    await service.caller("introspect", name="logging")
    session = await service.open(sub := fresh(), user_agent="phone/1", claims={"password": "hunter2"})
    access, token = session["access_token"], session["refresh_token"]
    bearer = {"authorization": f"Bearer {access}"}
    for client in (service.client, service.http(headers=basic("logging", SECRET)), service.http(headers=bearer)):
        for path in ("/introspect", "/revoke", "/token", "/introspect/batch", "/sessions"):
            await client.post(path, data={"token": access, "refresh_token": token, "client_secret": ADMIN})
            await client.post(path, json={"token": access[:-2], "tokens": [access, token], "sub": sub})
            await client.get(f"{path}?token={token}&secret={SECRET}")
    await service.http().get("/forward-auth", headers=bearer)
    successor = await service.refreshed((await service.open())["refresh_token"])
    await service.client.post("/revoke", data={"token": successor["refresh_token"]})
    await service.refresh(successor["refresh_token"])
    await service.redis.flushall()
    await service.parts.pulse()
    written = logged.getvalue()
    assert '"route": "/introspect"' in written
    keys = (service.parts.settings.keys_folder / "signing-keys.json").read_text()
    secrets = (service.parts.settings.keys_folder / "refresh-secrets.json").read_text()
    private = [row["jwk"]["d"] for row in json.loads(keys)["keys"]]
    macs = [one.rpartition(".")[2] for one in (access, token, successor["refresh_token"], successor["access_token"])]
    for secret in (ADMIN, SECRET, "hunter2", *private, *macs, json.loads(secrets)["secrets"][0]["secret"]):
        assert secret not in written
