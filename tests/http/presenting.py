"""Presenting a refresh token, and what the metric, the audit and the answer say of it."""

from typing import Any

import httpx

from tests.http.support import Service, oauth_error

REFUSED = (400, "invalid_grant")
GRACE_S = 30
PHONE: dict[str, Any] = {"user_agent": "phone/1", "ip": "192.0.2.7"}
TABLET: dict[str, Any] = {"user_agent": "tablet/1", "ip": "192.0.2.8"}
ELSEWHERE: dict[str, Any] = {"user_agent": "phone/1", "ip": "198.51.100.7"}


async def outcome(service: Service, token: str, **form: Any) -> tuple[str, str, httpx.Response]:
    """Present a token; return the outcome and detail that were counted, and the answer."""
    before = _rotations(service)
    answer = await service.refresh(token, **form)
    grown = {labels: value - before.get(labels, 0) for labels, value in _rotations(service).items()}
    ((name, detail),) = [labels for labels, more in grown.items() if more]
    return name, detail, answer


async def refused_as(service: Service, token: str, **form: Any) -> tuple[str, str]:
    """Present a token that is refused; return what the metric says, while the caller sees what it always sees."""
    name, detail, answer = await outcome(service, token, **form)
    assert oauth_error(answer) == REFUSED
    assert answer.json()["error_description"] == "the refresh token is invalid, expired or revoked"
    return name, detail


async def accepted_as(service: Service, token: str, **form: Any) -> tuple[str, str]:
    """Present a token that is accepted; return the outcome and the successor."""
    name, detail, answer = await outcome(service, token, **form)
    assert (answer.status_code, detail) == (200, ""), answer.text
    return name, str(answer.json()["refresh_token"])


async def audited_kinds(service: Service, sid: str) -> list[str]:
    """Return the kinds of a session's audit entries, oldest first."""
    return [entry["kind"] for entry in await service.audited(sid)]


def _rotations(service: Service) -> dict[tuple[str, str], float]:
    samples = next(iter(service.parts.metrics.rotations.collect())).samples
    return {(one.labels["outcome"], one.labels["detail"]): one.value for one in samples}
