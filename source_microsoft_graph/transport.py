"""Connections whose responses end: each has a deadline in all and a number of bytes, beside the timeout for silence.

The timeouts of requests count from the last byte. A host that sends one byte a second, or `100 Continue` without end,
therefore holds a request for ever, and a body of 1 MB may unpack to 1 GB.

    session.mount("https://", BoundedAdapter(Bounds(seconds=60, received=2**20, unpacked=2**20)))
    session.get(url, timeout=(10, 30)).json()

A request with `stream=True` returns before the body is read. Read it with `body` in one piece, or with `chunks`.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPResponse, RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from typing import Any, ClassVar, cast

import requests
from airbyte_cdk.sources.http_config import MAX_CONNECTION_POOL_SIZE
from airbyte_cdk.sources.streams.http.tcp_keepalive import TcpKeepaliveHTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

_CHUNK = 64 * 1024

_SHORTEST_CONNECT = 1.0
"""Seconds that each address of a host is waited for at least: the first repetition of a lost SYN comes after one."""

_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP = b"\x1f\x8b"


class ResponseOutOfBounds(requests.RequestException):
    """A response takes longer, or is longer, than its bounds say."""


class ResponseTooLong(ResponseOutOfBounds):
    """A response is longer than its reader takes, and no shorter the next time."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`seconds` count from the sending of the request to the last byte of its response, by the clock of this machine.
    `received` are the bytes on the connection, headers included; `unpacked` the bytes of the body."""

    seconds: float
    received: int
    unpacked: int


class BoundedAdapter(TcpKeepaliveHTTPAdapter):
    """Sends over connections that hold each response to these bounds. Raises `ResponseOutOfBounds`."""

    def __init__(self, bounds: Bounds, **options: Any) -> None:
        super().__init__(**options)
        self.bounds = bounds

    def get_connection_with_tls_context(self, *request: Any, **settings: Any) -> HTTPConnectionPool:
        pool = cast(HTTPConnectionPool, super().get_connection_with_tls_context(*request, **settings))
        pool.ConnectionCls = _bounded(pool.ConnectionCls, self.bounds)
        return pool

    def add_headers(self, request: requests.PreparedRequest, **_: Any) -> None:
        # What was packed in another way could not be unpacked within bounds.
        request.headers["Accept-Encoding"] = "gzip, deflate"

    def send(self, request: requests.PreparedRequest, stream: bool = False, **settings: Any) -> requests.Response:  # type: ignore[override]
        try:
            response = super().send(request, stream=True, **settings)
        except _Exceeded as exceeded:
            raise exceeded.named(request=request) from None
        if not stream:
            # What requests.Response.content gives from now on.
            response._content = body(response, self.bounds.unpacked)
            response._content_consumed = True  # type: ignore[attr-defined]
        return response


def bounded_session(bounds: Bounds) -> requests.Session:
    """A session whose HTTPS connections hold each response to these bounds, enough of them for all workers.

    It keeps no cookie: each cookie of a page would go along with all later requests, until Graph refuses their size.
    """
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    pool = {"pool_connections": MAX_CONNECTION_POOL_SIZE, "pool_maxsize": MAX_CONNECTION_POOL_SIZE}
    session.mount("https://", BoundedAdapter(bounds, **pool))
    return session


def body(response: requests.Response, most: int) -> bytes:
    """The body of a response that was requested with `stream=True`, unpacked.

    Raises `ResponseOutOfBounds` where it has more than `most` bytes or takes too long, and another
    `requests.RequestException` where the connection breaks or the body cannot be unpacked.
    """
    with _named_errors(response):
        packed = response.raw.read(decode_content=False)
    pieces = list(_unpacked(response, iter((packed,)), most))
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def chunks(response: requests.Response, most: int, size: int = _CHUNK) -> Iterator[bytes]:
    """As `body`, in pieces of up to `size` bytes, so that neither form of the body is in memory as a whole."""
    return _unpacked(response, _received(response, size), most, size)


def _received(response: requests.Response, size: int) -> Iterator[bytes]:
    while True:
        with _named_errors(response):
            piece = response.raw.read(size, decode_content=False)
        if not piece:
            return
        yield piece


def _unpacked(
    response: requests.Response, pieces: Iterator[bytes], most: int, size: int | None = None
) -> Iterator[bytes]:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _PACKED | {"", "identity"}:
        raise requests.exceptions.ContentDecodingError(
            f"The body is packed as {encoding[:40]!r}, which was not requested", response=response
        )
    left = most
    for piece in _inflated(response, pieces, most, size) if encoding in _PACKED else pieces:
        left -= len(piece)
        if left < 0:
            raise ResponseTooLong(f"The response is longer than {most} bytes", response=response)
        if piece:
            yield piece


def _inflated(response: requests.Response, pieces: Iterator[bytes], most: int, size: int | None) -> Iterator[bytes]:
    """No more than `size` bytes, or one byte beyond `most`, are unpacked at a time."""
    largest = min(size or most + 1, most + 1)
    inflater = None
    for packed in pieces:
        while packed:
            inflater = inflater or _inflater(packed)
            try:
                unpacked = inflater.decompress(packed, largest)
                # zlib may hold back output although it has taken all of the input.
                while len(unpacked) == largest and not inflater.eof:
                    yield unpacked
                    unpacked = inflater.decompress(inflater.unconsumed_tail, largest)
            except zlib.error as error:
                raise requests.exceptions.ContentDecodingError(str(error), response=response) from None
            yield unpacked
            packed = b""
            if inflater.eof:
                packed, inflater = inflater.unused_data, None
                # A gzip body may consist of several members. What follows the last one is no part of the body.
                if packed and not packed.startswith(_GZIP):
                    return
    if inflater is not None:
        raise requests.exceptions.ContentDecodingError("The packed body ends in the middle", response=response)


def _inflater(packed: bytes) -> Any:
    """Some servers send `deflate` without the zlib header that RFC 9110 asks for."""
    has_header = packed.startswith(_GZIP) or (packed[0] & 0x0F == 8 and int.from_bytes(packed[:2], "big") % 31 == 0)
    return zlib.decompressobj(47 if has_header else -zlib.MAX_WBITS)


def in_words(trouble: BaseException) -> str:
    """Why a host did not answer, as the rest of a sentence about it. requests and urllib3 wrap the cause in their own
    names and repeat the URL. What has no words here is told in theirs."""
    inner = trouble.args[0] if trouble.args else None
    match trouble:
        case requests.RequestException() | SSLError() if isinstance(inner, BaseException):
            return in_words(inner)
        case MaxRetryError(reason=BaseException() as reason):
            return in_words(reason)
        case ProtocolError(args=(_, BaseException() as cause)):
            return in_words(cause)
        case ProxyError(original_error=cause):
            return f"the proxy fails: {in_words(cause)}"
        case ssl.SSLCertVerificationError(verify_message=why):
            return (
                f"its certificate is not trusted: {why}. If a proxy inspects TLS here, name the file with its "
                "authority's certificate in the environment variable REQUESTS_CA_BUNDLE"
            )
        case NameResolutionError():
            return "no host of this name is found"
        case NewConnectionError(__cause__=OSError() as cause):
            return in_words(cause)
        case ConnectTimeoutError():
            return "it takes no connection"
        case ReadTimeoutError():
            return "it takes the connection and then says nothing"
        case RemoteDisconnected():
            return "it ends the connection without an answer"
        case ConnectionRefusedError():
            return "it refuses the connection"
        case ConnectionResetError():
            return "it resets the connection"
        case OSError(strerror=str(why)):
            return why
    return str(trouble)


class _Exceeded(Exception):
    """A `ResponseOutOfBounds` of this kind, below urllib3, which would wrap an OSError."""

    def __init__(self, message: str, kind: type[ResponseOutOfBounds]) -> None:
        super().__init__(message)
        self._kind = kind

    def named(self, **about: Any) -> ResponseOutOfBounds:
        return self._kind(str(self), **about)


@contextmanager
def _named_errors(response: requests.Response) -> Iterator[None]:
    """The errors of reading a body as requests names them."""
    try:
        yield
    except _Exceeded as exceeded:
        response.close()
        raise exceeded.named(response=response) from None
    except ReadTimeoutError as error:
        raise requests.ReadTimeout(error, response=response) from None
    except HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error, response=response) from None


class _BoundedConnection(HTTPConnection):
    """Counts the bytes and the seconds of each response, the one of a proxy to CONNECT included."""

    bounds: ClassVar[Bounds]

    def connect(self) -> None:
        self._begin_response()
        super().connect()

    def request(self, *request: Any, **settings: Any) -> None:
        self._begin_response()
        super().request(*request, **settings)

    def _begin_response(self) -> None:
        budget = _Budget(self.bounds)

        def response_of(sock: socket.socket, *arguments: Any, **options: Any) -> HTTPResponse:
            return HTTPResponse(cast(socket.socket, _BoundedSocket(sock, budget)), *arguments, **options)

        self.response_class = response_of  # type: ignore[assignment]

    def _new_conn(self) -> socket.socket:
        """urllib3 waits as long for each address of a host as it is told to wait for the host. Of eight addresses that
        a firewall drops, each gets its share here."""
        timeout = self.timeout
        if timeout:
            self.timeout = max(_SHORTEST_CONNECT, timeout / self._addresses())
        try:
            sock = super()._new_conn()
        finally:
            self.timeout = timeout
        # The TLS handshake that follows is no address's share.
        sock.settimeout(timeout)
        return sock

    def _addresses(self) -> int:
        try:
            return len(socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            # Connecting meets the same error, and urllib3 has its own words for it.
            return 1


@cache
def _bounded(connection: Any, bounds: Bounds) -> Any:
    """The pool's own class of connections (with TLS, through a proxy) within these bounds."""
    if issubclass(connection, _BoundedConnection):
        return connection
    return type(f"Bounded{connection.__name__}", (_BoundedConnection, connection), {"bounds": bounds})


