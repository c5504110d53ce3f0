"""Keys: JWK to one algorithm, its strength and its name, and which key a token names.

A key verifies exactly one algorithm, fixed when it is loaded, so that no header can make an RSA
key serve as an HMAC secret (RFC 8725 §3.1).
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from json import dumps

from jwt.algorithms import get_default_algorithms
from jwt.exceptions import PyJWTError

from .challenges import invalid_token
from .ids import key_tag
from .policy import ALGORITHMS
from .reasons import Reason

MIN_RSA_BITS = 2048
"""RSA keys below this size are weak (RFC 7518 §3.3)."""

_VERIFIERS = {name: get_default_algorithms()[name] for name in ALGORITHMS}

# What each kind of key consists of: what is read, and what RFC 7638 §3.2 hashes. Private members
# are not among them.
_MEMBERS = {
    "RSA": ("e", "kty", "n"),
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "oct": ("k", "kty"),
}

_FITTING = {
    ("RSA", None): frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
    ("OKP", "Ed448"): frozenset({"EdDSA"}),
    ("oct", None): frozenset({"HS256", "HS384", "HS512"}),
}

# RFC 7518 §3.2: an HMAC key is at least as long as the hash, in bytes.
_HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}


class KeyRefused(ValueError):
    """A JWK that cannot be used here.

    ``code`` is one of ``invalid_key``, ``unsupported_key``, ``wrong_use``, ``alg_required``,
    ``algorithm_not_allowed``, ``symmetric_key`` and ``invalid_jwks``; ``message`` says what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Key:
    """A key that verifies one algorithm for one issuer.

    ``thumbprint`` is RFC 7638 with SHA-256, ``tag`` is ``ids.key_tag`` of issuer and thumbprint.
    A ``weak`` key is kept so that its tokens are refused with their true reason.
    """

    issuer: str
    kid: str | None
    alg: str
    tag: str
    thumbprint: str
    weak: bool
    material: object = field(repr=False, compare=False)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Tell whether ``signature`` is this key's signature of ``message``; a weak key proves nothing."""
        return not self.weak and _VERIFIERS[self.alg].verify(message, self.material, signature)


def key_from_jwk(jwk: Mapping[str, object], *, issuer: str, algorithms: frozenset[str]) -> Key:
    """Return the key in a JWK (RFC 7517 §4), bound to one of ``algorithms``.

    The algorithm is the JWK's ``alg``, or else the only one of ``algorithms`` that fits the kind
    of key. Private members are dropped. Raises ``KeyRefused``.
    """
    alg = _algorithm(jwk, algorithms)
    _check_use(jwk)
    kid = jwk.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise KeyRefused("invalid_key", "kid must be a string (RFC 7517 §4.5)")
    material = _material(jwk, alg)
    print_ = _thumbprint(material, alg)
    return Key(
        issuer=issuer,
        kid=kid,
        alg=alg,
        tag=key_tag(issuer, print_),
        thumbprint=print_,
        weak=_is_weak(material, alg),
        material=material,
    )


def keys_from_jwks(
    document: object,
    *,
    issuer: str,
    algorithms: frozenset[str],
    allow_symmetric: bool,
    on_refused: Callable[[KeyRefused], None] | None = None,
) -> tuple[Key, ...]:
    """Return the usable keys of a JWK Set (RFC 7517 §5).

    Keys for something else (encryption, other algorithms) are left out, as the RFC asks, and told
    to ``on_refused``. Raises ``KeyRefused`` for a document that is not a JWK Set and, unless
    ``allow_symmetric``, for one with a symmetric key: a published HMAC secret signs for everybody,
    and whoever publishes one is not to be trusted with the rest.
    """
    members = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(members, list) or not all(isinstance(jwk, Mapping) for jwk in members):
        raise KeyRefused("invalid_jwks", 'a JWK Set is {"keys": [{…}, …]} (RFC 7517 §5)')
    if not allow_symmetric and any(jwk.get("kty") == "oct" for jwk in members):
        raise KeyRefused("symmetric_key", "a published JWK Set must not hold a symmetric key")
    keys = []
    for jwk in members:
        try:
            keys.append(key_from_jwk(jwk, issuer=issuer, algorithms=algorithms))
        except KeyRefused as refusal:
            if on_refused is not None:
                on_refused(refusal)
    return tuple(keys)


