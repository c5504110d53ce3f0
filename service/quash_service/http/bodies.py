"""Reading bodies: bounded while they arrive, strict in form."""

from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from .problems import Problem

FORM_LIMIT = 64 * 1024
BATCH_LIMIT = 1024 * 1024
_MAX_FIELDS = 64


def media_type(request: Request) -> str:
    """Return the body's media type in lower case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body. Raises ``body_too_large`` as soon as it is, whatever its length was said to be."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise Problem("body_too_large")
        chunks.append(chunk)
    return b"".join(chunks)


async def read_form(request: Request) -> dict[str, str]:
    """Return a form's parameters; empty ones count as absent (RFC 6749 §3.2).

    Raises ``invalid_request`` for another media type and for a repeated parameter.
    """
    if media_type(request) != "application/x-www-form-urlencoded":
        raise Problem("invalid_request", "this route takes application/x-www-form-urlencoded")
    body = await read_body(request, FORM_LIMIT)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise Problem("invalid_request", "the form is not UTF-8, or has too many parameters") from None
    form: dict[str, str] = {}
    for name, value in pairs:
        if name in form:
            raise Problem("invalid_request", "a parameter is repeated")
        form[name] = value
    return {name: value for name, value in form.items() if value}


async def read_json(request: Request, limit: int = FORM_LIMIT) -> Any:  # noqa: ANN401 - the route validates it
    """Return a JSON body's document. Raises ``unsupported_media_type``, ``invalid_body``."""
    if media_type(request) != "application/json":
        raise Problem("unsupported_media_type")
    body = await read_body(request, limit)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Problem("invalid_body", "the body is not JSON") from None
