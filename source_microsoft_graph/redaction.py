"""The one module that keeps secrets out of what is printed, and the escape sequences of terminals with them.

    remember(secret)     a value that must never be printed, from now on
    told(text)           the text as it may be printed
    told_message(m)      an Airbyte message whose texts are `told`; records and states stay as they are
    guard_logs()         every log record of this process is `told`
    guard_streams()      every line that this process prints is `told`

A secret is found however it is spelled. Text and secrets are compared in a plain form: what JSON, URLs, forms, HTML and
Python's literals spell otherwise is decoded, as often as it was encoded, and blanks, line breaks and the characters in
which those spellings and the two alphabets of base64 differ are left out. Beside it stands the base64 form of each
secret, which has three alignments inside a longer text. Of a secret of 20 characters or more any 20 are found, unless
more than eight of them are among those left out; a shorter one is found as a whole; one below `SHORTEST` is not told
from ordinary words and stays. What looks like a JWT or like a bearer token is replaced whether it is known or not.
"""

from __future__ import annotations

import atexit
import html
import json
import logging
import re
import sys
import threading
import traceback
from array import array
from base64 import b64encode, urlsafe_b64decode
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, TextIO, TypeVar, cast

import orjson
from airbyte_cdk.models import AirbyteMessage, FailureType, Type
from airbyte_cdk.utils import AirbyteTracedException
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets

SHORTEST = 8
"""Characters of the shortest secret that is replaced. A shorter one would take words out of every message."""

MASK = "****"

_LONG = 20
"""Characters of a secret, or of a spelling of it, from which on parts of it are searched for."""

_RUN = 12
"""Characters of such a part in its plain form."""

_GRAM = 8
_STRIDE = _RUN - _GRAM + 1
"""Of each secret every fifth run of eight characters is indexed: any part holds one of them."""

_SHORTEST_PLAIN = 6
"""Characters of the shortest plain form that is searched for: a spelling in base64 may lose two."""

_ROUNDS = 5
"""How often a text is decoded at most."""