def thumbprint(jwk: Mapping[str, object]) -> str:
    """Return the RFC 7638 SHA-256 thumbprint of a JWK, private members or not.

    It is that of the canonical JWK, so that the same key in a sloppy encoding (leading zeros,
    padding) has the same name, and a revocation cannot be shaken off by re-encoding.
    Raises ``KeyRefused``.
    """
    alg = min(_fitting(jwk))  # Any that fits: the thumbprint does not depend on it.
    return _thumbprint(_material(jwk, alg), alg)


class KeySet:
    """The keys of all issuers; immutable, replaced whole when an issuer's keys change.

    Where two keys of an issuer share ``kid`` and algorithm the first one counts (RFC 7517 §4.5
    asks for distinct ones).
    """

    __slots__ = ("_by_issuer", "_by_kid", "keys")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.keys = tuple(keys)
        self._by_issuer: dict[str, dict[str, Key]] = {}
        self._by_kid: dict[tuple[str, str], dict[str, Key]] = {}
        for key in self.keys:
            self._by_issuer.setdefault(key.issuer, {}).setdefault(key.tag, key)
            if key.kid is not None:
                self._by_kid.setdefault((key.issuer, key.kid), {}).setdefault(key.alg, key)

    def find(self, issuer: str, kid: str | None, alg: str) -> Key:
        """Return the key that a header names; without ``kid`` the issuer's only one.

        Raises ``TokenInvalid`` with ``unknown_key``, ``algorithm_not_allowed`` where the key is
        bound to another algorithm, or ``weak_key``.
        """
        named = self._only(issuer) if kid is None else self._by_kid.get((issuer, kid))
        if not named:
            raise invalid_token(Reason.UNKNOWN_KEY, "the issuer has no such key", iss=issuer, kid=kid)
        key = named.get(alg)
        if key is None:
            raise invalid_token(
                Reason.ALGORITHM_NOT_ALLOWED,
                "the key is bound to another algorithm",
                iss=issuer,
                kid=kid,
                alg=alg,
                bound_to=sorted(named),
            )
        if key.weak:
            raise invalid_token(Reason.WEAK_KEY, "the key is too short", iss=issuer, kid=kid, alg=alg)
        return key

    def _only(self, issuer: str) -> dict[str, Key]:
        keys = self._by_issuer.get(issuer, {})
        return {key.alg: key for key in keys.values()} if len(keys) == 1 else {}


def _fitting(jwk: Mapping[str, object]) -> frozenset[str]:
    kty = str(jwk.get("kty"))
    fitting = _FITTING.get((kty, str(jwk.get("crv")) if kty in {"EC", "OKP"} else None))
    if fitting is None:
        raise KeyRefused("unsupported_key", "kty and crv name no kind of key that can sign here")
    return fitting


def _algorithm(jwk: Mapping[str, object], algorithms: frozenset[str]) -> str:
    fitting = _fitting(jwk)
    stated = jwk.get("alg")
    if stated is not None:
        fitting &= {str(stated)}
    if not fitting:
        raise KeyRefused("unsupported_key", "alg does not fit the key's kty and crv")
    usable = fitting & algorithms
    if not usable:
        raise KeyRefused("algorithm_not_allowed", f"the issuer may not use {sorted(fitting)}")
    if len(usable) > 1:
        raise KeyRefused("alg_required", f"state the key's alg, one of {sorted(usable)}")
    return min(usable)


def _check_use(jwk: Mapping[str, object]) -> None:
    operations = jwk.get("key_ops", ["verify"])
    may_sign = isinstance(operations, list) and ("verify" in operations or "sign" in operations)
    if jwk.get("use", "sig") != "sig" or not may_sign:
        raise KeyRefused("wrong_use", "the key is not for signatures (RFC 7517 §4.2, §4.3)")


def _material(jwk: Mapping[str, object], alg: str) -> object:
    members = {name: jwk.get(name) for name in _MEMBERS[str(jwk["kty"])]}
    if all(isinstance(text, str) for text in members.values()):
        try:
            material: object = _VERIFIERS[alg].from_jwk(members)
        except (PyJWTError, ValueError):
            material = None
        if material is not None:
            return material
    raise KeyRefused("invalid_key", "members of the key are missing or wrong (RFC 7518 §6)")


def _thumbprint(material: object, alg: str) -> str:
    canonical = _VERIFIERS[alg].to_jwk(material, as_dict=True)
    members = {name: canonical[name] for name in _MEMBERS[canonical["kty"]]}
    digest = sha256(dumps(members, separators=(",", ":")).encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _is_weak(material: object, alg: str) -> bool:
    if isinstance(material, bytes):
        return len(material) < _HMAC_BYTES[alg]
    return alg[:2] in {"RS", "PS"} and getattr(material, "key_size", 0) < MIN_RSA_BITS
