"""Lines that wait until more is known of them: some in memory, the others in a temporary file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import SpooledTemporaryFile
from types import TracebackType

from source_microsoft_graph.errors import OutOfResources

_MEMORY_BYTES = 4 * 1024 * 1024
"""Bytes of lines that wait in memory."""


class WaitingLines:
    """Lines in the order in which they came. Raises `OutOfResources` where they need a file and there is no room for
    one; what waited is lost then."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115 This class is its context manager.

    def __enter__(self) -> WaitingLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What was not written yet need not be.
        with suppress(OSError):
            self._file.close()

    def append(self, line: bytes) -> None:
        """Takes a line with its end."""
        with _room():
            self._file.write(line)

    def __iter__(self) -> Iterator[bytes]:
        with _room():
            self._file.seek(0)
        while True:
            with _room():
                line = self._file.readline()
            if not line:
                return
            yield line


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutOfResources(
            f"More than {_MEMORY_BYTES >> 20} MB of waiting rows need a temporary file, and there is no room for one: "
            f"{error.strerror or error}. Let the environment variable TMPDIR name a directory with room."
        ) from None
