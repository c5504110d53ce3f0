"""The verdict: one pure function and one order. The first rule that hits decides.

Instants of the state are epoch ms, claims are epoch seconds. A token's ``iat`` is a whole second,
so wherever it is compared with an instant, the whole second counts as before it: fail safe.
"""

from collections.abc import Callable

from .claims import Claims
from .ids import issuer_tag, session_tag
from .keyspace import Record, Tombstone
from .policy import Ask
from .reader import State
from .reasons import Reason

ClaimRule = tuple[Reason, Callable[[Claims, int, Ask], bool]]
StateRule = tuple[Reason, Callable[[Claims, State, int], bool]]


def _expired(claims: Claims, now_ms: int, ask: Ask) -> bool:
    """RFC 7519 §4.1.4: on or after exp is too late."""
    return now_ms >= (claims.exp + ask.leeway_s) * 1000


def _not_yet_valid(claims: Claims, now_ms: int, ask: Ask) -> bool:
    """RFC 7519 §4.1.5."""
    return claims.nbf is not None and now_ms < (claims.nbf - ask.leeway_s) * 1000


def _issued_in_future(claims: Claims, now_ms: int, ask: Ask) -> bool:
    """An issuer's clock may run ahead by its skew; an auth_time is never after it either."""
    latest = now_ms + (ask.leeway_s + claims.policy.skew_s) * 1000
    return claims.iat * 1000 > latest or (claims.auth_time is not None and claims.auth_time * 1000 > latest)


def _wrong_audience(claims: Claims, _: int, ask: Ask) -> bool:
    """RFC 7519 §4.1.3: the audience must name one that is accepted, by the issuer's list and by this check."""
    return any(wanted and wanted.isdisjoint(claims.aud) for wanted in (claims.policy.audiences, ask.audiences))


def _wrong_type(claims: Claims, _: int, __: Ask) -> bool:
    """RFC 8725 §3.11 and §3.12: an id token or a logout token is no access token, by its header or by a claim."""
    policy = claims.policy
    return claims.typ not in policy.types or any(claims.all.get(name) != value for name, value in policy.require)


def _lifetime_too_long(claims: Claims, _: int, __: Ask) -> bool:
    """The state remembers a revocation as long as the longest lifetime, and no longer."""
    return claims.exp - claims.iat > claims.policy.max_access_ttl_s


CLAIM_RULES: tuple[ClaimRule, ...] = (
    (Reason.EXPIRED, _expired),
    (Reason.NOT_YET_VALID, _not_yet_valid),
    (Reason.ISSUED_IN_FUTURE, _issued_in_future),
    (Reason.WRONG_AUDIENCE, _wrong_audience),
    (Reason.WRONG_TYPE, _wrong_type),
    (Reason.LIFETIME_TOO_LONG, _lifetime_too_long),
)


def _lifetime_beyond_limit(claims: Claims, state: State, _: int) -> bool:
    """What the state publishes binds too; after a rise, tokens issued before it are held to the limit of then."""
    limit = state.shared.limits.get(issuer_tag(claims.iss))
    if limit is None:
        return False
    longest = limit.before_s if claims.iat * 1000 <= limit.since else limit.now_s
    return claims.exp - claims.iat > longest


def _key_revoked(claims: Claims, state: State, _: int) -> bool:
    """A stolen key forges any iat, so all of its tokens go, whenever they say they were issued."""
    return claims.key_tag in state.shared.keys


def _issuer_revoked(claims: Claims, state: State, _: int) -> bool:
    instant = state.shared.issuers.get(issuer_tag(claims.iss)) if state.shared.issuers else None
    return instant is not None and claims.iat * 1000 <= instant


def _store_reborn(claims: Claims, state: State, _: int) -> bool:
    """A state that was born later has forgotten what was revoked before: refuse, never resurrect."""
    if claims.sid is None:
        return claims.iat * 1000 <= state.shared.since
    if isinstance(state.session, Record):
        # Born is rounded down to its second, and nothing is opened before that second is over.
        return state.session.opened < state.shared.born + 1000
    return claims.iat * 1000 <= state.shared.born


