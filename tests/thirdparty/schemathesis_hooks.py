"""What schemathesis is told about this service: who calls, and which refusals are no judgement of a request's form.

Loaded by schemathesis in a process of its own (SCHEMATHESIS_HOOKS), never by pytest.
"""

import os
from base64 import b64encode
from typing import Any

import httpx
import schemathesis
from schemathesis.checks import CHECKS, load_all_checks

URL, SECRET = os.environ["QUASH_TEST_URL"], os.environ["QUASH_TEST_SECRET"]
NOT_THERE = frozenset({"invalid_grant", "invalid_scope", "unknown_issuer", "key_unknown", "instant_out_of_range"})
"""Codes for a request of good form that names what does not exist, or an instant that cannot be."""


@schemathesis.auth(refresh_interval=None)
class Authorization:
    """The caller `admin`; for forward auth an end user, who logs in anew for each request."""

    def get(self, case: Any, _: Any) -> str:
        """Return the header."""
        if case.operation.path != "/forward-auth":
            return "Basic " + b64encode(f"admin:{SECRET}".encode()).decode()
        answer = httpx.post(f"{URL}/sessions", json={"sub": "end-user", "acr": "mfa"}, auth=("admin", SECRET))
        # None when a test revoked our whole issuer within this very second.
        return f"Bearer {answer.json().get('access_token', 'none')}"

    def set(self, case: Any, data: str, _: Any) -> None:
        """Put the header into a request."""
        case.headers["Authorization"] = data


@schemathesis.hook
def before_load_schema(_: Any, schema: dict[str, Any]) -> None:
    """Say what text holds JSON: for JSON Schema a media type of a text is no rule, so any text would do."""
    form = schema["paths"]["/token"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert form["properties"]["claims"]["contentMediaType"] == "application/json"
    form["properties"]["claims"] = {"type": "string", "enum": ["", "{}", '{"roles": ["buyer"], "n\\u00e4me": -0.5}']}


load_all_checks()
_accepted: Any = CHECKS.get_one("positive_data_acceptance")
CHECKS.unregister("positive_data_acceptance")


@schemathesis.check
def positive_data_acceptance(ctx: Any, response: Any, case: Any) -> bool | None:
    """Hold every request of good form to be accepted, unless the answer says that what it names is not there."""
    if response.status_code in {400, 422}:
        document = response.json()
        if document.get("code", document.get("error")) in NOT_THERE:
            return None
    result: bool | None = _accepted(ctx, response, case)
    return result
