"""The published reason codes, in the order in which the rules of a check are tried.

The order is part of the contract: the first rule that hits decides, so a token that is both
expired and revoked is reported as ``expired``.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a token is not good, or not good enough; the values are stable."""

    # Parsing and signature: the token itself.
    MALFORMED = "malformed"
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed"
    WEAK_KEY = "weak_key"
    UNKNOWN_ISSUER = "unknown_issuer"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    MISSING_CLAIM = "missing_claim"
    # Claims against the clock and the policy.
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ISSUED_IN_FUTURE = "issued_in_future"
    WRONG_AUDIENCE = "wrong_audience"
    WRONG_TYPE = "wrong_type"
    LIFETIME_TOO_LONG = "lifetime_too_long"
    # The state.
    KEY_REVOKED = "key_revoked"
    ISSUER_REVOKED = "issuer_revoked"
    STORE_REBORN = "store_reborn"
    TOKEN_REVOKED = "token_revoked"
    VERSION_SUPERSEDED = "version_superseded"
    SESSION_MISMATCH = "session_mismatch"
    SESSION_REVOKED = "session_revoked"
    SESSION_EXPIRED = "session_expired"
    SESSION_UNKNOWN = "session_unknown"
    SESSION_SUPERSEDED = "session_superseded"
    # Active, but not enough for what was asked.
    INSUFFICIENT_SCOPE = "insufficient_scope"
    REAUTHENTICATION_REQUIRED = "reauthentication_required"


INSUFFICIENT = frozenset({Reason.INSUFFICIENT_SCOPE, Reason.REAUTHENTICATION_REQUIRED})
"""The reasons of a token that is active but not enough (HTTP 403 and 401 challenges)."""


class Cause(StrEnum):
    """Why somebody revoked; stored with the revocation and audited."""

    LOGOUT = "logout"
    PASSWORD_CHANGE = "password_change"
    PERMISSIONS_CHANGED = "permissions_changed"
    ADMIN = "admin"
    ACCOUNT_DISABLED = "account_disabled"
    REUSE = "reuse"
    DETECTION = "detection"
    EVICTED = "evicted"
    COMPROMISED = "compromised"
    OTHER = "other"
