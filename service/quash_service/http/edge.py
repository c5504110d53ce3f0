"""The edge: request ids, latency, logs, and every error in the format of its route."""

import time
from collections.abc import Callable, Mapping
from re import compile as pattern
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quash.errors import Unavailable
from quash_service.logs import get_logger
from quash_service.metrics import Metrics
from quash_service.store import StateFull

from .bodies import BODY_S, bounded, media_type
from .problems import Problem

OAUTH_ROUTES = frozenset({"/introspect", "/revoke", "/token"})
_REQUEST_ID = pattern(r"[A-Za-z0-9._-]{1,64}")

log = get_logger()


def answer_error(request: Request, problem: Problem) -> Response:
    """Return a problem in the format of the request's route.

    ``/revoke`` takes forms (RFC 7009) and JSON, and answers each in its own way.
    """
    path = request.scope["path"]
    if path in OAUTH_ROUTES and not (path == "/revoke" and media_type(request) == "application/json"):
        return problem.as_oauth()
    return problem.as_problem()


def translate(request: Request, error: Exception) -> Problem:
    """Return the problem that an exception stands for, counting what the engine could not do."""
    metrics: Metrics = request.app.state.services.metrics
    match error:
        case Problem():
            return error
        case Unavailable():
            kind = str(error.evidence.get("engine") or error.evidence.get("state") or "jwks")
            metrics.engine_errors.labels(kind).inc()
            log.warning("unavailable", kind=kind)
            return Problem("unavailable")
        case StateFull():
            metrics.engine_errors.labels("full").inc()
            log.error("state_full")
            return Problem("state_full")
        case HTTPException(status_code=404):
            return Problem("not_found")
        case HTTPException(status_code=405):
            return Problem("method_not_allowed", headers={"allow": _allowed(request, error)})
        case HTTPException() | ClientDisconnect():  # who hung up before the body was whole reads no answer
            return Problem("invalid_request")
        case _:
            log.error("internal_error", exc_info=error)
            return Problem("internal_error")


def _allowed(request: Request, error: HTTPException) -> str:
    """RFC 9110 §15.5.6 wants all methods of the resource; the route that refused knows its own only."""
    own = Headers(error.headers or {}).get("allow", "")
    listed = request.app.openapi()["paths"].get(getattr(request.scope.get("route"), "path", ""), {})
    return ", ".join(sorted({*filter(None, own.split(", ")), *(method.upper() for method in listed)}))


class Edge:
    """The outermost middleware.

    Parameters: ``request_id`` makes a fresh id, ``templates`` names the paths of plain routes by
    their endpoints (FastAPI's own routes name themselves), ``body_s`` is how many seconds a body may
    take to arrive.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        request_id: Callable[[], str],
        templates: Mapping[object, str],
        body_s: float = BODY_S,
    ) -> None:
        self._app = app
        self._request_id = request_id
        self._templates = templates
        self._body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["quash.request_id"] = rid = self._stated_id(scope) or self._request_id()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=rid)
        started = time.perf_counter()
        status = 500

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = rid
            await send(message)

        try:
            await self._app(scope, bounded(scope, receive, body_s=self._body_s), send_marked)
        except Exception as error:  # noqa: BLE001 - answered here, so that no server prints it elsewhere
            request = Request(scope, receive)
            await answer_error(request, translate(request, error))(scope, receive, send_marked)
        finally:
            self._account(scope, status, time.perf_counter() - started)

    def _stated_id(self, scope: Scope) -> str | None:
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                text = str(value.decode("latin-1"))
                return text if _REQUEST_ID.fullmatch(text) else None
        return None

    def _account(self, scope: Scope, status: int, seconds: float) -> None:
        # The template, never the path: paths name sessions, and their number is the caller's to choose.
        template = self._templates.get(scope.get("endpoint")) or getattr(scope.get("route"), "path", "unmatched")
        metrics: Metrics = scope["app"].state.services.metrics
        metrics.latency.labels(template, scope["method"], status).observe(seconds)
        log.debug("request", route=template, method=scope["method"], status=status, ms=round(seconds * 1000, 1))


async def on_error(request: Request, error: Exception) -> Response:
    """Answer an exception of a route, or of routing itself."""
    return answer_error(request, translate(request, error))


async def on_invalid(request: Request, error: Exception) -> Response:
    """Answer what a route's model refused: where and why, never the value itself."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    first = error.errors()[0]
    place, *path = map(str, first["loc"])
    where = ".".join(path) or place
    code = "invalid_body" if place == "body" else "invalid_parameter"
    return answer_error(request, Problem(code, f"{where}: {first['msg']}"))


ERROR_HANDLERS: dict[Any, Any] = {
    Problem: on_error,
    Unavailable: on_error,
    StateFull: on_error,
    HTTPException: on_error,
    RequestValidationError: on_invalid,
}
