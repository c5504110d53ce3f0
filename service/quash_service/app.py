"""The composition root of the HTTP face: ``create_app(settings)`` wires everything, importing does nothing."""

import os
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import Route

from .clock import Clock
from .http import docs, forward_auth, introspect, revoke, sessions, token, wellknown
from .http.edge import ERROR_HANDLERS, Edge
from .http.openapi import schema_of
from .running import running
from .settings import Settings
from .tokens.signer import Signer

# The hot routes first: they are matched in this order.
ROUTES = (
    Route("/introspect", introspect.introspect, methods=["POST"]),
    Route("/token", token.token, methods=["POST"]),
    Route("/revoke", revoke.revoke, methods=["POST"]),
    Route("/introspect/batch", introspect.batch, methods=["POST"]),
    Route("/forward-auth", forward_auth.forward_auth, methods=["GET"]),
    Route("/.well-known/oauth-authorization-server", wellknown.metadata, methods=["GET"]),
    Route("/.well-known/jwks.json", wellknown.jwks, methods=["GET"]),
    Route("/healthz", wellknown.healthz, methods=["GET"]),
    Route("/readyz", wellknown.readyz, methods=["GET"]),
    Route("/metrics", wellknown.metrics, methods=["GET"]),
    Route("/docs", docs.docs, methods=["GET"]),
    Route("/docs/assets/{name}", docs.asset, methods=["GET"]),
)


def create_app(
    settings: Settings,
    *,
    in_memory: bool = False,
    clock: Clock | None = None,
    random_bytes: Callable[[int], bytes] = os.urandom,
    signer: Signer | None = None,
) -> FastAPI:
    """Return the service as an ASGI application; its lifespan starts or reaches the engine.

    Parameters: ``in_memory`` for a throw-away trial without an engine, ``clock`` and
    ``random_bytes`` where time and randomness come from, ``signer`` who signs access tokens instead
    of the keys in the keys directory.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(
            settings, in_memory=in_memory, clock=clock, random_bytes=random_bytes, serving=True, signer=signer
        ) as services:
            app.state.services = services
            yield

    app = FastAPI(
        title="Quash",
        version=version("quash"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        exception_handlers=ERROR_HANDLERS,
        middleware=[
            Middleware(
                Edge,
                request_id=lambda: urlsafe_b64encode(random_bytes(9)).decode(),
                templates={route.endpoint: route.path for route in ROUTES},
            )
        ],
        redirect_slashes=False,
    )
    app.router.routes[:0] = ROUTES
    app.include_router(sessions.router)
    app.openapi = lambda: schema_of(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app
