"""Comparing, and what tokens say of themselves."""

import json
from base64 import urlsafe_b64decode
from typing import Any

import httpx


def agree(got: object, wanted: object) -> None:
    """Compare the service's word with the oracle's; both are in the message."""
    assert got == wanted, f"\nthe service: {got}\nthe oracle:  {wanted}"


def answered(answer: httpx.Response, status: int = 200) -> Any:
    """Check an answer's status and return its document."""
    assert answer.status_code == status, f"{answer.status_code} instead of {status}: {answer.text}"
    return answer.json()


def refused(answer: httpx.Response, status: int, code: str) -> None:
    """Check an error: RFC 9457's ``code``, or OAuth's ``error``."""
    document = answer.json()
    agree((answer.status_code, document.get("code") or document.get("error")), (status, code))


def payload(raw: str) -> dict[str, Any]:
    """Return what an access token says, without asking who signed it."""
    part = raw.split(".")[1]
    document: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return document


def stated(**members: object) -> dict[str, object]:
    """Return a body without what was not stated."""
    return {name: value for name, value in members.items() if value is not None and value != ""}


def spoiled(raw: str) -> list[str]:
    """Return what was a refresh token and has no good mac or form any more."""
    head, generation, mac = raw.split(".")
    return [
        f"{head}.{generation}.{mac[:-4]}{'AAAA' if mac[-4:] != 'AAAA' else 'BBBB'}",
        f"{head}.{int(generation) + 1}.{mac}",
        f"{head}.0{generation}.{mac}",
        raw[:-1],
    ]
