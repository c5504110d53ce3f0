"""The examples of RFC 7520, RFC 7797 and RFC 8037: what must verify verifies, the rest is refused."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from quash.errors import TokenInvalid
from quash.keys import Key, key_from_jwk
from quash.parse import parse
from quash.policy import ALGORITHMS
from tests.client.minting import ISSUER, claims, compact

COOKBOOK = Path(__file__).parents[2] / "../shared/vectors/jose-cookbook"


def cookbook(name: str) -> dict[str, Any]:
    path = COOKBOOK / name
    if not path.exists():
        told = f"no JOSE cookbook beside this checkout: put the repository ietf-jose/cookbook at {COOKBOOK.resolve()}"
        (pytest.fail if "CI" in os.environ else pytest.skip)(told)
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def cookbook_key(example: dict[str, Any]) -> Key:
    given = example["input"]
    return key_from_jwk({**given["key"], "alg": given["alg"]}, issuer=ISSUER, algorithms=ALGORITHMS)


VERIFYING = (
    "jws/4_1.rsa_v15_signature.json",
    "jws/4_2.rsa-pss_signature.json",
    "jws/4_3.ecdsa_signature.json",
    "jws/4_4.hmac-sha2_integrity_protection.json",
    "curve25519/jws.json",
)
"""The examples whose compact form is a whole, signed JWS."""

REFUSED = (
    ("jws/4_5.signature_with_detached_content.json", "compact"),
    ("rfc7797/hmac-sha2_b64_false.json", "compact"),
    ("curve25519/ecdh-es.json", "compact"),
    *((name, form) for name in VERIFYING for form in ("json", "json_flat")),
    *(
        (name, form)
        for name in (
            "jws/4_5.signature_with_detached_content.json",
            "jws/4_6.protecting_specific_header_fields.json",
            "jws/4_7.protecting_content_only.json",
            "rfc7797/4.2.hmac-sha2_b64_false.json",
            "rfc7797/hmac-sha2_b64_false.json",
            "curve25519/ecdh-es.json",
        )
        for form in ("json", "json_flat")
    ),
    ("jws/4_8.multiple_signatures.json", "json"),
)
"""Every other form: detached, unencoded, encrypted, or JSON."""


def test_every_form_of_every_example_is_among_these() -> None:
    cookbook(VERIFYING[0])  # Without the folder this says so.
    found = {
        (f"{folder}/{path.name}", form)
        for folder in ("jws", "rfc7797", "curve25519")
        for path in (COOKBOOK / folder).glob("*.json")
        for form in json.loads(path.read_text("utf-8"))["output"]
    }
    assert found == {*((name, "compact") for name in VERIFYING), *REFUSED}


@pytest.mark.parametrize("name", VERIFYING)
def test_signatures_of_the_jose_cookbook_verify(name: str) -> None:
    """RFC 7520 §4, RFC 8037 §A.4: their payloads are prose, so the key verifies and the shell refuses."""
    example = cookbook(name)
    signing_input, _, signature = example["output"]["compact"].rpartition(".")
    raw = parse(f"{compact({'alg': 'ES256'}, {}, b'')}{signature}").signature
    key = cookbook_key(example)
    assert key.verifies(signing_input.encode(), raw)
    assert not key.verifies(signing_input.encode() + b"A", raw)
    assert not key.verifies(signing_input.encode(), raw[:-1])
    with pytest.raises(TokenInvalid, match="payload"):
        parse(example["output"]["compact"])


@pytest.mark.parametrize(("name", "form"), REFUSED)
def test_detached_unencoded_encrypted_and_json_forms_of_the_jose_cookbook_are_refused(name: str, form: str) -> None:
    output = cookbook(name)["output"][form]
    with pytest.raises(TokenInvalid) as caught:
        parse(output if isinstance(output, str) else json.dumps(output))
    assert caught.value.code == "malformed"


def test_unencoded_payloads_are_refused_for_their_header_even_when_the_rest_is_a_token() -> None:
    """RFC 7797: b64=false changes what is signed."""
    header = cookbook("rfc7797/hmac-sha2_b64_false.json")["signing"]["protected"]
    with pytest.raises(TokenInvalid) as caught:
        parse(compact(header, claims()))
    assert caught.value.evidence == {"headers": ["b64", "crit"]}


@pytest.mark.parametrize("name", ["3_1.ec_public_key", "3_3.rsa_public_key"])
def test_public_and_private_keys_of_the_jose_cookbook_are_one_key(name: str) -> None:
    public = cookbook(f"jwk/{name}.json")
    private = cookbook("jwk/" + {"3_1": "3_2.ec_private_key", "3_3": "3_4.rsa_private_key"}[name[:3]] + ".json")
    allowed = frozenset({"ES512", "RS256"})
    keys = [key_from_jwk(jwk, issuer=ISSUER, algorithms=allowed) for jwk in (public, private)]
    assert keys[0] == keys[1]
    assert private["d"] not in repr(keys[1])


def test_the_encryption_key_of_the_jose_cookbook_is_refused() -> None:
    with pytest.raises(ValueError, match="alg"):
        key_from_jwk(cookbook("jwk/3_6.symmetric_key_encryption.json"), issuer=ISSUER, algorithms=ALGORITHMS)
