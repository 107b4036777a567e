"""Responses that would never end, over sockets of this machine: each ends at its bounds."""

from __future__ import annotations

import errno
import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import requests
import urllib3.util.connection
from urllib3.exceptions import ProtocolError

from simulated_tenant import Tenant, serve
from source_microsoft_graph.transport import (
    BoundedAdapter,
    Bounds,
    ResponseOutOfBounds,
    ResponseTooLong,
    body,
    chunks,
    in_words,
)
from unit_tests.hosts import (
    Answer,
    a_host,
    a_response,
    continued,
    dripped,
    dripped_status,
    endless,
    endless_in_chunks,
    silent,
)

AMPLE = Bounds(seconds=60, received=2**20, unpacked=2**20)
SHORT = Bounds(seconds=0.3, received=2**40, unpacked=2**40)
"""For a host that sends for ever: whatever the speed of this machine, only the deadline can end its response."""

MEGABYTE = 2**20


def a_session(bounds: Bounds) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", BoundedAdapter(bounds))
    return session


@pytest.mark.parametrize("answer", [dripped, dripped_status, silent, continued, endless, endless_in_chunks])
def test_a_response_has_a_deadline_in_all(answer: Answer) -> None:
    """Bytes that keep coming do not put it off."""
    with (
        a_host(answer) as url,
        a_session(SHORT) as session,
        pytest.raises(ResponseOutOfBounds, match=r"^The response takes longer than 0\.3 seconds$"),
    ):
        session.get(url, timeout=(10, 60))


@pytest.mark.parametrize("answer", [continued, endless, endless_in_chunks])
def test_a_response_has_a_number_of_bytes(answer: Answer) -> None:
    """A fast host is stopped long before the deadline, and not asked for the same again."""
    with (
        a_host(answer) as url,
        a_session(AMPLE) as session,
        pytest.raises(ResponseTooLong, match=r"^The response is longer than 1048576 bytes$"),
    ):
        session.get(url, timeout=(10, 60))


def test_silence_is_still_told_as_silence() -> None:
    """The timeout of requests holds beside the deadline."""
    with a_host(silent) as url, a_session(AMPLE) as session, pytest.raises(requests.ReadTimeout):
        session.get(url, timeout=(10, 0.2))


def packed_members(content: bytes) -> bytes:
    return gzip.compress(content[:100]) + gzip.compress(content[100:])


def raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


PACKERS = [
    pytest.param("", bytes, id="plain"),
    pytest.param("gzip", gzip.compress, id="gzip"),
    pytest.param("gzip", packed_members, id="gzip of two members"),
    pytest.param("gzip", lambda content: gzip.compress(content) + bytes(8), id="gzip and padding"),
    pytest.param("deflate", zlib.compress, id="deflate"),
    pytest.param("deflate", raw_deflate, id="deflate without a header"),
]
READERS = {
    "at once": lambda session, url: session.get(url).content,
    "in one piece": lambda session, url: body(session.get(url, stream=True), MEGABYTE),
    "in chunks": lambda session, url: b"".join(chunks(session.get(url, stream=True), MEGABYTE, 1000)),
}
Packer = Callable[[bytes], bytes]
Reader = Callable[[requests.Session, str], bytes]


def sent(encoding: str, content: bytes) -> Answer:
    headers = [f"Content-Encoding: {encoding}"] if encoding else []
    return lambda over: iter((a_response(content, *headers),))


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(("encoding", "pack"), PACKERS)
@pytest.mark.parametrize("content", [b"", b"x" * MEGABYTE, bytes(range(256)) * 1000], ids=["empty", "even", "mixed"])
def test_a_body_within_bounds_is_whole(encoding: str, pack: Packer, content: bytes, read: Reader) -> None:
    """However it is packed and read, up to the last byte that the bounds allow."""
    with a_host(sent(encoding, pack(content))) as url, a_session(Bounds(60, 2 * MEGABYTE, MEGABYTE)) as session:
        assert read(session, url) == content


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(("encoding", "pack"), PACKERS)
def test_a_body_may_not_unpack_to_more(encoding: str, pack: Packer, read: Reader) -> None:
    """One byte too many ends it, packed or not."""
    with (
        a_host(sent(encoding, pack(b"x" * (MEGABYTE + 1)))) as url,
        a_session(Bounds(60, 2 * MEGABYTE, MEGABYTE)) as session,
        pytest.raises(ResponseOutOfBounds, match="longer than 1048576 bytes"),
    ):
        read(session, url)


@pytest.mark.parametrize(("read", "most"), [(READERS["at once"], MEGABYTE + 1), (READERS["in chunks"], 1000)])
def test_no_more_is_unpacked_than_is_wanted(monkeypatch: pytest.MonkeyPatch, read: Reader, most: int) -> None:
    """What a body would unpack to is never in memory beyond its bounds."""
    asked: list[int] = []

    class Watched:
        def __init__(self, inflater: zlib._Decompress) -> None:
            self.inflater = inflater

        def __getattr__(self, name: str) -> object:
            return getattr(self.inflater, name)

        def decompress(self, packed: bytes, largest: int) -> bytes:
            asked.append(largest)
            return self.inflater.decompress(packed, largest)

    real = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", lambda wbits: Watched(real(wbits)))
    bomb = gzip.compress(bytes(20 * MEGABYTE))

    with a_host(sent("gzip", bomb)) as url, a_session(AMPLE) as session, pytest.raises(ResponseOutOfBounds):
        read(session, url)
    assert set(asked) == {most}


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gzip", gzip.compress(b"whole" * 1000)[:-20]),
        ("gzip", b"no gzip at all"),
        ("br", b"whatever"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"twice"))),
    ],
    ids=["cut off", "not packed", "another way", "packed twice"],
)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_cannot_be_unpacked_is_an_error(encoding: str, content: bytes, read: Reader) -> None:
    """Half a body never passes for a whole one."""
    with (
        a_host(sent(encoding, content)) as url,
        a_session(AMPLE) as session,
        pytest.raises(requests.exceptions.ContentDecodingError),
    ):
        read(session, url)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_broken_connection_is_an_error(read: Reader) -> None:
    """A body shorter than its length says is not taken for whole either."""
    cut = a_response(b"x" * 1000)[:-1]

    with (
        a_host(lambda over: iter((cut,))) as url,
        a_session(AMPLE) as session,
        pytest.raises(requests.RequestException),
    ):
        read(session, url)


