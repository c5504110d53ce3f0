"""What reads requests and writes errors: a value, or a problem of the table; never a crash."""

import json
from base64 import b64encode
from collections.abc import Coroutine, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.types import Message

from quash_service.http import callers
from quash_service.http.bodies import read_form
from quash_service.http.claims import checked_claims, checked_scope
from quash_service.http.problems import STATUS, Problem
from quash_service.http.selectors import read_selector
from quash_service.networks import network_of
from tests.fuzz.mutations import Target
from tests.fuzz.tokens import TOKENS

FORM_TYPE = b"application/x-www-form-urlencoded"
FORMS = (
    b"token=" + TOKENS[0] + b"&token_type_hint=access_token&client_id=a&client_secret=b",
    b"grant_type=refresh_token&refresh_token=qrt_x.0.y&scope=a+b&claims=%7B%22a%22%3A1%7D&ip=192.0.2.1&user_agent=%C3%BC",
    b"a=1&b=&c=%20&d",
)
SELECTORS = tuple(
    json.dumps(one).encode()
    for one in (
        {"token": "t", "cause": "logout"},
        {"session_id": "s" * 38},
        {"jti": "j", "sub": "bob", "exp": 1_900_000_000, "iss": "https://a"},
        {"sub": "bob", "keep": ["s" * 38], "access_only": True, "cause": "admin"},
        {"kid": "k", "thumbprint": "x" * 43},
        {"issuer": "https://a", "before": 1_900_000_000},
    )
)
HEADERS = tuple(
    header.encode()
    for header in (
        "Basic " + b64encode(b"orders:secret").decode(),
        "Basic " + b64encode(b"a%3Ab:c+d").decode(),
        "Bearer qk_orders.secret",
        f"Bearer {TOKENS[0].decode()}",
        "Digest a=b",
    )
)


def _finished(waiting: Coroutine[Any, Any, dict[str, str]]) -> dict[str, str]:
    """Run what never has to wait."""
    try:
        waiting.send(None)
    except StopIteration as done:
        value: dict[str, str] = done.value
        return value
    raise AssertionError("it waits")


def any_form(data: bytes) -> None:
    """A form is read strictly, or refused with 400."""

    async def receive() -> Message:
        return {"type": "http.request", "body": data, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", FORM_TYPE)]}
    try:
        form = _finished(read_form(Request(scope, receive)))
    except Problem as problem:
        assert problem.status_code == 400  # noqa: PT017 - any other error is the finding
        return
    assert all(value for value in form.values())
    for text in form.values():
        assert text.encode().decode() == text
        _scope_and_network(text)


def _scope_and_network(text: str) -> None:
    for read in (checked_scope, network_of):
        try:
            read(text)
        except (Problem, ValueError):
            continue


def any_selector(data: bytes) -> None:
    """What a JSON revocation names is one thing, or a problem that can be written."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    for read in (read_selector, checked_claims):
        try:
            read(body)
        except Problem as problem:
            _written(problem)


def any_detail(data: bytes) -> None:
    """Whatever a detail says, the problem can be written and read."""
    text = data.decode("utf-8", "surrogatepass" if b"\xed" in data else "replace") if _decodes(data) else str(data)
    for code in ("invalid_body", "invalid_parameter", "unavailable"):
        _written(Problem(code, text))


def _decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _written(problem: Problem) -> None:
    status, _ = STATUS[problem.code]
    document = json.loads(bytes(problem.as_problem().body))
    assert (document["status"], document["code"]) == (status, problem.code)
    answer = problem.as_oauth()
    assert answer.status_code == status
    assert set(json.loads(bytes(answer.body))) == {"error", "error_description"}
    assert b"\n" not in b"".join(name + value for name, value in answer.raw_headers)


def any_authorization(data: bytes) -> None:
    """An Authorization header names nobody, or whoever it spells."""
    for name, secret in callers._from_header(data.decode("latin-1")):
        assert (name + secret).encode().decode() == name + secret


TARGETS: Mapping[str, Target] = {
    "form": (any_form, FORMS),
    "selector": (any_selector, SELECTORS),
    "problem": (any_detail, (b"sub: must be a string", "ü".encode(), b"\xed\xa0\x80")),
    "authorization": (any_authorization, HEADERS),
}
