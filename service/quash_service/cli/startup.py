"""Keeping what stopped the start of the application, which uvicorn would only log as a traceback."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Startup:
    """An ASGI application around another one; ``failure`` is what its lifespan raised before it was ready."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.failure: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                # Whoever runs the server says what happened, in one sentence.
                logging.getLogger("uvicorn.error").disabled = True
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except BaseException as error:
            self.failure = error
            raise
