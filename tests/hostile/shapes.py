"""Tokens whose text is hostile: they are malformed, and refused before anything is verified or looked up."""

import json
from collections.abc import Callable
from typing import Any

from quash.parse import MAX_TOKEN_BYTES
from tests.client.minting import compact, jwk_of
from tests.hostile.forging import MANY, NOBODYS, by, claims, head_of, sign, sign_text, with_text

Build = Callable[[int], str]
"""Makes a token at a time in epoch seconds."""


def _with(members: str) -> Build:
    """Add members to the payload's text."""
    return lambda now: sign(head_of(), with_text(claims(now), members))


def _head_with(members: str) -> Build:
    return lambda now: sign(with_text(head_of(), members), claims(now))


def head(**changes: Any) -> Build:
    """Change the header of a good token."""
    return lambda now: sign(head_of(**changes), claims(now))


def _spelled(part: int, edit: Callable[[str], str]) -> Build:
    """Spell one part of a good token otherwise; the signature is over what is shown."""

    def build(now: int) -> str:
        parts = by("es", claims(now)).split(".")
        if part == 2:
            return ".".join([*parts[:2], edit(parts[2])])
        parts[part] = edit(parts[part])
        return sign_text(".".join(parts[:2]))

    return build


def _encoded(encoding: str) -> Build:
    return lambda now: sign(head_of(), json.dumps(claims(now)).encode(encoding))


def _nested(levels: int) -> str:
    """Return a list that is so many levels deep."""
    return "[" * levels + "]" * levels


def _loose(part: str) -> str:
    """Change the last character's bits that stand for nothing, or add a character of nothing but such bits."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return part[:-1] + alphabet[alphabet.index(part[-1]) + 1] if len(part) % 4 else part + "A"


SPELLINGS: dict[str, Build] = {
    f"{name} in part {part}": _spelled(part, edit)
    for part in range(3)
    for name, edit in {
        "padding": lambda text: text + "=" * (-len(text) % 4 or 4),
        "one sign of padding": lambda text: text + "=",
        "plus": lambda text: f"{text[:4]}+{text[5:]}",
        "slash": lambda text: f"{text[:4]}/{text[5:]}",
        "a space": lambda text: f"{text[:4]} {text[4:]}",
        "a line break": lambda text: f"{text[:4]}\n{text[4:]}",
        "percent-encoding": lambda text: f"{text[:4]}%41{text[5:]}",
        "a full-width letter": lambda text: f"{text[:4]}\uff21{text[5:]}",
        "a zero-width space": lambda text: f"{text}\u200b",
        "a null": lambda text: f"{text}\0x",
        "loose tail bits": _loose,
    }.items()
}

JSON: dict[str, Build] = {
    "a name twice": _with('"sub":"eve"'),
    "a name twice, once escaped": _with('"s\\u0075b":"admin"'),
    "a name twice inside": _with('"act":{"sub":"a","sub":"b"}'),
    "a name twice seven levels down": _with('"a":{"a":{"a":{"a":{"a":{"a":{"b":1,"b":2}}}}}}'),
    "a name twice in the header": _head_with('"alg":"ES256"'),
    "a kid twice": _head_with('"kid":"other"'),
    "bytes that are no text": lambda now: sign(head_of(), json.dumps(claims(now)).encode()[:-1] + b',"a":"\xff"}'),
    "latin-1": lambda now: sign(head_of(), json.dumps(claims(now, name="\xe9"), ensure_ascii=False).encode("latin-1")),
    "an overlong slash": lambda now: sign(head_of(), json.dumps(claims(now)).encode()[:-1] + b',"a":"\xc0\xaf"}'),
    "UTF-16": _encoded("utf-16"),
    "UTF-16 without a mark": _encoded("utf-16-le"),
    "UTF-32": _encoded("utf-32-be"),
    "a byte order mark": _encoded("utf-8-sig"),
    "a lone surrogate": _with('"a":"\\ud800"'),
    "NaN": _with('"a":NaN'),
    "Infinity": _with('"a":Infinity'),
    "-Infinity inside": _with('"a":[{"b":-Infinity}]'),
    "2^53 + 1": _with(f'"a":{2**53 + 1}'),
    "-2^53 - 1 inside": _with(f'"a":[{-(2**53) - 1}]'),
    "1e400": _with('"a":1e400'),
    "1e16 as a fraction": _with('"a":10000000000000000.5'),
    "an exp of 10^400": lambda now: sign(head_of(), with_text(claims(now, exp=...), f'"exp":1{"0" * 400}')),
    "5,000 digits": _with(f'"a":{"9" * 5000}'),
    "9 levels": _with(f'"a":{_nested(8)}'),
    "9 levels in the header": _head_with(f'"a":{_nested(8)}'),
    "4,000 levels": _with(f'"a":{_nested(4000)}'),
    "a trailing comma": lambda now: sign(head_of(), json.dumps(claims(now))[:-1] + ",}"),
    "a comment": lambda now: sign(head_of(), json.dumps(claims(now)) + "/* */"),
    "two documents": lambda now: sign(head_of(), json.dumps(claims(now)) + "{}"),
    "a list": lambda now: sign(head_of(), [claims(now)]),
    "a string": lambda _: sign(head_of(), '"eve"'),
    "null": lambda _: sign(head_of(), "null"),
    "nothing": lambda _: sign(head_of(), ""),
    "a header that is a list": lambda now: sign([head_of()], claims(now)),
    "single quotes": lambda now: sign(head_of(), json.dumps(claims(now)).replace('"', "'")),
}

HEADERS: dict[str, Build] = {
    "crit": head(crit=["exp"], exp=1),
    "crit of nothing": head(crit=[]),
    "b64": head(b64=False),
    "b64 and crit": head(b64=False, crit=["b64"]),
    "jku": head(jku="https://evil.example/jwks.json"),
    "x5u": head(x5u="https://evil.example/chain.pem"),
    "x5c": head(x5c=["MIIB"]),
    "its own key": lambda now: sign(head_of(jwk=jwk_of(NOBODYS.public_key(), "ES256")), claims(now), key=NOBODYS),
    "no alg": head(alg=...),
    "alg null": head(alg=None),
    "algs": head(alg=["ES256"]),
    "a kid that is a number": head(kid=1),
    "an empty kid": head(kid=""),
    "a kid with a null": head(kid="es\0"),
    "a kid of 256 characters": head(kid="k" * 256),
    "a typ that is a list": head(typ=["JWT"]),
    "an iss that is a list": lambda now: by("es", claims(now, iss=[MANY])),
    "an iss with a line break": lambda now: by("es", claims(now, iss=f"{MANY}\n")),
}

FORMS: dict[str, Build] = {
    "an empty signature": lambda now: compact(head_of(), claims(now), b""),
    "no signature": lambda now: by("es", claims(now)).rpartition(".")[0],
    "four parts": lambda now: by("es", claims(now)) + ".",
    "five parts": lambda now: by("es", claims(now)) + ".e30.e30",
    "JSON serialization": lambda now: json.dumps(
        dict(zip(("protected", "payload", "signature"), by("es", claims(now)).split("."), strict=True))
    ),
    "a token inside a token": lambda now: sign(head_of(cty="JWT"), by("es", claims(now))),
    "detached": lambda now: "{0}..{2}".format(*by("es", claims(now)).split(".")),
    "over 16 KiB": lambda now: by("es", claims(now, pad="x" * (MAX_TOKEN_BYTES * 3 // 4))),
    "over 60 KiB": lambda now: by("es", claims(now, pad="x" * 45_000)),
    "a thousand dots": lambda now: by("es", claims(now)) + "." * 1000,
}
