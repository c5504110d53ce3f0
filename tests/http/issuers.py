"""Foreign issuers for tests: their keys in files, as `quash.toml` names them, and tokens that they sign."""

import json
from pathlib import Path
from typing import Any

from tests.client.minting import jwk_of, mint, private_key, small_rsa_key

ES = "https://es.example"
WEAK_RSA = "https://weak-rsa.example"
HS = "https://hs.example"
SHORT_HS = "https://short-hs.example"
NO_JTI = "https://no-jti.example"
FOR_ORDERS = "https://orders.example"
EMBEDS_SID = "https://embeds-sid.example"

_SHORT = b"sixteen bytes..."
_KEYS: dict[str, tuple[str, Any]] = {
    ES: ("ES256", private_key("ES256")),
    WEAK_RSA: ("RS256", small_rsa_key()),
    HS: ("HS256", private_key("HS256")),
    SHORT_HS: ("HS256", _SHORT),
    NO_JTI: ("ES256", private_key("ES256")),
    FOR_ORDERS: ("RS256", private_key("RS256")),
    EMBEDS_SID: ("ES256", private_key("ES256")),
}
_MORE: dict[str, dict[str, Any]] = {
    NO_JTI: {"has_jti": False},
    FOR_ORDERS: {"audience": ["orders", "billing"], "max_access_ttl_s": 900},
    EMBEDS_SID: {"embeds": ["sid"]},
}


def table(folder: Path, *names: str) -> list[dict[str, Any]]:
    """Write the issuers' key files and return their `[[issuers]]` tables."""
    rows = []
    for at, name in enumerate(names or _KEYS):
        alg, key = _KEYS[name]
        path = folder / f"issuer-{at}.jwks.json"
        path.write_text(json.dumps({"keys": [jwk_of(key, alg, kid="k1", alg=alg)]}))
        rows.append({"issuer": name, "keys": path, "algorithms": [alg], **_MORE.get(name, {})})
    return rows


def issued(issuer: str, now_s: int, *, kid: Any = "k1", **changes: Any) -> str:
    """Return a token that a foreign issuer signed now, for 600 s; a claim set to ``...`` is left out."""
    alg, key = _KEYS[issuer]
    good = {"iss": issuer, "sub": "bob", "iat": now_s, "exp": now_s + 600, "jti": "t-1", **changes}
    return mint({name: value for name, value in good.items() if value is not ...}, alg, key=key, kid=kid)
