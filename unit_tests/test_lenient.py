"""JSON that is almost JSON: what is repaired, what is not, and how it is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from source_microsoft_graph.graph import lenient
from source_microsoft_graph.graph.catalogue import Action, classify
from source_microsoft_graph.graph.lenient import BrokenJson, parse
from source_microsoft_graph.graph.response import GraphResponse

HALF, NAN, NO_UTF_8, MARK, CONTROLS, HUGE = (
    lenient._UNPAIRED,
    lenient._NO_NUMBER,
    lenient._NO_UTF_8,
    lenient._MARK,
    lenient._CONTROLS,
    lenient._HUGE,
)

TEXTS = [
    (r"cut \ud83d", "cut \ufffd"),
    (r"\ud83d", "\ufffd"),
    (r"\ude00 first", "\ufffd first"),
    (r"\ud83dX", "\ufffdX"),
    (r"\ude00\ud83d", "\ufffd\ufffd"),
    (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
    (r"\ud83d\ude00\ud83d", "\U0001f600\ufffd"),
    (r"\uD83D", "\ufffd"),
    (r"\\\ud83d", "\\\ufffd"),
    (r"\\\\\udfff", "\\\\\ufffd"),
    (r"\ud83d\\ude00", "\ufffd\\ude00"),
    (r"\ud83d\n\ude00", "\ufffd\n\ufffd"),
    (r"\ud83d\u0041", "\ufffdA"),
    (r"ä\ud83dö", "ä\ufffdö"),
]
"""Half of a surrogate pair in a text as it is written in JSON, and what is read."""


def page(body: bytes) -> tuple[dict[str, Any], frozenset[str]]:
    """The body of a response, which has to be a whole page, and what was repaired in it."""
    response = GraphResponse(200, {}, body)
    assert classify(response).action is Action.READ, str(response)
    return response.body, response.repairs


@pytest.mark.parametrize(("written", "read"), TEXTS)
def test_half_a_surrogate_pair_is_read(written: str, read: str) -> None:
    """Outlook cuts texts at a number of UTF-16 units. Each half becomes U+FFFD, in values and in names."""
    body = f'{{"value": [{{"id": "1", "body": "{written}", "{written}": [["{written}"]]}}]}}'

    assert page(body.encode()) == ({"value": [{"id": "1", "body": read, read: [[read]]}]}, {HALF})


@pytest.mark.parametrize("written", [r"\\ud83d", r"\\\\ud83d", r"\ud83d\ude00", r"a \\\\\\ud83d", r"\\\\\\\\ude00"])
def test_what_is_no_half_pair_is_left_alone(written: str) -> None:
    """A backslash that is itself escaped begins no escape, and a whole pair is a character."""
    body = f'{{"value": [{{"id": "{written}"}}]}}'

    assert page(body.encode()) == (json.loads(body), frozenset())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_null(number: str) -> None:
    """A division by nothing is no value, wherever it stands."""
    body = f'{{"value": [{{"id": "1", "a": {number}, "b": [{number}, 1.5], "c": "{number}"}}]}}'

    assert page(body.encode()) == ({"value": [{"id": "1", "a": None, "b": [None, 1.5], "c": number}]}, {NAN})


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_dropped(encoding: str) -> None:
    """Some services of Graph's write one before the page."""
    assert page('{"value": [{"id": "ü"}]}'.encode(encoding)) == ({"value": [{"id": "ü"}]}, {MARK})


