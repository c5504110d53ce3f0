"""A parsed token and keys give verified claims, or the first reason why not."""

from collections.abc import Mapping
from types import MappingProxyType

from . import ids
from .challenges import invalid_token
from .claims import Claims
from .errors import TokenInvalid
from .keys import KeySet
from .parse import Unverified, is_name
from .policy import Issuer
from .reasons import Reason


def verify_signature(unverified: Unverified, issuers: Mapping[str, Issuer], keys: KeySet) -> Claims:
    """Return the claims of a token whose issuer, key, signature and claim types are good.

    Nothing here looks at the clock: expiry, audience, type and lifetime are the verdict's, which
    judges them again for a cached token. Raises ``TokenInvalid`` with, in this order,
    ``unknown_issuer``, ``algorithm_not_allowed``, ``unknown_key``, ``weak_key``,
    ``bad_signature``, ``missing_claim`` or ``malformed``.
    """
    policy = _policy(unverified, issuers)
    key = keys.find(policy.issuer, unverified.kid, unverified.alg)
    if not key.verifies(unverified.signing_input, unverified.signature):
        raise invalid_token(Reason.BAD_SIGNATURE, "the signature is not the key's", iss=key.issuer, kid=key.kid)
    _require(unverified.payload, policy)
    return _claims(unverified, policy, key.tag)


def _policy(unverified: Unverified, issuers: Mapping[str, Issuer]) -> Issuer:
    if unverified.iss is None:
        raise _missing("iss")
    policy = issuers.get(unverified.iss)
    if policy is None:
        raise invalid_token(Reason.UNKNOWN_ISSUER, "no such issuer is configured", iss=unverified.iss)
    if unverified.alg not in policy.algorithms:
        raise invalid_token(
            Reason.ALGORITHM_NOT_ALLOWED,
            "the issuer may not use this algorithm",
            iss=unverified.iss,
            alg=unverified.alg,
        )
    return policy


def _require(payload: Mapping[str, object], policy: Issuer) -> None:
    required = ["sub", "exp", "iat"]
    if policy.audiences:
        required.append("aud")
    if policy.has_jti:
        required.append("jti")
    required.extend(sorted(policy.embeds))
    for name in required:
        if name not in payload:
            raise _missing(name)


def _claims(unverified: Unverified, policy: Issuer, key_tag: str) -> Claims:
    payload = unverified.payload
    iss = policy.issuer
    sub = _name(payload, "sub")
    jti = _name(payload, "jti") if "jti" in payload else None
    return Claims(
        policy=policy,
        key_tag=key_tag,
        typ=unverified.typ,
        iss=iss,
        sub=sub,
        exp=_seconds(payload, "exp"),
        iat=_seconds(payload, "iat"),
        nbf=_seconds(payload, "nbf") if "nbf" in payload else None,
        jti=jti,
        aud=_one_or_more(payload, "aud"),
        scopes=_scopes(payload),
        sid=_text(payload, "sid") if "sid" in policy.embeds else None,
        ver=_version(payload) if "ver" in policy.embeds else None,
        auth_time=_seconds(payload, "auth_time") if "auth_time" in payload else None,
        acr=_text(payload, "acr") if "acr" in payload else None,
        amr=_methods(payload),
        client_id=_text(payload, "client_id") if "client_id" in payload else None,
        tag=ids.user_tag(iss, sub),
        jti16=None if jti is None else ids.jti_id(iss, jti),
        all=MappingProxyType(payload),
    )


def _missing(name: str) -> TokenInvalid:
    return invalid_token(Reason.MISSING_CLAIM, f"{name} is missing", claim=name)


def _wrong(name: str, wanted: str) -> TokenInvalid:
    return invalid_token(Reason.MALFORMED, f"{name} must be {wanted}", claim=name)


def _name(payload: Mapping[str, object], name: str) -> str:
    value = payload[name]
    if not is_name(value):
        raise _wrong(name, "a string of 1-255 characters without control characters")
    return value


def _text(payload: Mapping[str, object], name: str) -> str:
    value = payload[name]
    if not isinstance(value, str):
        raise _wrong(name, "a string")
    return value


def _seconds(payload: Mapping[str, object], name: str) -> int:
    """Return a NumericDate in whole seconds, rounded down (RFC 7519 §2 allows fractions)."""
    value = payload[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise _wrong(name, "a number of seconds since 1970")
    return int(value)


def _version(payload: Mapping[str, object]) -> int:
    value = payload["ver"]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong("ver", "an integer of at least 0")
    return value


def _strings(payload: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = payload[name]
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise _wrong(name, "a list of strings")
    return tuple(value)


def _methods(payload: Mapping[str, object]) -> tuple[str, ...]:
    """Return ``amr`` (RFC 8176). Nothing is judged by it, and some issuers list objects: those are passed over."""
    value = payload.get("amr")
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _one_or_more(payload: Mapping[str, object], name: str) -> tuple[str, ...]:
    """Return a claim that is absent, one string or a list of them (RFC 7519 §4.1.3)."""
    value = payload.get(name, [])
    return (value,) if isinstance(value, str) else _strings({name: value}, name)


def _scopes(payload: Mapping[str, object]) -> frozenset[str]:
    """Return the scopes: ``scope`` (RFC 9068 §2.2.3), or else other issuers' ``scp``.

    Only the space separates (RFC 6749 §3.3); other blanks are part of a name.
    """
    name = "scope" if "scope" in payload else "scp"
    value = payload.get(name, "")
    listed = value.split(" ") if isinstance(value, str) else _strings(payload, name)
    return frozenset(listed) - {""}