_ARMOUR = re.compile(r"-----(?:BEGIN|END) [A-Z0-9 ]+-----")
_ESCAPES = re.compile(
    r"(?:%[0-9A-Fa-f]{2})+|&(?:#\w{1,8}|[a-z]{2,4});"
    r"|(?<!\\)\\++(?:[nrtbf]|x[0-9A-Fa-f]{2}(?:\\++x[0-9A-Fa-f]{2})*|u[0-9A-Fa-f]{4}(?:\\++u[0-9A-Fa-f]{4})*"
    r"|U[0-9A-Fa-f]{8})"
)
_HEX = re.compile(r"[0-9A-Fa-f]{4}|[0-9A-Fa-f]{2}")
_LEFT_OUT = re.compile("[\\s\\\\+\\-_/\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
"""Blanks, backslashes, what base64 and base64url spell differently, `+` for a blank of a form, and what is not seen."""

_JWT_RUN = re.compile(r"[\w.-]{16,}", re.ASCII)
_SHORTEST_HEADER = 12
"""Characters of the first part of a JWT, at least: what `{"alg":""}` is in base64 has 14."""

_BEARER = re.compile(r"(bearer(?:\s|\+|%20|\\u0020)+)(?=[a-z]*[\d._~+/=%-]|[a-z]{20})[\w.~+/=%-]{8,}", re.IGNORECASE)
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys instead of showing it: control characters of both sets, and marks that turn the direction of
writing around (https://www.unicode.org/reports/tr9/). Halves of a surrogate pair cannot be printed at all."""

_COLOUR_OR_UNSEEN = re.compile(rf"\x1b\[\d*m|{_UNSEEN.pattern}")
_SPELT_UNSEEN = re.compile(r"\\u00(?:0[0-8bBcCeEfF]|1[0-9a-fA-F]|7[fF])|\\[bfr]")
"""Control characters as JSON spells them."""

_DATA = ('{"type":"RECORD"', '{"type":"STATE"')

_Told = TypeVar("_Told")


class Redactor:
    """Knows the secrets of one run and takes them out of texts. Safe between threads.

    The time for a text is linear in its length, whatever the number of secrets of 20 characters or more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._grams: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        self._short: tuple[str, ...] = ()

    def remember(self, secret: str, *, in_parts: bool = True) -> bool:
        """Index a secret in its plain form and in base64. False if it is known, or too short."""
        with self._lock:
            if secret in self._known or len(secret) < SHORTEST:
                return False
            self._known.add(secret)
            spellings = {_plain("".join(_ARMOUR.split(secret))), *map(_plain, _in_base64(secret))}
            for spelling in spellings:
                if len(spelling) >= (_RUN if len(secret) >= _LONG else _LONG) and in_parts:
                    for start in range(0, len(spelling) - _GRAM + 1, _STRIDE):
                        self._grams[spelling[start : start + _GRAM]].append((spelling, start))
                elif len(spelling) >= _SHORTEST_PLAIN:
                    self._short += (spelling,)
        return True

    def redact(self, text: str) -> str:
        """The text with a mask for each secret, and for whatever looks like a token."""
        spans = list(self._spans(_plain(text)))
        if spans:
            starts, ends = _origins(text)
            text = _masked(text, [(starts[first], ends[end - 1]) for first, end in spans])
        return _BEARER.sub(rf"\1{MASK}", _JWT_RUN.sub(_without_jwt, text))

    def _spans(self, plain: str) -> Iterator[tuple[int, int]]:
        for secret in self._short:
            start = plain.find(secret)
            while start >= 0:
                yield start, start + len(secret)
                start = plain.find(secret, start + len(secret))
        grams, masked = self._grams, 0
        if not grams:
            return
        for here in [here for here in range(len(plain) - _GRAM + 1) if plain[here : here + _GRAM] in grams]:
            if here >= masked:
                first, end = max(
                    (_run(plain, here, *known) for known in grams[plain[here : here + _GRAM]]), key=_length
                )
                if end - first >= _RUN:
                    yield first, end
                    masked = end


def _run(plain: str, here: int, secret: str, offset: int) -> tuple[int, int]:
    """How far text and secret agree around a position of each."""
    first, end = here, here + _GRAM
    while first and offset > here - first and plain[first - 1] == secret[offset - (here - first) - 1]:
        first -= 1
    most = min(len(plain), here + len(secret) - offset)
    while end < most and plain[end] == secret[offset + end - here]:
        end += 1
    return first, end


def _length(span: tuple[int, int]) -> int:
    return span[1] - span[0]


def _in_base64(secret: str) -> Iterator[str]:
    """What the secret is inside the base64 form of a longer text, where it may begin at any byte of three: the
    characters that hold bits of nothing else, each six bits of a byte's eight."""
    content = secret.encode(errors="replace")
    for before in range(3):
        spelling = b64encode(b"\0" * before + content).decode()
        yield spelling[-(-before * 8 // 6) : (before + len(content)) * 8 // 6]


def _plain(text: str) -> str:
    """The plain form, in which texts and secrets are compared."""
    for _ in range(_ROUNDS):
        decoded = _ESCAPES.sub(_decoded, text)
        if decoded == text:
            break
        text = decoded
    return _LEFT_OUT.sub("", text)


def _origins(text: str) -> tuple[array[int], array[int]]:
    """For each character of the plain form, where what it came from begins and ends in the text."""
    starts, ends = array("I", range(len(text))), array("I", range(1, len(text) + 1))
    for _ in range(_ROUNDS):
        before = text
        text, starts, ends = _rewritten(text, starts, ends, _ESCAPES, _decoded)
        if text == before:
            break
    _, starts, ends = _rewritten(text, starts, ends, _LEFT_OUT, lambda found: "")
    return starts, ends


def _rewritten(
    text: str,
    starts: array[int],
    ends: array[int],
    pattern: re.Pattern[str],
    replacement: Callable[[re.Match[str]], str],
) -> tuple[str, array[int], array[int]]:
    """As `pattern.sub(replacement, text)`, with where each character came from."""
    parts: list[str] = []
    new_starts, new_ends, last = array("I"), array("I"), 0
    for found in pattern.finditer(text):
        first, end = found.span()
        new = replacement(found)
        parts += (text[last:first], new)
        new_starts += starts[last:first]
        new_starts.extend([starts[first]] * len(new))
        new_ends += ends[last:first]
        new_ends.extend([ends[end - 1]] * len(new))
        last = end
    return "".join((*parts, text[last:])), new_starts + starts[last:], new_ends + ends[last:]


def _decoded(found: re.Match[str]) -> str:
    """What an escape of JSON, of a URL, of HTML or of a Python literal stands for."""
    spelling = found[0]
    if spelling[0] == "&":
        return html.unescape(spelling)
    digits = _HEX.findall(spelling.replace("\\", "").replace("%", "").replace("x", "").replace("u", "").lstrip("U"))
    if not digits:
        return ""
    if "U" in spelling:
        return html.unescape(f"&#x{''.join(digits)};")
    if "u" in spelling:
        units = b"".join(int(unit, 16).to_bytes(2, "big") for unit in digits)
        return units.decode("utf-16-be", errors="replace")
    content = bytes.fromhex("".join(digits))
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _masked(text: str, spans: list[tuple[int, int]]) -> str:
    parts: list[str] = []
    last = 0
    for first, end in sorted(spans):
        if first >= last:
            parts += (text[last:first], MASK)
        last = max(last, end)
    return "".join((*parts, text[last:]))


def _without_jwt(found: re.Match[str]) -> str:
    """A JWT begins with a JSON object in base64url, and `eyJ` is how one begins:
    https://datatracker.ietf.org/doc/html/rfc7519#section-3.1"""
    run = found[0]
    start = run.find("eyJ")
    while start >= 0 and (dot := run.find(".", start)) >= 0:
        if dot - start >= _SHORTEST_HEADER and _is_object(run[start:dot]):
            return run[:start] + MASK
        start = run.find("eyJ", dot)
    return run


def _is_object(segment: str) -> bool:
    try:
        return isinstance(json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4))), Mapping)
    except (ValueError, RecursionError):
        return False


_redactor = Redactor()


def remember(secret: object, *, in_parts: bool = True) -> None:
    """Never print this text from now on; a mapping or a list stands for the texts in it, anything else for none.

    `in_parts` says that no long part of it is to be printed either, which is wrong for what is no random text.
    """
    if isinstance(secret, Mapping):
        for value in secret.values():
            remember(value, in_parts=in_parts)
    elif isinstance(secret, list | tuple):
        for value in secret:
            remember(value, in_parts=in_parts)
    elif isinstance(secret, str) and _redactor.remember(secret, in_parts=in_parts):
        # The CDK masks by a list of its own what a program prints that calls the source from Python.
        add_to_secrets(secret)
        # A traceback prints the lines of a text one by one.
        for line in secret.splitlines():
            if not _ARMOUR.search(line):
                _redactor.remember(line)


def told(text: str) -> str:
    """The text as it may be printed: without secrets, and with whatever a terminal would obey spelled out."""
    return _seen(_redactor.redact(text))


def _seen(text: str) -> str:
    return _UNSEEN.sub(_spelled, text.replace("\r\n", "\n"))


def _spelled(found: re.Match[str]) -> str:
    if len(found[0]) > 1:
        return found[0]
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def told_message(message: AirbyteMessage) -> AirbyteMessage:
    """The message with its texts as they may be printed. Records and states are data, which nothing may change."""
    return message if message.type in (Type.RECORD, Type.STATE) else _told_all(message)


def _told_all(value: _Told) -> _Told:
    """The same with each text in it `told`, in place where it is a dataclass."""
    if isinstance(value, str) and type(value) is str:
        return cast(_Told, told(value))
    if isinstance(value, dict):
        return cast(_Told, {name: _told_all(each) for name, each in value.items()})
    if isinstance(value, list):
        return cast(_Told, [_told_all(each) for each in value])
    if is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            setattr(value, each.name, _told_all(getattr(value, each.name)))
    return value


@contextmanager
def telling_no_secret() -> Iterator[None]:
    """An exception that leaves this block holds no secret, nor does any that led to it: their texts are printed."""
    try:
        yield
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        if told(trace) == _seen(trace):
            raise
        raise _told_exception(error, told(trace)) from None


def _told_exception(error: Exception, trace: str) -> AirbyteTracedException:
    """The exception in words that may be printed; its trace is part of the internal message."""
    if not isinstance(error, AirbyteTracedException):
        message = f"{type(error).__name__}: {told(str(error))}"
        return AirbyteTracedException(f"{message}\n{trace}", message, FailureType.system_error)
    return AirbyteTracedException(
        told(error.internal_message or str(error)),
        told(error.message or str(error)),
        error.failure_type,
        stream_descriptor=error._stream_descriptor,
    )


def guard_logs() -> None:
    """Make every log record of this process without secrets, whoever logs it and whichever handler prints it."""
    make = logging.getLogRecordFactory()
    if make is not _told_record:
        global _make_record
        _make_record = make
        logging.setLogRecordFactory(_told_record)


_make_record: Callable[..., logging.LogRecord] = logging.LogRecord


def _told_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = _make_record(*args, **kwargs)
    try:
        message = record.getMessage()
    except Exception:  # Arguments that do not fit the message: the handler says so on stderr, which is guarded too.
        return record
    if (safe := told(message)) != message:
        record.msg, record.args = safe, ()
    if record.exc_info and record.exc_info[0]:
        trace = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if (safe := told(trace)) != trace:
            # A formatter prints this text instead of the exception.
            record.exc_text = safe
    return record


class GuardedStream:
    """A text stream that writes whole lines, each without secrets. Whatever else is asked of it the stream answers.

    Lines of records and states pass unread. The texts of other messages are changed and not their names, so that they
    stay messages; the connector's own colours stay in what is no message.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n") if "\n" in text else (self._begun + text,)
            if lines:
                self._stream.write("".join(f"{_told_line(line)}\n" for line in lines))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Half a line waits for its end: the other half of a secret may follow."""
        self._stream.flush()

    def close_line(self) -> None:
        """Print what was begun, for nothing follows any more."""
        with self._lock:
            if self._begun and not self._stream.closed:
                self._stream.write(_told_line(self._begun))
                self._stream.flush()
            self._begun = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _told_line(line: str) -> str:
    if line.startswith(_DATA):
        return line
    redacted = _redactor.redact(line)
    if redacted == line and not _UNSEEN.search(line) and not _SPELT_UNSEEN.search(line):
        return line
    try:
        message = orjson.loads(line)
    except ValueError:
        message = None
    if isinstance(message, dict):
        return orjson.dumps(_told_all(message)).decode()
    return _COLOUR_OR_UNSEEN.sub(_spelled, redacted)


def guard_streams() -> None:
    """Put a guard before stdout and stderr, for as long as the process lives: a trace may be printed at its very end.

    The CDK prints to the streams that Python began with, `sys.__stdout__` and `sys.__stderr__`. What a thread raises is
    logged, as a message, where Python would print it line by line.
    """
    threading.excepthook = _log_thread_failure
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, GuardedStream):
            guarded = GuardedStream(stream)
            setattr(sys, name, guarded)
            atexit.register(guarded.close_line)


def _log_thread_failure(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value and not isinstance(failure.exc_value, SystemExit):
        name = failure.thread.name if failure.thread else "that is gone"
        logging.getLogger("airbyte").error("The thread %s failed", name, exc_info=failure.exc_value)