@pytest.mark.parametrize("raw", [b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\xbd", b"\xf8\x88\x80\x80\x80"], ids=repr)
def test_bytes_that_are_no_utf_8_are_read(raw: bytes) -> None:
    """What stands around them is kept."""
    body, repairs = page(b'{"value": [{"id": "1", "a": "x' + raw + b'y"}]}')
    [row] = body["value"]

    assert (row["id"], row["a"][0], {*row["a"][1:-1]}, row["a"][-1], repairs) == ("1", "x", {"\ufffd"}, "y", {NO_UTF_8})


@pytest.mark.parametrize("control", ["\n", "\t", "\x00", "\x1f", "\r\n"], ids=repr)
def test_control_characters_are_kept(control: str) -> None:
    """They have to be escaped in a text, and some services forget it."""
    assert page(f'{{"value": [{{"id": "1{control}2"}}]}}'.encode()) == ({"value": [{"id": f"1{control}2"}]}, {CONTROLS})


@pytest.mark.parametrize("number", ["1e400", "-1e999", "9" * 5_000])
def test_numbers_out_of_range_keep_their_digits(number: str) -> None:
    """As a text, which no destination rounds."""
    assert page(f'{{"value": [{{"id": "1", "a": {number}}}]}}'.encode()) == (
        {"value": [{"id": "1", "a": number}]},
        {HUGE},
    )


def test_repairs_are_combined() -> None:
    """A page may have all of it."""
    body = b'\xef\xbb\xbf{"value": [{"id": "\\ud83d", "a": NaN, "b": "\xff", "c": 1e400}]}'

    assert page(body) == (
        {"value": [{"id": "\ufffd", "a": None, "b": "\ufffd", "c": "1e400"}]},
        {MARK, HALF, NAN, NO_UTF_8, HUGE},
    )


def test_integers_keep_their_digits_in_a_page_that_needs_repair() -> None:
    """The lenient reader is as exact as the other one."""
    body, _ = page(b'{"value": [{"id": "1", "a": NaN, "b": [18446744073709551617, -9223372036854775809, 0.1, 1.0]}]}')

    assert repr(body["value"][0]["b"]) == "[18446744073709551617, -9223372036854775809, 0.1, 1.0]"


def test_a_large_page_is_repaired() -> None:
    """Five megabytes with one half of a pair at the end lose nothing."""
    rows = [{"id": str(number), "body": "x" * 1_000} for number in range(5_000)]
    text = json.dumps({"value": [*rows, {"id": "last", "body": "cut"}]}).replace('"cut"', r'"cut \ud83d"')

    assert page(text.encode()) == ({"value": [*rows, {"id": "last", "body": "cut \ufffd"}]}, {HALF})


@pytest.mark.parametrize(
    ("content", "position"),
    [
        (b"", 0),
        (b"<html>", 0),
        (b'{"value": [{"id": "m1"}, {"id"', 30),
        (b'{"value": [{"id": "m1"', 22),
        (b'{"value": [{"id": "m1"},]}', 24),
        (b'{"value": [{"id": nan}]}', 18),
        (b"{'value': []}", 1),
        (b'{"value": [01]}', 12),
        (b'{"value": []}trailing', 13),
        (b'{"value": []}{"value": []}', 13),
        (b'\xef\xbb\xbf{"value": [}', 11),
        ('{"value": ["ü", }'.encode(), 16),
    ],
    ids=repr,
)
def test_what_cannot_be_repaired_names_the_position(content: bytes, position: int) -> None:
    """The character at which the JSON breaks; nothing of the content is quoted."""
    with pytest.raises(BrokenJson) as caught:
        parse(content)

    assert str(caught.value).startswith(f"the JSON breaks at character {position}: ")
    assert classify(GraphResponse(200, {}, content)).action is Action.SHRINK


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_what_is_nested_too_deeply_is_named(depth: int) -> None:
    """No recursion breaks out of the parser."""
    with pytest.raises(BrokenJson, match="nested too deeply"):
        parse(b'{"value": ' + b"[" * depth + b"]" * depth + b"}")


APPENDED = '{"error": {"code": "Unavailable", "message": "The service broke.", "innerError": {"code": "x"}}}'


@pytest.mark.parametrize(
    "body",
    [
        '{"value": [{"id": "m1"}, {"id": "m2"}' + APPENDED,
        '{"value": [{"id": "m1"}, {"id": "m2"},' + APPENDED,
        '{"value": [{"id": "m1"}, {"id": "m' + APPENDED,
        '{"value": [{"id": "m1"}, {"id":' + APPENDED.replace('{"error": ', '{ \r\n "error" : '),
        '{"value": [{"id": "m1"}' + APPENDED + "]}",
        '{"value": [{"id": "m1"}' + APPENDED + "}]}\r\n",
        '{"value": [{"id": "m1"}]}' + APPENDED,
        '{"value": [{"id": "m1"}]}\r\n\r\n' + APPENDED + "\r\n",
        '{"value": [{"id": "m0", "error": 5}, {"error": {"code": "of m1"}}' + APPENDED,
        '{"value": [' + APPENDED[:-1].replace("The service broke.", "First.") + "}" + APPENDED,
    ],
)
def test_an_appended_error_is_told(body: str) -> None:
    """A service that fails in the middle of a page appends its error; such a page is not whole."""
    response = GraphResponse(200, {}, body.encode())

    assert classify(response).action is Action.SHRINK
    assert "and an error follows: Unavailable: The service broke." in str(response)


@pytest.mark.parametrize(
    "body",
    [
        '{"value": [{"error": {"code": "Nested", "message": "Of an object."}}, {"id": "m2"',
        '{"value": [{"id": "m1"}{"error": {"code": "Cut", "mess',
        '{"value": [{"id": "m1"}{"error": "a text"}',
    ],
)
def test_an_error_that_is_not_appended_is_not_told(body: str) -> None:
    """An object of the page may have an error of its own; where the page breaks is elsewhere."""
    with pytest.raises(BrokenJson, match=r"^the JSON breaks at character "):
        parse(body.encode())


def test_an_appended_error_is_told_in_a_line() -> None:
    """However long its message is, and whatever is in it."""
    body = r'{"value": [{"id": "m1"}{"error": {"code": 5, "message": "\ud83d' + "x" * 1_000_000 + '"}}'

    told = str(GraphResponse(200, {}, body.encode()))

    assert "and an error follows: 5: \ufffdxxx" in told
    assert len(told) < 1_000
