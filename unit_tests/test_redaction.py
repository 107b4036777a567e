"""What is taken out of everything that is printed, and what stays."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from airbyte_cdk.logger import AirbyteLogFormatter
from airbyte_cdk.models import AirbyteLogMessage, AirbyteMessage, AirbyteRecordMessage, Level, Type
from airbyte_cdk.utils import AirbyteTracedException

from simulated_tenant import certificates
from source_microsoft_graph import redaction
from source_microsoft_graph.errors import StreamRefused
from source_microsoft_graph.redaction import (
    MASK,
    SHORTEST,
    GuardedStream,
    guard_logs,
    guard_streams,
    remember,
    telling_no_secret,
    told,
    told_message,
)
from unit_tests.graph_api import a_token
from unit_tests.spellings import betrayed, spellings

ENTRA = "8Q~x7T_abc-DEF.ghi~JKL123mnoPQR456stuVWX"
UMLAUTS = "grüße an/+alle=Straßen&mehr\\ \"so\" 'so' 100%41"
EMOJI = "schlüssel🔑bund/und?noch#mehr"
TOKEN = a_token(["User.Read.All"])
SECRETS = {"Entra's": ENTRA, "umlauts": UMLAUTS, "emoji": EMOJI, "token": TOKEN, "nine letters": "pa/ss+wör"}


@pytest.mark.parametrize("spelling", spellings("any"))
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_found_in_every_spelling(secret: str, spelling: str) -> None:
    """Whatever it is spelled as, and whatever stands beside it, which stays."""
    remember(secret)

    redacted = told(f"Before: <{spellings(secret)[spelling]}>, after.")

    assert betrayed(redacted, secret) == []
    assert redacted.startswith("Before: <")
    assert redacted.endswith(">, after.")
    assert MASK in redacted


@pytest.mark.parametrize("spelling", spellings("any"))
@pytest.mark.parametrize("name", ["Entra's", "umlauts", "token"])
def test_a_part_of_a_secret_is_found(name: str, spelling: str) -> None:
    """Services cut what they repeat: at the front, at the end or at both."""
    remember(SECRETS[name])
    whole = spellings(SECRETS[name])[spelling]

    for part in (whole[:-7], whole[7:], whole[9:-9]):
        assert betrayed(told(f"Cut: {part} …"), SECRETS[name]) == []


def test_any_twenty_characters_are_found() -> None:
    """Wherever in the secret they stand; a few of them are words like any other."""
    remember(secret := "".join(chr(ord("a") + number * 7 % 26) + str(number % 10) for number in range(60)))

    parts = [secret[start : start + 20] for start in range(len(secret) - 19)]
    assert [told(f"({part})") for part in parts] == [f"({MASK})"] * len(parts)
    assert told(secret[5:16]) == secret[5:16]


@pytest.mark.parametrize("joint", ["\n", "\r\n", "\\n", " ", "", "\\\\n", "\n    "], ids=repr)
def test_a_private_key_is_found_however_its_lines_are_joined(joint: str) -> None:
    """As a form, a shell or a service writes it; each line by itself too. What every key begins with is no secret."""
    remember(key := certificates.pem(certificates.of_app()[1]))
    lines = key.splitlines()

    assert [betrayed(told(joint.join(lines)), line) for line in lines[1:-1]] == [[]] * (len(lines) - 2)
    assert [told(line).strip("+/=") for line in lines[1:-1]] == [MASK] * (len(lines) - 2)
    assert told(lines[0]) == lines[0]


def test_what_is_no_random_text_is_found_as_a_whole() -> None:
    """The end of a tenant's domain is that of every other's."""
    remember("contoso.onmicrosoft.com", in_parts=False)

    assert (
        told("ann@contoso.onmicrosoft.com, bob@fabrikam.onmicrosoft.com") == f"ann@{MASK}, bob@fabrikam.onmicrosoft.com"
    )


def test_short_secrets_are_found_as_a_whole() -> None:
    """From eight characters on. A shorter one would take words out of every message."""
    remember("Pass-wd8")
    remember("message")

    assert told("It was Pass-wd8, in a message.") == f"It was {MASK}, in a message."
    assert len("message") < SHORTEST == len("Pass-wd8")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        pytest.param(f"token={TOKEN}&x=1", f"token={MASK}&x=1", id="JWT"),
        pytest.param(f"Bearer%20{TOKEN}", f"Bearer%20{MASK}", id="JWT in a URL"),
        pytest.param(f"{TOKEN.rpartition('.')[0]}.", MASK, id="JWT without a signature"),
        pytest.param("Authorization: Bearer EwB4A8l6BAAU, ok", f"Authorization: Bearer {MASK}, ok", id="bearer"),
        pytest.param("bearer+EwB4A8l6BAAU/x==", f"bearer+{MASK}", id="bearer of a form"),
        pytest.param("bearer of a message, bearer authentication", None, id="a word"),
        pytest.param('Bearer realm="", error="invalid_token"', None, id="a challenge"),
        pytest.param("PrimaryKeyJoinSerializer.Deserialize.Object", None, id="names of code"),
        pytest.param("https://graph.microsoft.com/v1.0/users/eyJohn.Smith@contoso.com", None, id="a name"),
        pytest.param("C:\\new\\table %41 \\u0041 &amp; + - _ 100%", None, id="escapes of nothing secret"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_what_looks_like_a_token_is_replaced(text: str, redacted: str | None) -> None:
    """Known or not; and nothing that only resembles one."""
    assert told(text) == (text if redacted is None else redacted)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\\" * 300_000, id="backslashes"),
        pytest.param("eyJ" * 100_000, id="beginnings of a JWT"),
        pytest.param("eyJhbGciOiJub25l." * 20_000, id="halves of a JWT"),
        pytest.param("%25" * 100_000, id="encoded percent signs"),
        pytest.param("bearer " * 40_000, id="bearers of nothing"),
        pytest.param("&#" * 100_000, id="halves of an entity"),
        pytest.param("A" * 300_000, id="one letter"),
    ],
)
def test_no_text_takes_long(text: str) -> None:
    """Each of these would take minutes if the time grew with the square of the length."""
    remember(ENTRA)
    remember("A" * 11 + "B" * 15)

    assert told(text) == text


# What a terminal obeys.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("\x1b[2J\x1b[31mred", "\\x1b[2J\\x1b[31mred", id="clear and colour"),
        pytest.param("\x1b]8;;https://evil.example\x07here\x1b]8;;\x07", None, id="link"),
        pytest.param("\x1b]52;c;cm0gLXJmIC8=\x07", None, id="clipboard"),
        pytest.param("\x9b2J\x85", "\\x9b2J\\x85", id="C1"),
        pytest.param("a\rb\x08c\x00", "a\\x0db\\x08c\\x00", id="overwriting"),
        pytest.param("user\u202etxt.exe\u2066x", "user\\u202etxt.exe\\u2066x", id="direction of writing"),
        pytest.param("half \ud83d", "half \\ud83d", id="half a surrogate pair"),
        pytest.param("two\r\nlines\tand a tab", "two\nlines\tand a tab", id="lines"),
        pytest.param("Zoë 東京 مرحبا 🔑", "Zoë 東京 مرحبا 🔑", id="letters"),
    ],
)
def test_escape_sequences_are_shown_as_text(text: str, shown: str | None) -> None:
    """Whatever a terminal would obey is spelled out in Graph's words."""
    expected = shown if shown is not None else text.replace("\x1b", "\\x1b").replace("\x07", "\\x07")

    assert told(text) == expected
    assert str(StreamRefused(text)) == expected


