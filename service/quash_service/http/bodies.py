"""Reading bodies: bounded in size and time while they arrive, strict in form."""

import asyncio
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from .problems import Problem

FORM_LIMIT = 64 * 1024
BATCH_LIMIT = 1024 * 1024
BODY_S = 10.0
"""How long a body may take to arrive whole."""
MAX_FIELDS = 64


def media_type(request: Request) -> str:
    """Return the body's media type in lower case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def bounded(scope: Scope, receive: Receive, *, body_s: float = BODY_S) -> Receive:
    """Return ``receive`` with the route's limit: a larger or slower body is refused while it arrives.

    Parameters: ``body_s`` how many seconds the whole body may take from now on. Raises
    ``body_too_large`` at once when the length is stated, whichever it turns out to be; what is
    returned raises it too, or ``request_timeout``.
    """
    limit = BATCH_LIMIT if scope["path"] == "/introspect/batch" else FORM_LIMIT
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise Problem("body_too_large")
    size = 0
    deadline: float | None = asyncio.get_running_loop().time() + body_s

    async def receive_bounded() -> Message:
        nonlocal size, deadline
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            # What is left of the body must not be taken for the connection's next request.
            raise Problem("request_timeout", headers={"connection": "close"}) from None
        if not message.get("more_body", False):
            deadline = None  # from here on it waits for the caller to hang up, which takes any time
        size += len(message.get("body", b""))
        if size > limit:
            raise Problem("body_too_large")
        return message

    return receive_bounded


async def read_form(request: Request) -> dict[str, str]:
    """Return a form's parameters; empty ones count as absent (RFC 6749 §3.2).

    Raises ``invalid_request`` for another media type and for a repeated parameter.
    """
    if media_type(request) != "application/x-www-form-urlencoded":
        raise Problem("invalid_request", "this route takes application/x-www-form-urlencoded")
    body = await request.body()
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Problem("invalid_request", "the form is not UTF-8, or has too many parameters") from None
    form: dict[str, str] = {}
    for name, value in pairs:
        if name in form:
            raise Problem("invalid_request", "a parameter is repeated")
        form[name] = value
    return {name: value for name, value in form.items() if value}


async def read_json(request: Request) -> Any:  # noqa: ANN401 - the route validates it
    """Return a JSON body's document. Raises ``unsupported_media_type``, ``invalid_body``."""
    if media_type(request) != "application/json":
        raise Problem("unsupported_media_type")
    body = await request.body()
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Problem("invalid_body", "the body is not JSON") from None
