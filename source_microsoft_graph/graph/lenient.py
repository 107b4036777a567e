"""JSON that is almost JSON, as services behind Graph write it: read with the least change, and with a note of it."""

from __future__ import annotations

import json
import math
from typing import Any

_UNPAIRED = "half of a surrogate pair, read as U+FFFD"
_NO_NUMBER = "NaN or Infinity, read as null"
_NO_UTF_8 = "bytes that are no UTF-8, read as U+FFFD"
_MARK = "a byte order mark, left out"

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class BrokenJson(Exception):
    """Content that is no JSON even then; the message says where it breaks, and quotes nothing of it but an error."""


def parse(content: bytes) -> tuple[Any, frozenset[str]]:
    """What the content holds, and what had to be repaired in it.

    Half a surrogate pair and bytes that are no UTF-8 become U+FFFD, NaN and Infinity become null, a byte order mark is
    dropped. Raises `BrokenJson`.
    """
    repairs: set[str] = set()
    if content.startswith(_BYTE_ORDER_MARK):
        content = content.removeprefix(_BYTE_ORDER_MARK)
        repairs.add(_MARK)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode(errors="replace")
        repairs.add(_NO_UTF_8)

    def no_number(_: str) -> None:
        repairs.add(_NO_NUMBER)

    def number(digits: str) -> float | str:
        """A number beyond the range of a double keeps its digits."""
        found = float(digits)
        return found if math.isfinite(found) else digits

    try:
        value = json.loads(text, parse_constant=no_number, parse_float=number, strict=False)
        return _without_surrogates(value, repairs), frozenset(repairs)
    except json.JSONDecodeError as error:
        raise BrokenJson(_appended_error(text) or f"the JSON breaks at character {error.pos}: {error.msg}") from None
    except RecursionError:
        raise BrokenJson("the JSON is nested too deeply") from None


def _without_surrogates(value: Any, repairs: set[str]) -> Any:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            repairs.add(_UNPAIRED)
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return value
    if isinstance(value, list):
        return [_without_surrogates(item, repairs) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(name, repairs): _without_surrogates(item, repairs) for name, item in value.items()}
    return value


def _appended_error(text: str) -> str:
    """A service that fails in the middle of a page appends its error to what it has sent so far."""
    start = text.rfind('{"error"')
    if start <= 0:
        return ""
    try:
        error = json.JSONDecoder().raw_decode(text, start)[0]["error"]
        return f"the page breaks off and an error follows: {error.get('code')}: {error.get('message')}"
    except (ValueError, AttributeError, RecursionError):
        return ""
