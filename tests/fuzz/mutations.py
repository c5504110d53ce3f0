"""Inputs that are nearly good: samples, cut, joined, flipped and spiced."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

Target = tuple[Callable[[bytes], None], tuple[bytes, ...]]
"""What must hold for any input, and samples of good ones."""

SPICES = (
    *(b"", b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"=", b"==", b".", b"..", b"-1", b"00", b"+1", b"1_0"),
    *(b"%", b"%00", b"%ff", b"%ED%A0%80", b"&", b"&&", b";", b"+", b"\r\n", b'"', b"\\", b"\\u0000", b"\\ud800"),
    *(b"[" * 9, b"[" * 2000, b'{"a":' * 2000, b"{}", b"null", b"true", b"NaN", b"-Infinity", b"1e400", b"1" * 400),
    *(b"9007199254740993", b"1.5", b"18446744073709551616", b"-0", b"a" * 300, "ü".encode(), "٣".encode()),
    *(b'"iss":1,', b'"sub":"",', b'"exp":1e3,', b'"alg":"none",', b'"crit":["b64"],', b'"sid":"x",', b'"ver":true,'),
)
"""What parsers stumble over."""


def mutated(random: Random, samples: Sequence[bytes]) -> bytes:
    """Return one of the samples with one to four changes, now and then with none."""
    text = random.choice(samples)
    for _ in range(random.choice((0, 1, 1, 1, 2, 3, 4))):
        text = _changed(random, text, samples)
    return text


def many(seed: int, samples: Sequence[bytes], count: int) -> Iterator[bytes]:
    """Yield ``count`` inputs, for a seed always the same."""
    random = Random(seed)
    for _ in range(count):
        yield mutated(random, samples)


def _changed(random: Random, text: bytes, samples: Sequence[bytes]) -> bytes:
    start, end = sorted((random.randrange(len(text) + 1), random.randrange(len(text) + 1)))
    match random.randrange(7):
        case 0:  # another byte
            return text[:start] + bytes((random.randrange(256),)) + text[start + 1 :]
        case 1:  # one bit
            at = bytes((text[start] ^ 1 << random.randrange(8),)) if start < len(text) else b""
            return text[:start] + at + text[start + 1 :]
        case 2:
            return text[:start] + random.choice(SPICES) + text[start:]
        case 3:
            return text[:start] + random.choice(SPICES) + text[end:]
        case 4:
            return text[:start] + text[end:]
        case 5:
            return text[:end] + text[start:]
        case _:
            return text[:start] + random.choice(samples)[start:]