def _token_revoked(_: Claims, state: State, __: int) -> bool:
    return state.jti_revoked


def _version_superseded(claims: Claims, state: State, _: int) -> bool:
    """Without ver, another clock set iat: fail safe inside the issuer's skew."""
    if claims.ver is not None:
        return claims.ver < state.version
    return state.version > 0 and claims.iat <= state.version // 1000 + claims.policy.skew_s


def _session_mismatch(claims: Claims, _: State, __: int) -> bool:
    return claims.sid is not None and session_tag(claims.sid) != claims.tag


def _session_revoked(_: Claims, state: State, __: int) -> bool:
    return isinstance(state.session, Tombstone)


def _session_expired(_: Claims, state: State, now_ms: int) -> bool:
    session = state.session
    return isinstance(session, Record) and now_ms >= min(session.idle_end, session.absolute_end)


def _session_unknown(claims: Claims, state: State, _: int) -> bool:
    return claims.sid is not None and state.session is None


def _session_superseded(_: Claims, state: State, __: int) -> bool:
    return isinstance(state.session, Record) and state.session.version < state.version


STATE_RULES: tuple[StateRule, ...] = (
    (Reason.LIFETIME_TOO_LONG, _lifetime_beyond_limit),
    (Reason.KEY_REVOKED, _key_revoked),
    (Reason.ISSUER_REVOKED, _issuer_revoked),
    (Reason.STORE_REBORN, _store_reborn),
    (Reason.TOKEN_REVOKED, _token_revoked),
    (Reason.VERSION_SUPERSEDED, _version_superseded),
    (Reason.SESSION_MISMATCH, _session_mismatch),
    (Reason.SESSION_REVOKED, _session_revoked),
    (Reason.SESSION_EXPIRED, _session_expired),
    (Reason.SESSION_UNKNOWN, _session_unknown),
    (Reason.SESSION_SUPERSEDED, _session_superseded),
)


def _insufficient_scope(claims: Claims, ask: Ask) -> bool:
    return not ask.scopes <= claims.scopes


def _reauthentication_required(claims: Claims, now_ms: int, ask: Ask) -> bool:
    """RFC 9470 §3: the login is too old, or of none of the classes asked for."""
    if ask.max_age_s is not None:
        if claims.auth_time is None:
            return True
        if now_ms > (claims.auth_time + ask.max_age_s + ask.leeway_s) * 1000:
            return True
    return bool(ask.acr) and claims.acr not in ask.acr


def claims_verdict(claims: Claims, now_ms: int, ask: Ask) -> Reason | None:
    """Judge the claims alone, without any state.

    Parameters: ``now_ms`` is the later of this host's and the primary's clock. Returns the first
    reason that hits, or ``None``.
    """
    for reason, hits in CLAIM_RULES:
        if hits(claims, now_ms, ask):
            return reason
    return None


def verdict(claims: Claims, state: State, now_ms: int, ask: Ask) -> Reason | None:
    """Judge a verified token against the state.

    Parameters: ``state`` as read after the check began, ``now_ms`` the later of this host's and the
    primary's clock in epoch ms, ``ask`` what the check demands. Returns the first reason that
    hits in the published order, or ``None`` for an active token that is enough. That the state
    could not be read is the reader's to raise: it never reaches this function.
    """
    reason = claims_verdict(claims, now_ms, ask)
    if reason is not None:
        return reason
    for reason, hits in STATE_RULES:
        if hits(claims, state, now_ms):
            return reason
    if _insufficient_scope(claims, ask):
        return Reason.INSUFFICIENT_SCOPE
    if _reauthentication_required(claims, now_ms, ask):
        return Reason.REAUTHENTICATION_REQUIRED
    return None