class _Budget:
    """What is left of the bounds of one response."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._deadline = time.monotonic() + bounds.seconds
        self._bytes = bounds.received

    def seconds(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self.out_of_time()
        return left

    def out_of_time(self) -> _Exceeded:
        return _Exceeded(f"The response takes longer than {self._bounds.seconds:g} seconds", ResponseOutOfBounds)

    def spend(self, received: int) -> None:
        self._bytes -= received
        if self._bytes < 0:
            raise _Exceeded(f"The response is longer than {self._bounds.received} bytes", ResponseTooLong)


class _BoundedSocket:
    """The part of a socket that http.client reads a response from."""

    def __init__(self, sock: socket.socket, budget: _Budget) -> None:
        self._sock, self._budget = sock, budget

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReads(self._sock, self._budget))


class _BoundedReads(io.RawIOBase):
    """Waits for each read as long as the timeout for silence says, and no longer than the response may take."""

    def __init__(self, sock: socket.socket, budget: _Budget) -> None:
        self._sock, self._budget = sock, budget
        self._silence = sock.gettimeout()
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def readinto(self, buffer: Any) -> int | None:
        left = self._budget.seconds()
        is_last = self._silence is None or left <= self._silence
        self._sock.settimeout(left if is_last else self._silence)
        try:
            received = self._file.readinto(buffer)
        except TimeoutError:
            if is_last:
                raise self._budget.out_of_time() from None
            raise
        self._budget.spend(received or 0)
        return received

    def close(self) -> None:
        self._file.close()
        super().close()