def test_a_secret_with_unseen_characters_in_it_is_found() -> None:
    """A service that puts zero-width characters or escapes between its letters still tells it."""
    remember(ENTRA)

    assert told("\u200b".join(ENTRA)) == MASK
    assert told("\x1b[".join((ENTRA[:20], ENTRA[20:]))).count(MASK) == 2


# The channels.


def a_log(text: str) -> str:
    return json.dumps({"type": "LOG", "log": {"level": "INFO", "message": text}}, separators=(",", ":"))


def printed(*texts: str) -> str:
    """What comes out of a guarded stream for these writes."""
    below = io.StringIO()
    stream = GuardedStream(below)
    for text in texts:
        stream.write(text)
    stream.close_line()
    return below.getvalue()


def test_a_stream_prints_no_secret() -> None:
    """In a message, where the line stays a message; in any other line; and where two writes make up one line."""
    remember(ENTRA)

    assert printed(a_log(f"It is {ENTRA}.") + "\n") == a_log(f"It is {MASK}.") + "\n"
    assert printed("Trace: ", ENTRA[:9], ENTRA[9:], "\nnext") == f"Trace: {MASK}\nnext"
    assert printed(a_log("nothing") + "\n", "plain\n") == a_log("nothing") + "\nplain\n"


def test_a_stream_keeps_the_names_of_a_message() -> None:
    """Whoever has a field's name for a password still gets messages."""
    remember("stack_trace")
    line = {"type": "TRACE", "trace": {"error": {"stack_trace": "the stack_trace of"}}}

    assert json.loads(printed(f"{json.dumps(line)}\n"))["trace"]["error"] == {"stack_trace": f"the {MASK} of"}


def test_a_stream_shows_escape_sequences_and_keeps_colours() -> None:
    """The colours of the check's table are the connector's own."""
    assert printed("\x1b[31mno\x1b[0m \x1b]52;c;eA==\x07\n") == "\x1b[31mno\x1b[0m \\x1b]52;c;eA==\\x07\n"
    assert json.loads(printed(a_log("a\x1b[2Jb\x9bc") + "\n"))["log"]["message"] == "a\\x1b[2Jb\\x9bc"


