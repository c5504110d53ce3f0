"""Every hostile token: what it is, the reason that it is refused for, and what may be done to find that out."""

from collections.abc import Mapping
from dataclasses import dataclass

from quash.reasons import Reason
from tests.client.minting import compact
from tests.hostile import shapes
from tests.hostile.forging import (
    CONFUSIONS,
    MANY,
    NOBODYS,
    OTHER,
    as_der,
    by,
    claims,
    head_of,
    hmac_signed,
    key_of,
    public_key_texts,
    resigned,
    shifted_s,
    sign,
    signature_of,
)
from tests.hostile.shapes import Build, head


@dataclass(frozen=True)
class Hostile:
    """A token and the reason that it is refused for.

    ``verified`` is how many signatures may be verified to find that. A ``takeable`` token is signed
    by its issuer, only not good now or here: taking it back is harmless, so it may be written.
    """

    build: Build
    reason: Reason
    verified: int = 0
    takeable: bool = False


def _confused(name: str, form: str) -> Build:
    """Sign with a public key as if it were a secret."""
    return lambda now: hmac_signed(head_of("hs", kid=name), claims(now), public_key_texts(name)[form])


ALGORITHMS: dict[str, Build] = {
    "none": lambda now: compact(head_of(alg="none"), claims(now), b""),
    "none with a signature": head(alg="none"),
    "NoNe": head(alg="NoNe"),
    "an empty alg": head(alg=""),
    "ES256K": head(alg="ES256K"),
    "es256": head(alg="es256"),
    "an alg with a space": head(alg="ES256 "),
    "a key-wrapping alg": head(alg="A128KW"),
    **{f"an RSA key as a secret: {form}": _confused("rs", form) for form in CONFUSIONS},
    **{f"an EC key as a secret: {form}": _confused("es", form) for form in CONFUSIONS if form not in {"pkcs1", "n"}},
    "HS256 without kid": lambda now: hmac_signed(head_of("hs", kid="es"), claims(now), key_of("hs")),
    "PS256 with the key of RS256": lambda now: sign(
        head_of("rs", alg="PS256"), claims(now), key=key_of("rs"), alg="PS256"
    ),
    "RS512 that the issuer may not use": lambda now: sign(
        head_of("rs", alg="RS512"), claims(now), key=key_of("rs"), alg="RS512"
    ),
    "ES384 with the name of a P-256 key": lambda now: sign(
        head_of("es384", kid="es"), claims(now), key=key_of("es384"), alg="ES384"
    ),
    "ES256 with the name of a P-384 key": lambda now: sign(head_of(kid="es384"), claims(now)),
    "EdDSA with the name of a P-256 key": lambda now: sign(
        head_of("ed", kid="es"), claims(now), key=key_of("ed"), alg="EdDSA"
    ),
    "RS256 of an issuer with ES256 only": lambda now: sign(
        head_of("rs", kid="other"), claims(now, iss=OTHER, aud="orders"), key=key_of("rs"), alg="RS256"
    ),
}

WEAK: dict[str, Build] = {
    name: lambda now, name=name: by(name, claims(now))  # type: ignore[misc]  # the name of this round
    for name in ("hs128", "hs248", "hs384 of 256", "hs512 of 256", "rs1024")
}

UNKNOWN_KEYS: dict[str, Build] = {
    "a kid that nobody has": head(kid="nobody's"),
    "another issuer's kid": lambda now: by("other", claims(now)),
    "another issuer's kid, our good key": head(kid="other"),
    "our kid for another issuer": lambda now: by("es", claims(now, iss=OTHER, aud="orders")),
    "no kid where there are several keys": head(kid=...),
    "a kid that is a path": head(kid="../../../../etc/passwd"),
    "a kid that is a query": head(kid="es' OR '1'='1"),
    "a kid in capitals": head(kid="ES"),
    "a kid with a space": head(kid="es "),
}

UNKNOWN_ISSUERS: dict[str, Build] = {
    "a stranger": lambda now: by("es", claims(now, iss="https://stranger.example")),
    "our name in capitals": lambda now: by("es", claims(now, iss=MANY.upper())),
    "our name with a slash": lambda now: by("es", claims(now, iss=f"{MANY}/")),
    "our name in another alphabet": lambda now: by("es", claims(now, iss=MANY.replace("a", "\u0430"))),
}

BAD_SIGNATURES: dict[str, Build] = {
    "nobody's key": lambda now: sign(head_of(), claims(now), key=NOBODYS),
    "the issuer's other key": lambda now: sign(head_of(), claims(now), key=key_of("twin")),
    "the second key of one kid": lambda now: sign(head_of("twin"), claims(now), key=key_of("second twin")),
    "another issuer's key, no kid": lambda now: sign(head_of(kid=...), claims(now, iss=OTHER, aud="orders")),
    "another payload": lambda now: resigned(by("es", claims(now, sub="root")), signature_of(by("es", claims(now)))),
    "as X.509 writes it": lambda now: as_der(by("es", claims(now))),
    "zeros": lambda now: resigned(by("es", claims(now)), bytes(64)),
    "one byte short": lambda now: resigned(by("es", claims(now)), signature_of(by("es", claims(now)))[:-1]),
    "a byte more": lambda now: resigned(by("es", claims(now)), signature_of(by("es", claims(now))) + b"\0"),
    "s over the order": lambda now: shifted_s(by("ed", claims(now))),
    "RSA of zeros": lambda now: resigned(by("rs", claims(now)), bytes(256)),
    "RSA of one": lambda now: resigned(by("rs", claims(now)), bytes(255) + b"\1"),
    "a truncated HMAC": lambda now: resigned(by("hs", claims(now)), signature_of(by("hs", claims(now)))[:16]),
    "HMAC under an empty secret": lambda now: hmac_signed(head_of("hs"), claims(now), b""),
    "PSS under the name RS256": lambda now: sign(head_of("rs"), claims(now), key=key_of("rs"), alg="PS256"),
}

