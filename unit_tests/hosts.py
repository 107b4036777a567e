"""Hosts on this machine that send exactly what a test says, whether or not it is HTTP, and whether or not it ends."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[threading.Event], Iterator[bytes]]
"""What a host sends on one connection, piece by piece. The event is set when the test is over."""


@contextmanager
def a_host(answer: Answer) -> Iterator[str]:
    """The URL of a host that sends this on each connection, as long as the other side reads."""
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                if connection.recv(65536):
                    for piece in answer(over):
                        connection.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            over.set()
            socket.create_connection(listener.getsockname()).close()
            thread.join()


def a_response(content: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(content)}", "", ""]
    return "\r\n".join(lines).encode() + content


def dripped(over: threading.Event) -> Iterator[bytes]:
    """A body that never gets anywhere, and is never silent for long."""
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    while not over.wait(0.01):
        yield b"x"


def dripped_status(over: threading.Event) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 "
    while not over.wait(0.01):
        yield b"O"


def silent(over: threading.Event) -> Iterator[bytes]:
    over.wait()
    yield b""


def continued(over: threading.Event) -> Iterator[bytes]:
    """http.client skips such responses, however many come."""
    while not over.is_set():
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 100


def endless(over: threading.Event) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    while not over.is_set():
        yield b"x" * 65536


def endless_in_chunks(over: threading.Event) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while not over.is_set():
        yield b"10000\r\n" + b"x" * 65536 + b"\r\n"


def packed_bomb(over: threading.Event) -> Iterator[bytes]:
    """A few kilobytes that unpack to ten megabytes."""
    yield a_response(gzip.compress(bytes(10 * 2**20)), "Content-Encoding: gzip")
