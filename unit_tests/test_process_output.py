"""What is printed through a pipe: whole lines, however much of it anybody reads."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator

import pytest

from source_microsoft_graph.output import Output, OutputLost

PAGE = 4096


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:
            continue


def lines_of(*sizes: int) -> bytes:
    return b"".join(b"x" * (size - 1) + b"\n" for size in sizes)


def losses(writer: int) -> tuple[Output, list[OutputLost]]:
    lost: list[OutputLost] = []
    return Output(writer, lost.append), lost


@pytest.mark.parametrize(
    "sizes",
    [[100] * 30_000, [5_000] * 300, [PAGE] * 400, [PAGE + 1] * 400, [3, 70_000] * 20],
    ids=["short", "longer than a page", "a page", "a byte more", "mixed"],
)
def test_what_nobody_reads_is_whole_lines(pipe: tuple[int, int], sizes: list[int]) -> None:
    """Past its deadline a write gives up, and what is in the pipe by then ends with a line."""
    reader, writer = pipe
    output, _ = losses(writer)
    output.deadline = time.monotonic() - 1

    with pytest.raises(OutputLost, match="not read in time"):
        output.write(lines_of(*sizes))

    os.close(writer)
    written = os.read(reader, 2 * 1024 * 1024)
    assert written
    assert written == lines_of(*sizes)[: len(written)]
    assert written.endswith(b"\n")


def test_everything_arrives_in_order(pipe: tuple[int, int]) -> None:
    """Short and long lines, one longer than any pipe, to a reader that takes its time."""
    reader, writer = pipe
    output, _ = losses(writer)
    text = b"".join(b"%d" % number * (1 + number % 3_000) + b"\n" for number in range(3_000)) + lines_of(3_000_000, 5)
    received = bytearray()

    def receive() -> None:
        while piece := os.read(reader, 50_000):
            received.extend(piece)

    thread = threading.Thread(target=receive)
    thread.start()
    for start in range(0, len(text), 70_001):
        output.write(text[start : start + 70_001])
    os.close(writer)
    thread.join()

    assert received == text


def test_a_line_waits_for_its_end(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output, _ = losses(writer)
    output.write(b"one\ntw")
    assert os.read(reader, 100) == b"one\n"
    output.write(b"o\n")
    assert os.read(reader, 100) == b"two\n"


def test_a_pipe_that_is_full_already_is_waited_for(pipe: tuple[int, int]) -> None:
    _, writer = pipe
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1024 * 1024)
    os.write(writer, b"x" * size)
    output, _ = losses(writer)
    output.deadline = time.monotonic() - 1

    with pytest.raises(OutputLost, match="not read in time"):
        output.write(b"one\n")


def test_a_reader_that_goes_is_told_once(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output, lost = losses(writer)
    os.close(reader)

    for _ in range(2):
        with pytest.raises(OutputLost, match="takes no more"):
            output.write(b"one\n")

    assert len(lost) == 1
