"""The JSON in a token is read in one way only, or not at all."""

import json

import pytest

from quash.parse import MAX_NUMBER, parse
from tests.client.checking import unparsed
from tests.client.minting import claims, compact

HEADER = {"alg": "ES256"}


def with_payload(text: str | bytes) -> str:
    return compact(HEADER, text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_encodings_other_than_utf_8_are_malformed(encoding: str) -> None:
    text = json.dumps(claims(sub="é"), ensure_ascii=False)
    assert unparsed(compact(HEADER, text.encode(encoding))).code == "malformed"
    assert unparsed(compact(json.dumps(HEADER).encode(encoding), claims())).code == "malformed"


@pytest.mark.parametrize("junk", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe9"])
def test_bytes_that_are_not_utf_8_are_malformed(junk: bytes) -> None:
    """Stray, overlong, surrogate, beyond Unicode, Latin-1."""
    assert unparsed(with_payload(b'{"sub":"' + junk + b'"}')).code == "malformed"


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '"text"',
        "1",
        "true",
        "null",
        "",
        " ",
        "{",
        '{"a":1}x',
        '{"a":1}{}',
        "{'a':1}",
        '{"a":1,}',
        "{a:1}",
        '{"a":"\n"}',
        '{"a":01}',
        '{"a":.5}',
        '{"a":+1}',
        '{"a":0x1}',
        "// c\n{}",
    ],
)
def test_whatever_is_not_one_strict_json_object_is_malformed(text: str) -> None:
    assert unparsed(with_payload(text)).code == "malformed"
    assert unparsed(compact(text, claims())).code == "malformed"


@pytest.mark.parametrize(
    "text",
    [
        '{"sub":"alice","sub":"bob"}',
        '{"sub":"alice","\\u0073ub":"bob"}',
        '{"a":{"b":1,"b":1}}',
        '{"a":[{"b":{"c":1,"c":2}}]}',
    ],
)
def test_duplicate_names_are_malformed_at_any_depth(text: str) -> None:
    assert unparsed(with_payload(text)).code == "malformed"


def test_a_duplicate_name_in_the_header_is_malformed() -> None:
    assert unparsed(compact('{"alg":"none","alg":"ES256"}', claims())).code == "malformed"


@pytest.mark.parametrize(
    "number",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "-1e400",
        "9007199254740994.0",
        "9.1e15",
        str(MAX_NUMBER + 1),
        str(-MAX_NUMBER - 1),
        "1" + "0" * 400,
        "9" * 5000,
    ],
)
def test_numbers_that_readers_disagree_on_are_malformed(number: str) -> None:
    for text in (f'{{"exp":{number}}}', f'{{"a":[{{"b":{number}}}]}}'):
        assert unparsed(with_payload(text)).code == "malformed"


@pytest.mark.parametrize("number", [MAX_NUMBER, -MAX_NUMBER, 0, 1.5, -0.0, 1e-400, 9007199254740992.0])
def test_numbers_up_to_2_to_the_53_are_read(number: float) -> None:
    assert parse(compact(HEADER, {"n": number})).payload == {"n": number}


def nested(levels: int, opening: str, closing: str) -> str:
    return '{"a":' + opening * (levels - 1) + "1" + closing * (levels - 1) + "}"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_eight_levels_are_read_and_nine_are_malformed(opening: str, closing: str) -> None:
    per_step = opening.count("[") + opening.count("{")
    for levels in range(1, 30, per_step):
        token = with_payload(nested((levels - 1) // per_step + 1, opening, closing))
        if levels <= 8:
            assert "a" in parse(token).payload
        else:
            assert unparsed(token).code == "malformed"


def test_the_depth_is_that_of_values_not_of_brackets_in_text_or_side_by_side() -> None:
    payload = {"text": "[[[[[[[[[[{{{{{{{{{{", "lists": [[] for _ in range(50)], "objects": [{}] * 50}
    assert parse(compact(HEADER, payload)).payload == payload


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_a_tower_of_brackets_is_malformed_and_exhausts_nothing(opening: str) -> None:
    tower = opening * (11_000 // len(opening))
    assert unparsed(with_payload('{"a":' + tower)).code == "malformed"
    assert unparsed(compact(tower, claims())).code == "malformed"


@pytest.mark.parametrize("escape", ["\\ud800", "\\uDFFF", "\\udc00\\ud800", "a\\uD83Db"])
def test_lone_surrogates_are_malformed_in_values_and_names(escape: str) -> None:
    assert unparsed(with_payload(f'{{"sub":"{escape}"}}')).code == "malformed"
    assert unparsed(with_payload(f'{{"a":[{{"{escape}":1}}]}}')).code == "malformed"


def test_an_escaped_pair_is_the_character_it_stands_for() -> None:
    assert parse(with_payload('{"sub":"\\ud83d\\ude00\\u00e9"}')).payload == {"sub": "😀é"}