@pytest.mark.parametrize("kind", ["RECORD", "STATE"])
def test_data_passes_as_it_is(kind: str) -> None:
    """A row or a position may look like anything, and nothing may change it."""
    remember(ENTRA)
    line = f'{{"type":"{kind}","x":"{ENTRA} {TOKEN} \\u001b"}}\n'

    assert printed(line) == line


def test_messages_are_redacted_and_records_are_not() -> None:
    """What the source gives whoever calls it from Python."""
    remember(ENTRA)
    log = AirbyteMessage(type=Type.LOG, log=AirbyteLogMessage(level=Level.INFO, message=f"It is {ENTRA}."))
    record = AirbyteMessage(
        type=Type.RECORD, record=AirbyteRecordMessage(stream="users", data={"id": ENTRA}, emitted_at=1)
    )

    assert told_message(log).log == AirbyteLogMessage(level=Level.INFO, message=f"It is {MASK}.")
    assert told_message(record) == replace(record)
    assert record.record
    assert record.record.data == {"id": ENTRA}


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What a handler prints that knows nothing of secrets."""
    guard_logs()
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    yield output
    root.removeHandler(handler)


def test_any_log_is_redacted(logged: io.StringIO) -> None:
    """Of any library, in its arguments, and in the exception that goes with it."""
    remember(ENTRA)
    logger = logging.getLogger("urllib3.connectionpool")

    logger.warning("Retrying %s of %d", {"Authorization": ENTRA}, 3)
    try:
        raise ValueError(f"Invalid header value b'Bearer {ENTRA}\\n'")
    except ValueError:
        logger.exception("It failed")

    text = logged.getvalue()
    assert betrayed(text, ENTRA) == []
    assert text.startswith(f"Retrying {{'Authorization': '{MASK}'}} of 3\nIt failed\nTraceback")
    assert "ValueError: Invalid header value" in text


def test_what_a_thread_raises_is_a_redacted_log(logged: io.StringIO) -> None:
    """Python would print it line by line, in the midst of messages."""
    remember(ENTRA)
    guard_streams()

    def fail() -> None:
        raise ValueError(f"It was {ENTRA}")

    thread = threading.Thread(target=fail, name="reader")
    thread.start()
    thread.join()

    assert logged.getvalue().startswith("The thread reader failed\nTraceback")
    assert logged.getvalue().endswith(f"ValueError: It was {MASK}\n")


def test_a_harmless_log_is_left_alone(logged: io.StringIO) -> None:
    """Other handlers may count messages by their pattern, and format exceptions in their own way."""
    error = ValueError("harmless")
    failure = (ValueError, error, None)
    record = logging.getLogRecordFactory()("airbyte", logging.INFO, "", 1, "%s of %s", (1, 2), failure)

    assert (record.msg, record.args, record.exc_info, record.exc_text) == ("%s of %s", (1, 2), failure, None)
    assert AirbyteLogFormatter().format(record).count("1 of 2") == 1


def raised(error: Exception) -> AirbyteTracedException:
    error.__cause__ = ValueError(f"Invalid header value: {ENTRA}")
    with pytest.raises(AirbyteTracedException) as caught, telling_no_secret():
        raise error
    return caught.value


def test_an_exception_that_leaves_the_source_tells_nothing() -> None:
    """Neither in its text nor in one that led to it; its kind and its words stay."""
    remember(ENTRA)

    odd, refused = raised(KeyError(ENTRA)), raised(StreamRefused("Not allowed."))

    for error in (odd, refused):
        message = error.as_airbyte_message()
        assert message.trace
        assert message.trace.error
        assert betrayed(str(message), ENTRA) == []
    assert str(odd) == f"KeyError: '{MASK}'"
    assert (refused.message, refused.failure_type) == ("Not allowed.", StreamRefused.failure)


def test_an_exception_without_a_secret_stays_what_it_is() -> None:
    """Its type is what callers tell it by."""
    with pytest.raises(StreamRefused), telling_no_secret():
        raise StreamRefused("Not allowed.")


def test_streams_are_guarded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The streams the CDK prints to, and those of Python's own tracebacks."""
    monkeypatch.setattr(redaction.atexit, "register", lambda function: function)
    streams: dict[str, Any] = {name: io.StringIO() for name in ("stdout", "stderr", "__stdout__", "__stderr__")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    remember(ENTRA)

    guard_streams()
    guard_streams()
    for name in streams:
        getattr(sys, name).write(f"{name}: {ENTRA}\n")

    assert [stream.getvalue() for stream in streams.values()] == [f"{name}: {MASK}\n" for name in streams]
