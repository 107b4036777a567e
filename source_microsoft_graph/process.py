"""How the process of a command ends: by itself, by a signal, or because nobody takes its output.

Python runs the handler of a signal on the main thread, between two steps of its own, and the main thread may be in a
system call for minutes: in a name look-up, or in a write to a full pipe. So the command has a thread of its own, and
the main thread does nothing but wait.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import FrameType
from typing import NoReturn

from source_microsoft_graph.output import Output, OutputLost, complain, replace_standard_output

SECONDS_TO_END = 7.0
"""How long a command may take to hand over what is to be out. Docker kills a container ten seconds after its SIGTERM:
https://docs.docker.com/reference/cli/docker/container/stop/"""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Tells a command that it is to end early. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.is_protocol = True
        """Whether standard output is for messages of the protocol."""
        self._is_made = False
        self._stop: Callable[[], None] | None = None

    def heard_by(self, stop: Callable[[], None]) -> None:
        """`stop` is called once the command is to end. It must not block; the command then hands over what is to be
        out, and ends."""
        with self._lock:
            self._stop, is_made = stop, self._is_made
        if is_made:
            stop()

    def make(self) -> bool:
        """Whether the command has heard, and will end. One that has nothing to hand over need not be waited for."""
        with self._lock:
            self._is_made, stop = True, self._stop
        if stop:
            stop()
        return stop is not None

    @property
    def is_made(self) -> bool:
        return self._is_made


Command = Callable[[list[str], StopRequest], int]


@dataclass(frozen=True, slots=True)
class _Ended:
    exit_code: int


_News = signal.Signals | OutputLost | _Ended


def run_as_process(command: Command, args: list[str]) -> NoReturn:
    """Run a command, and end the process with its exit code; after a signal with 128 and the signal's number."""
    # Its `put` may be called by a handler of a signal while the main thread is in `get`; that of `Queue` may not.
    news: SimpleQueue[_News] = SimpleQueue()
    _hear_signals(news)
    if sys.__stdout__ is None:
        _leave(OutputLost("Standard output is closed."))
    # A person at a terminal is written to directly: there it is they who end a line.
    output = None if os.isatty(1) else replace_standard_output(news.put)
    request = StopRequest()
    # A thread inherits what is blocked. A signal that another thread got would not wake the main thread.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        threading.Thread(target=_run, args=(command, args, request, news), name="command", daemon=True).start()
    except RuntimeError as error:
        _leave(OutputLost(f"This machine starts no thread: {error}."))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    match news.get():
        case signal.Signals() as received:
            _end_early(received, request, news, output)
        case OutputLost() as loss:
            _leave(loss)
        case _Ended(exit_code):
            os._exit(exit_code)


def _hear_signals(news: SimpleQueue[_News]) -> None:
    """The kernel delivers no signal without a handler to the first process of a container."""
    received: list[int] = []

    def hear(number: int, _: FrameType | None) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)
        news.put(signal.Signals(number))

    for each in _SIGNALS:
        # A shell starts what runs in the background with SIGINT ignored, and means it.
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, hear)


def _run(command: Command, args: list[str], request: StopRequest, news: SimpleQueue[_News]) -> None:
    """The thread of the command. It also reports what the command raises, for that may block as well."""
    exit_code = 1
    try:
        try:
            exit_code = command(args, request)
        except SystemExit as ended:
            exit_code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            if isinstance(ended.code, str):
                complain(ended.code)
        except Exception as error:
            # Whatever a command raises that was told to end comes of that.
            if not request.is_made:
                sys.excepthook(type(error), error, error.__traceback__)
        logging.shutdown()  # It flushes the CDK's buffer.
        sys.stdout.flush()
    except OutputLost:
        exit_code = 1  # The main thread says why.
    finally:
        # Nothing else tells the main thread that this one has ended.
        news.put(_Ended(exit_code))


def _end_early(
    received: signal.Signals, request: StopRequest, news: SimpleQueue[_News], output: Output | None
) -> NoReturn:
    deadline = time.monotonic() + SECONDS_TO_END
    if output:
        output.deadline = deadline
    if request.make():
        with suppress(Empty):
            news.get(timeout=SECONDS_TO_END + 1)
    sentence = f"Ended by {received.name} before the command was done."
    try:
        if output is None or not request.is_protocol:
            complain(sentence)
        else:
            message = {"type": "LOG", "log": {"level": "WARN", "message": sentence}}
            line = json.dumps(message, separators=(",", ":"))
            _flush_cdk()
            output.write(f"{line}\n".encode())
    except OutputLost:
        complain(sentence)
    os._exit(128 + received)


def _flush_cdk() -> None:
    """Print what waits in the CDK's buffer, if the CDK is there and no thread is stuck in that buffer."""
    buffer = getattr(sys.modules.get("airbyte_cdk.logger"), "PRINT_BUFFER", None)
    if buffer and buffer.lock.acquire(timeout=1):
        buffer.flush()


def _leave(loss: OutputLost) -> NoReturn:
    complain(str(loss))
    os._exit(1)
