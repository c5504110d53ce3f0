"""``/docs``: the API page, its script and style served by us, so that no other host learns of a visit."""

from functools import cache
from importlib.resources import files

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import Response

from .problems import Problem

_ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript", "favicon.png": "image/png"}


async def docs(_: Request) -> Response:
    """The API page."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Quash",
        swagger_js_url="docs/assets/swagger-ui-bundle.js",
        swagger_css_url="docs/assets/swagger-ui.css",
        swagger_favicon_url="docs/assets/favicon.png",
    )


@cache
def _asset(name: str) -> bytes:
    return (files("fastapi_offline") / "static" / name).read_bytes()


async def asset(request: Request) -> Response:
    """One of the page's files."""
    name = request.path_params["name"]
    if name not in _ASSETS:
        raise Problem("not_found")
    return Response(_asset(name), media_type=_ASSETS[name], headers={"cache-control": "public, max-age=86400"})
