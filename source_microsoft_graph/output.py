"""Standard output: whole lines only, and no wait that cannot be ended.

A write to a full pipe blocks once the part that fits is written, and a process that ends there leaves half a line.
Linux tells how many bytes of a pipe nobody has read yet, and a write that fits does not block:
https://man7.org/linux/man-pages/man7/pipe.7.html
"""

from __future__ import annotations

import fcntl
import io
import mmap
import os
import select
import stat
import struct
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

_PAUSE = 0.001
"""Seconds between two looks whether there is room in the pipe."""

_PIPE_BYTES = 1024 * 1024
"""What a pipe is to hold: by default the most that Linux allows a user, sixteen times what a pipe has at first."""


class OutputLost(BaseException):
    """Nothing more can be written, and why. No handler of an `Exception` is to go on after it."""


class _Pipe:
    """How much fits into a pipe that hardly anybody else writes to meanwhile.

    A pipe is a number of pages. A write begins in a page of its own, unless what is left of the last page takes it. So
    what nobody has read yet takes at most the pages that its writes take one by one.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._pages = size // mmap.PAGESIZE
        self._writes: deque[int] = deque()
        """Bytes of each write of which something may be unread."""
        self._bytes = 0
        self._pages_in_use = 0

    @classmethod
    def of(cls, descriptor: int) -> _Pipe | None:
        """None where the descriptor is no pipe, or the system does not tell its size."""
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode) or not hasattr(fcntl, "F_SETPIPE_SZ"):
            return None
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            pipe = cls(descriptor, fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ))
            pipe._unread()
        except OSError:
            return None
        return pipe

    def end_of_what_fits(self, lines: bytes, start: int) -> int:
        """Where the last whole line from here on ends that can be written without blocking; 0 where there is none.

        Counts as written. A line that is longer than the pipe is written, and blocks, once the pipe is empty.
        """
        unread = self._unread()
        self._forget_all_but(unread)
        of_others = max(0, unread - self._bytes)
        room = max(0, self._pages - self._pages_in_use - _pages_of(of_others)) * mmap.PAGESIZE
        end = lines.rfind(b"\n", start, start + room) + 1
        if not end and not unread:
            end = lines.index(b"\n", start) + 1
        if end:
            self._writes.append(end - start)
            self._bytes += end - start
            self._pages_in_use += _pages_of(end - start)
        return end

    def _forget_all_but(self, unread: int) -> None:
        while self._writes and self._bytes - self._writes[0] >= unread:
            self._bytes -= self._writes[0]
            self._pages_in_use -= _pages_of(self._writes.popleft())

    def _unread(self) -> int:
        """Bytes in the pipe."""
        return int(struct.unpack("i", fcntl.ioctl(self._descriptor, termios.FIONREAD, b"\0" * 4))[0])


def _pages_of(size: int) -> int:
    return -(-size // mmap.PAGESIZE)


class Output(io.RawIOBase):
    """Writes lines to a file descriptor, each whole; safe between threads.

    A line without its end waits for it. Raises `OutputLost` where the descriptor takes no more, or not by `deadline`.
    """

    deadline: float | None = None
    """On the clock of `time.monotonic`."""

    def __init__(self, descriptor: int, on_loss: Callable[[OutputLost], None]) -> None:
        """`on_loss` is called, by the thread that writes, where the descriptor takes no more."""
        self._descriptor = descriptor
        self._on_loss = on_loss
        self._rest = b""
        self._lost: OutputLost | None = None
        self._lock = threading.Lock()
        self._pipe = _Pipe.of(descriptor)
        self._readiness = select.poll()
        self._readiness.register(descriptor, select.POLLOUT)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        with self._lock:
            lines = self._rest + bytes(data)
            end = lines.rfind(b"\n") + 1
            self._rest = lines[end:]
            if end:
                self._write_lines(lines[:end] if self._rest else lines)
        return len(data)

    def _write_lines(self, lines: bytes) -> None:
        view, start = memoryview(lines), 0
        while start < len(lines):
            if self._lost:
                raise self._lost
            end = self._pipe.end_of_what_fits(lines, start) if self._pipe else len(lines)
            if not end:
                self._pause()
            while start < end:
                start += self._write_some(view[start:end])

    def _pause(self) -> None:
        """Leave the reader of the pipe some time, but not for ever."""
        if any(event & select.POLLERR for _, event in self._readiness.poll(0)):
            raise self._lose("nobody reads it any more")
        if self.deadline and time.monotonic() > self.deadline:
            raise OutputLost("Standard output was not read in time.")
        time.sleep(_PAUSE)

    def _write_some(self, piece: memoryview) -> int:
        try:
            return os.write(self._descriptor, piece)
        except BlockingIOError:
            self._pause()
            return 0
        except OSError as error:
            raise self._lose(error.strerror or str(error)) from None

    def _lose(self, why: str) -> OutputLost:
        self._lost = OutputLost(f"Standard output takes no more: {why}. The command was ended.")
        self._on_loss(self._lost)
        return self._lost


def replace_standard_output(on_loss: Callable[[OutputLost], None]) -> Output:
    """Have everything that this process prints go through an `Output`."""
    output = Output(1, on_loss)
    text = io.TextIOWrapper(cast(Any, output), encoding="utf-8", errors="backslashreplace", write_through=True)
    sys.stdout = sys.__stdout__ = text  # type: ignore[misc]
    return output


def complain(sentence: str) -> None:
    """Say something on standard error, unless that would block or nobody reads it."""
    with suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, f"{sentence}\n".encode())