CLAIMS: dict[str, tuple[Reason, dict[str, object]]] = {
    "no sub": (Reason.MISSING_CLAIM, {"sub": ...}),
    "no exp": (Reason.MISSING_CLAIM, {"exp": ...}),
    "no iat": (Reason.MISSING_CLAIM, {"iat": ...}),
    "no jti": (Reason.MISSING_CLAIM, {"jti": ...}),
    "a sub that is a number": (Reason.MALFORMED, {"sub": 1}),
    "an empty sub": (Reason.MALFORMED, {"sub": ""}),
    "a sub with a null": (Reason.MALFORMED, {"sub": "eve\0"}),
    "a sub of 256 characters": (Reason.MALFORMED, {"sub": "e" * 256}),
    "a jti that is an object": (Reason.MALFORMED, {"jti": {}}),
    "an exp that is text": (Reason.MALFORMED, {"exp": "9999999999"}),
    "an exp that is true": (Reason.MALFORMED, {"exp": True}),
    "an exp that is null": (Reason.MALFORMED, {"exp": None}),
    "an exp before 1970": (Reason.MALFORMED, {"exp": -1}),
    "an nbf that is text": (Reason.MALFORMED, {"nbf": "0"}),
    "an aud that is a number": (Reason.MALFORMED, {"aud": 1}),
    "an aud with a number": (Reason.MALFORMED, {"aud": ["orders", 1]}),
    "a scope that is an object": (Reason.MALFORMED, {"scope": {"admin": True}}),
    "an acr that is a list": (Reason.MALFORMED, {"acr": ["mfa"]}),
}
"""What the claims of a well-signed token say: found after one verification, still without the engine."""

TAKEABLE: dict[str, tuple[Reason, Build]] = {
    "at its exp": (Reason.EXPIRED, lambda now: by("es", claims(now - 9, exp=now))),
    "a second before its nbf": (Reason.NOT_YET_VALID, lambda now: by("es", claims(now, nbf=now + 1))),
    "issued beyond the skew": (Reason.ISSUED_IN_FUTURE, lambda now: by("es", claims(now + 2))),
    "a login beyond the skew": (Reason.ISSUED_IN_FUTURE, lambda now: by("es", claims(now, auth_time=now + 2))),
    "for somebody else": (Reason.WRONG_AUDIENCE, lambda now: by("other", claims(now, iss=OTHER, aud="mail"))),
    "for a longer name": (Reason.WRONG_AUDIENCE, lambda now: by("other", claims(now, iss=OTHER, aud="orders "))),
    "an id token": (Reason.WRONG_TYPE, lambda now: by("es", claims(now), typ="id_token+jwt")),
    "a logout token": (Reason.WRONG_TYPE, lambda now: by("es", claims(now), typ="logout+jwt")),
    "a DPoP proof": (Reason.WRONG_TYPE, lambda now: by("es", claims(now), typ="application/dpop+jwt")),
}


def _all(builds: Mapping[str, Build], reason: Reason, verified: int = 0) -> dict[str, Hostile]:
    return {name: Hostile(build, reason, verified) for name, build in builds.items()}


def _claiming(changes: Mapping[str, object]) -> Build:
    return lambda now: by("es", claims(now, **changes))


EVERY: dict[str, Hostile] = {
    **_all({**shapes.SPELLINGS, **shapes.JSON, **shapes.HEADERS, **shapes.FORMS}, Reason.MALFORMED),
    **_all(ALGORITHMS, Reason.ALGORITHM_NOT_ALLOWED),
    **_all(UNKNOWN_ISSUERS, Reason.UNKNOWN_ISSUER),
    **_all(UNKNOWN_KEYS, Reason.UNKNOWN_KEY),
    **_all(WEAK, Reason.WEAK_KEY),
    **_all(BAD_SIGNATURES, Reason.BAD_SIGNATURE, 1),
    **{name: Hostile(_claiming(changes), reason, 1) for name, (reason, changes) in CLAIMS.items()},
    **{name: Hostile(build, reason, 1, takeable=True) for name, (reason, build) in TAKEABLE.items()},
    "an hour and a second": Hostile(lambda now: by("es", claims(now, exp=now + 3601)), Reason.LIFETIME_TOO_LONG, 1),
    "without end": Hostile(lambda now: by("es", claims(now, exp=2**53)), Reason.LIFETIME_TOO_LONG, 1),
}