def test_what_cannot_be_unpacked_is_not_requested() -> None:
    """Whatever libraries are installed, a response comes packed in a way that is unpacked within bounds."""
    prepared = requests.Request("GET", "http://localhost/").prepare()
    BoundedAdapter(AMPLE).add_headers(prepared)

    assert prepared.headers["Accept-Encoding"] == "gzip, deflate"


def test_each_response_has_bounds_of_its_own() -> None:
    """A connection that is used again begins to count anew."""
    whole = a_response(b"x" * 900_000)
    connections = []

    def serve() -> None:
        connection, _ = listener.accept()
        connections.append(connection)
        with connection:
            for _ in range(3):
                connection.recv(65536)
                connection.sendall(whole)

    with socket.create_server(("127.0.0.1", 0)) as listener, a_session(AMPLE) as session:
        thread = threading.Thread(target=serve)
        thread.start()
        lengths = [len(session.get(f"http://127.0.0.1:{listener.getsockname()[1]}/").content) for _ in range(3)]
        thread.join()

    assert (lengths, len(connections)) == ([900_000] * 3, 1)


def test_the_addresses_of_a_host_share_its_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall drops what is sent to each of a host's many addresses; together they are waited for once."""
    waits: list[float] = []

    class Dropped(socket.socket):
        def connect(self, address: object) -> None:
            waits.append(self.gettimeout() or 0.0)
            raise TimeoutError("timed out")

    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address] * 8)
    monkeypatch.setattr(socket, "socket", Dropped)

    with a_session(AMPLE) as session, pytest.raises(requests.ConnectTimeout):
        session.get("http://firewalled.example/", timeout=(10, 60))
    assert waits == [1.25] * 8


def test_a_share_ends_with_the_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The TLS handshake has the whole timeout again."""
    with socket.create_server(("127.0.0.1", 0)) as listener, a_session(AMPLE) as session:
        host, port = listener.getsockname()
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address] * 8)
        url = f"http://{host}:{port}/"
        adapter = session.get_adapter(url)
        assert isinstance(adapter, BoundedAdapter)
        pool = adapter.get_connection_with_tls_context(requests.Request("GET", url).prepare(), verify=True)
        connection: Any = pool.ConnectionCls(host, port, timeout=10)

        with closing(connection):
            connection.connect()
            assert connection.sock.gettimeout() == 10


# Why there is no response, in words.


def trouble(url: str, timeout: float = 60) -> str:
    """What is told of a request that gets no response."""
    with a_session(AMPLE) as session, pytest.raises(requests.RequestException) as caught:
        session.get(url, timeout=timeout)
    return in_words(caught.value)


def unnamed(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def untaken(*_: Any, **__: Any) -> Any:
    raise TimeoutError


def unrouted(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENETUNREACH, "Network is unreachable")


@pytest.mark.parametrize(
    ("connect", "told"),
    [
        (unnamed, "no host of this name is found"),
        (untaken, "it takes no connection"),
        (unrouted, "Network is unreachable"),
    ],
)
def test_why_there_is_no_connection(monkeypatch: pytest.MonkeyPatch, connect: Callable[..., Any], told: str) -> None:
    """In the words of a person, whatever urllib3 calls it, and without the URL."""
    monkeypatch.setattr(urllib3.util.connection, "create_connection", connect)
    assert trouble("http://a.host/secret") == told


def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert trouble(f"http://127.0.0.1:{bound.getsockname()[1]}/") == "it refuses the connection"


def hanging_up(over: threading.Event) -> Iterator[bytes]:
    yield b""


@pytest.mark.parametrize(
    ("answer", "timeout", "told"),
    [
        (silent, 0.2, "it takes the connection and then says nothing"),
        (hanging_up, 60, "it ends the connection without an answer"),
    ],
)
def test_why_there_is_no_response(answer: Answer, timeout: float, told: str) -> None:
    with a_host(answer) as url:
        assert trouble(url, timeout) == told


def test_a_certificate_nobody_knows() -> None:
    """As where a proxy inspects TLS, or a host's authority is its own."""
    with serve(Tenant()) as server, pytest.raises(requests.RequestException) as caught:
        requests.get(f"https://{server.host}/", timeout=60)

    told = in_words(caught.value)
    assert told.startswith("its certificate is not trusted: ")
    assert "REQUESTS_CA_BUNDLE" in told


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{bound.getsockname()[1]}")
        with pytest.raises(requests.RequestException) as caught:
            requests.get("https://a.host/", timeout=60)

    assert in_words(caught.value) == "the proxy fails: it refuses the connection"


def test_a_reset_is_told() -> None:
    reset = ProtocolError("Connection aborted.", ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
    assert in_words(requests.ConnectionError(reset)) == "it resets the connection"


def test_what_has_no_words_is_told_as_it_is() -> None:
    assert in_words(requests.ConnectionError("A word of its own")) == "A word of its own"
