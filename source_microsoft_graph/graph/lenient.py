"""JSON that is almost JSON, as services behind Graph write it: read with the least change, and with a note of it."""

from __future__ import annotations

import codecs
import json
import math
import re
from typing import Any

_UNPAIRED = "half of a surrogate pair, read as U+FFFD"
_NO_NUMBER = "NaN or Infinity, read as null"
_NO_UTF_8 = "bytes that are no UTF-8, read as U+FFFD"
_MARK = "a byte order mark, left out"
_CONTROLS = "control characters in texts, kept"
_HUGE = "a number beyond the range of a double or of 4,000 digits, read as a text"

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_WORDS = 500
"""Characters that are quoted of an error's message."""

_MOST_DIGITS = 4_000
"""Digits of an integer that Python reads: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits"""

_ERROR = re.compile(r'\{\s*"error"\s*:\s*\{')
_ENDS = re.compile(r"[\s\]},]*")
"""What may stand behind an error that was appended: the ends of what had been begun."""


class BrokenJson(Exception):
    """Content that is no JSON even then; the message says where it breaks, and quotes nothing of it but an error."""


def parse(content: bytes) -> tuple[Any, frozenset[str]]:
    """What the content holds, and what had to be repaired in it.

    Half a surrogate pair and bytes that are no UTF-8 become U+FFFD, NaN and Infinity become null, a byte order mark is
    dropped, control characters stay, and a number beyond the range of a double or of 4,000 digits becomes a text.
    Raises `BrokenJson`.
    """
    repairs: set[str] = set()
    try:
        value = _mended(load(content, repairs), repairs)
    except RecursionError:
        raise BrokenJson("the JSON is nested too deeply") from None
    # Nothing else keeps content from being JSON that could be read all the same.
    return value, frozenset(repairs or {_CONTROLS})


def load(content: bytes, repairs: set[str] | None = None) -> Any:
    """What the content holds, with halves of surrogate pairs, NaN and Infinity in it. Adds to `repairs`, and raises as
    `parse` does."""
    repairs = set() if repairs is None else repairs
    text = _decoded(content, repairs)

    def number(digits: str) -> float | str:
        found = float(digits)
        return found if math.isfinite(found) else huge(digits)

    def integer(digits: str) -> int | str:
        return int(digits) if len(digits) <= _MOST_DIGITS else huge(digits)

    def huge(digits: str) -> str:
        repairs.add(_HUGE)
        return digits

    try:
        return json.loads(text, parse_float=number, parse_int=integer, strict=False)
    except json.JSONDecodeError as error:
        raise BrokenJson(_appended_error(text) or f"the JSON breaks at character {error.pos}: {error.msg}") from None
    except RecursionError:
        raise BrokenJson("the JSON is nested too deeply") from None


def _decoded(content: bytes, repairs: set[str]) -> str:
    """The text, without the mark that some services put before it."""
    encoding = "utf-8"
    if content.startswith(_MARKS):
        repairs.add(_MARK)
        encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        repairs.add(_NO_UTF_8)
        return content.decode(encoding, errors="replace")


def _mended(value: Any, repairs: set[str]) -> Any:
    if isinstance(value, str):
        return _whole(value, repairs)
    if isinstance(value, list):
        return [_mended(item, repairs) for item in value]
    if isinstance(value, dict):
        return {_whole(name, repairs): _mended(item, repairs) for name, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        repairs.add(_NO_NUMBER)
        return None
    return value


def _whole(text: str, repairs: set[str]) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        repairs.add(_UNPAIRED)
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _appended_error(text: str) -> str:
    """A service that fails in the middle of a page appends its error to what it has sent so far."""
    start = max((found.start() for found in _ERROR.finditer(text)), default=0)
    if not start:
        return ""
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError):
        return ""
    error = value["error"]
    is_last = _ENDS.fullmatch(text, end)
    words = ": ".join(str(error[name])[:_WORDS] for name in ("code", "message") if error.get(name))
    told = f"the page breaks off at character {start} and an error follows: {words}"
    return _whole(told, set()) if is_last else ""
