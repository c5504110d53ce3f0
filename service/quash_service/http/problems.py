"""Errors over HTTP: the one table of status codes, and the two formats.

OAuth routes answer as RFC 6749 §5.2 has it, all others RFC 9457 problem documents with ``code``.
The text is constant per code; detail that could tell an outsider more goes to the log.
"""

from collections.abc import Mapping
from http import HTTPStatus
from re import compile as pattern

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

RETRY_AFTER_S = 1
_MAX_DETAIL = 300
_NOT_OAUTH = pattern(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")

STATUS: dict[str, tuple[int, str]] = {
    "invalid_request": (400, "the request is malformed"),
    "unsupported_token_type": (400, "a token without jti cannot be revoked one by one"),
    "unsupported_grant_type": (400, "only grant_type=refresh_token is supported"),
    "invalid_grant": (400, "the refresh token is invalid, expired or revoked"),
    "invalid_scope": (400, "the scope exceeds what the session has"),
    "invalid_client": (401, "callers authenticate by Basic, form parameters or a qk_ bearer secret"),
    "unauthenticated": (401, "callers authenticate by Basic or a qk_ bearer secret"),
    "insufficient_scope": (403, "the caller lacks the scope that this route needs"),
    "not_found": (404, "there is no such route"),
    "session_unknown": (404, "there is no such session"),
    "method_not_allowed": (405, "this route does not take this method"),
    "request_timeout": (408, "the request did not arrive in time"),
    "authentication_superseded": (409, "the authentication is older than the user's last revocation: log in again"),
    "session_ended": (409, "the session is over: log in again"),
    "body_too_large": (413, "the body is larger than this route takes"),
    "too_many_tokens": (413, "a batch takes at most 1,000 tokens"),
    "unsupported_media_type": (415, "this route takes application/json"),
    "invalid_body": (422, "the body does not have the form that this route takes"),
    "invalid_parameter": (422, "a parameter does not have the form that this route takes"),
    "unknown_issuer": (422, "no such issuer is configured"),
    "issuer_required": (422, "with minting off, iss must be stated"),
    "key_unknown": (422, "the issuer has no such key"),
    "reserved_claim": (422, "claims must not use registered names"),
    "claims_too_large": (422, "claims take at most 4 KiB"),
    "instant_out_of_range": (422, "the instant lies too far ahead: it is in seconds, not ms"),
    "too_many_sessions": (429, "this user opened too many sessions within a minute"),
    "internal_error": (500, "an error of ours; the log has it under the request id"),
    "unavailable": (503, "the revocation state could not be read or written: try again shortly"),
    "state_full": (503, "the engine's memory is full: revoking works, opening and refreshing do not"),
}
"""Every code that can be answered: status and text."""

OAUTH_NAMES = {"unavailable": "temporarily_unavailable", "state_full": "temporarily_unavailable"}
"""Codes that OAuth has another name for."""
REPEATABLE = frozenset({429, 503})
"""Statuses that say when to come again."""


class Problem(HTTPException):
    """Ends a request with a code of the table. ``detail`` may add what this caller sent wrong."""

    def __init__(self, code: str, detail: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        status, text = STATUS[code]
        # A caller's own names may be in it, as long as it likes and with lone surrogates.
        said = (detail or text)[:_MAX_DETAIL].encode("utf-8", "replace").decode()
        super().__init__(status, said, dict(headers or {}))
        self.code = code

    def _headers(self) -> dict[str, str]:
        headers = {"cache-control": "no-store", **(self.headers or {})}
        if self.status_code in REPEATABLE:
            headers.setdefault("retry-after", str(RETRY_AFTER_S))
        return headers

    def as_problem(self) -> Response:
        """Return the RFC 9457 document."""
        document = {
            "type": "about:blank",
            "title": HTTPStatus(self.status_code).phrase,
            "status": self.status_code,
            "code": self.code,
            "detail": self.detail,
        }
        return Response(orjson.dumps(document), self.status_code, self._headers(), "application/problem+json")

    def as_oauth(self) -> Response:
        """Return the RFC 6749 §5.2 error."""
        # RFC 6749 §5.2: printable ASCII without quotation marks and backslashes.
        said = _NOT_OAUTH.sub("?", self.detail.replace('"', "'"))
        document = {"error": OAUTH_NAMES.get(self.code, self.code), "error_description": said}
        return Response(orjson.dumps(document), self.status_code, self._headers(), "application/json")


def answer(document: object, status: int = 200) -> Response:
    """Return a JSON answer that no cache may keep."""
    return Response(orjson.dumps(document), status, {"cache-control": "no-store"}, "application/json")


def answer_tokens(document: object, status: int = 200) -> Response:
    """Return an answer that holds tokens: RFC 6749 §5.1 asks for the older header too."""
    response = answer(document, status)
    response.headers["pragma"] = "no-cache"
    return response
