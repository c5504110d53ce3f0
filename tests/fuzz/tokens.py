"""What meets strangers' tokens and keys: samples, and what must hold for any input."""

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from re import compile as pattern
from tempfile import TemporaryDirectory

import orjson

from quash.challenges import bearer_challenge
from quash.claims import Claims
from quash.errors import TokenInvalid
from quash.ids import is_session_id, new_session_id, user_tag
from quash.keys import KeyRefused, KeySet, keys_from_jwks
from quash.keyspace import Global
from quash.parse import parse
from quash.policy import ALGORITHMS, Ask, Issuer
from quash.reader import decide, question
from quash.reasons import Reason
from quash.signature import verify_signature
from quash.verdict import claims_verdict, verdict
from quash_service.http import introspect
from quash_service.http.forward_auth import _headers as identity_headers
from quash_service.tokens.refresh import RefreshSecrets, RefreshToken
from tests.client.minting import ISSUER, b64, claims, jwk_of, mint, private_key, small_rsa_key
from tests.fuzz.mutations import Target
from tests.service_units.rings import refresh_secrets

CHALLENGE = pattern(r'Bearer [a-z_]+="(?:[^"\\]|\\.)*"(?:, [a-z_]+="(?:[^"\\]|\\.)*")*')
NOW_MS = 1_900_000_010_000
SECRET = bytes(range(64))
SID = new_session_id(user_tag(ISSUER, "alice"), lambda count: b"\7" * count)
STATE = Global(1_800_000_000_000, 1_800_000_000_000, {}, {})
ASKS = (
    Ask(),
    Ask("cached"),
    Ask(scopes=frozenset({"a"}), audiences=frozenset({"orders"}), max_age_s=60, acr=("gold",)),
)
JWKS = {
    "keys": [
        jwk_of(private_key("ES256"), "ES256", kid="k1", alg="ES256"),
        {"kty": "oct", "k": b64(SECRET), "kid": "h1", "alg": "HS256"},
    ]
}
POLICIES = {ISSUER: Issuer(ISSUER, ALGORITHMS, embeds=frozenset({"sid", "ver"}))}
KEYS = KeySet(keys_from_jwks(JWKS, issuer=ISSUER, algorithms=ALGORITHMS, allow_symmetric=True))

_GOOD = claims(sid=SID, ver=3, scope="a b", acr="gold", amr=["pwd"], auth_time=1_900_000_000, nbf=1, client_id="web")
TOKENS = tuple(token.encode() for token in (mint(_GOOD), mint(claims()), mint(_GOOD, kid=..., typ="at+jwt")))
PAYLOADS = tuple(
    json.dumps(one).encode() for one in (_GOOD, claims(), claims(aud=["a", "b"], scp=["x"], custom={"a": 1.5}))
)
KEY_SETS = tuple(
    json.dumps({"keys": [jwk]}).encode()
    for jwk in (
        *(jwk_of(private_key(alg), alg, kid="k", alg=alg) for alg in ("ES256", "RS256", "ES512")),
        jwk_of(private_key("EdDSA"), "EdDSA", use="sig", key_ops=["verify"]),
        jwk_of(small_rsa_key(), "RS256", kid="k", alg="RS256"),
        JWKS["keys"][1],
    )
)


def _secrets() -> RefreshSecrets:
    with TemporaryDirectory() as folder:
        return refresh_secrets(Path(folder), random_bytes=lambda count: b"\1" * count)


SECRETS = _secrets()
REFRESH = tuple(SECRETS.build(SID, generation, SECRETS.newest).encode() for generation in (0, 1, 99, 123_456_789))


def any_token(data: bytes) -> None:
    """A token is refused or has one spelling, and only what was signed is believed."""
    for raw in (data, data.decode("latin-1")):
        try:
            parsed = parse(raw)
        except TokenInvalid as refused:
            assert Reason(refused.code) in {Reason.MALFORMED, Reason.ALGORITHM_NOT_ALLOWED}  # noqa: PT017 - any other error is the finding
            continue
        assert parsed.signing_input + b"." + b64(parsed.signature).encode() == data
        try:
            verify_signature(parsed, POLICIES, KEYS)
        except TokenInvalid as refused:
            Reason(refused.code)
        else:
            assert any(one.startswith(parsed.signing_input + b".") for one in TOKENS)


def any_payload(data: bytes) -> None:
    """Whatever an issuer signs is refused or judged, and what is said of it can be written."""
    signing_input = b64(b'{"alg":"HS256","kid":"h1"}') + "." + b64(data)
    mac = hmac.digest(SECRET, signing_input.encode(), sha256)
    try:
        found = verify_signature(parse(f"{signing_input}.{b64(mac)}"), POLICIES, KEYS)
    except TokenInvalid as refused:
        Reason(refused.code)
    else:
        _judge(found)


def _judge(found: Claims) -> None:
    asked = question(found)
    assert len(asked.fields) == 4
    state = decide(STATE, [b"3o", None, None, None], in_bucket=False)
    for ask in ASKS:
        reason = claims_verdict(found, NOW_MS, ask) or verdict(found, state, NOW_MS, ask)
        assert reason is None or isinstance(reason, Reason)
    assert json.loads(orjson.dumps(introspect._document(found, custom=True)))["active"] is True
    for value in identity_headers(found).values():
        assert value.isascii()
        assert value.isprintable()


def any_key_set(data: bytes) -> None:
    """A JWK Set is refused, or its keys are named and strong or known to be weak."""
    try:
        document = json.loads(data)
        keys = keys_from_jwks(document, issuer=ISSUER, algorithms=ALGORITHMS, allow_symmetric=True)
    except (KeyRefused, ValueError, RecursionError):
        return
    for key in keys:
        assert len(key.thumbprint) == 43
        assert not key.verifies(b"message", b"signature")


def any_refresh_token(data: bytes) -> None:
    """Only what was built is good."""
    found = SECRETS.parse(data.decode("latin-1"))
    if isinstance(found, RefreshToken):
        assert SECRETS.build(found.sid, found.generation, found.secret).encode() == data
        assert data in REFRESH
    is_session_id(data.decode("latin-1"))


def any_challenge(data: bytes) -> None:
    """A challenge is one line of printable ASCII, or is refused."""
    text = data.decode("utf-8", "replace")
    try:
        value = bearer_challenge(realm="quash", error=text, description=text[::-1], scope=text, acr_values=text)
    except ValueError:
        return
    assert value.isascii()
    assert value.isprintable()
    assert CHALLENGE.fullmatch(value)


TARGETS: Mapping[str, Target] = {
    "token": (any_token, TOKENS),
    "payload": (any_payload, PAYLOADS),
    "key set": (any_key_set, KEY_SETS),
    "refresh token": (any_refresh_token, REFRESH),
    "challenge": (any_challenge, (b"invalid_token", b'say "no"', b"a b c", b"back\\slash")),
}
