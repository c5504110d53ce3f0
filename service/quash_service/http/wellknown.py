"""What everybody may read: metadata, keys, health and metrics."""

from starlette.requests import Request
from starlette.responses import Response

from quash.errors import Unavailable
from quash_service.metrics import CONTENT_TYPE

from .callers import services_of
from .problems import Problem, answer

MAX_OFFSET_MS = 2_000


async def metadata(request: Request) -> Response:
    """RFC 8414 §3: what this authorization server's endpoints are and how callers authenticate."""
    services = services_of(request)
    issuer = services.settings.issuer
    base = issuer.rstrip("/")
    methods = ["client_secret_basic", "client_secret_post"]
    return answer(
        {
            "issuer": issuer,
            "token_endpoint": f"{base}/token",
            "token_endpoint_auth_methods_supported": methods,
            "introspection_endpoint": f"{base}/introspect",
            "introspection_endpoint_auth_methods_supported": methods,
            "revocation_endpoint": f"{base}/revoke",
            "revocation_endpoint_auth_methods_supported": methods,
            "jwks_uri": f"{base}/.well-known/jwks.json",
            "grant_types_supported": ["refresh_token"],
            # RFC 8414 §2 requires the member; without an authorization endpoint there are none.
            "response_types_supported": [],
            "service_documentation": f"{base}/docs",
        }
    )


async def jwks(request: Request) -> Response:
    """RFC 7517 §5: the public keys of minting: next, active and retired, never a revoked one."""
    services = services_of(request)
    response = answer(services.keyring.published() if services.minter is not None else {"keys": []})
    response.headers["cache-control"] = "public, max-age=300"
    return response


async def healthz(_: Request) -> Response:
    """Liveness: this process answers, whatever the state does."""
    return answer({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Readiness: the state answers, was born, and its clock and ours agree within 2 s."""
    services = services_of(request)
    if not await services.floor.ready():
        raise Unavailable(evidence={"state": "unborn"})
    offset_ms = services.clock.offset_ms
    if abs(offset_ms) > MAX_OFFSET_MS:
        raise Problem("unavailable", f"this host's clock and the engine's differ by {offset_ms} ms: set the clock")
    return answer({"status": "ready", "clock_offset_ms": offset_ms})


async def metrics(request: Request) -> Response:
    """Prometheus metrics of all workers."""
    return Response(services_of(request).metrics.page(), headers={"cache-control": "no-store"}, media_type=CONTENT_TYPE)
