"""How the server of the simulated tenant ends: without a word, whatever it is at."""

from __future__ import annotations

import gc
import socket
import ssl
import struct
import threading
import warnings
from contextlib import ExitStack

import pytest
from aiohttp import web

from simulated_tenant import Tenant
from simulated_tenant.server import Server, serve
from simulated_tenant.wire import Reply, Request

PATIENCE = 60
"""Seconds until something that has to happen is missed."""


def connected(server: Server) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=server.ca_bundle)
    return context.wrap_socket(socket.create_connection(("localhost", server.port)), server_hostname="localhost")


def test_the_server_ends_while_a_request_is_under_way(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a word, and without a task that nobody waits for."""
    tenant, begun = Tenant(), threading.Event()
    begin = tenant.begin

    def noticed(request: Request) -> Reply:
        begun.set()
        return begin(request)

    monkeypatch.setattr(tenant, "begin", noticed)
    with serve(tenant, latency=600) as server, connected(server) as client:
        client.sendall(b"GET /v1.0/users HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert begun.wait(PATIENCE)
    gc.collect()

    assert caplog.text == ""


def test_a_client_may_leave_in_the_middle_of_its_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a connector does that is ended at the same time; nobody is left to be told of it."""
    arrived, left = threading.Event(), threading.Event()
    handle = Server._handle

    async def noticed(server: Server, incoming: web.BaseRequest) -> web.StreamResponse:
        arrived.set()
        try:
            return await handle(server, incoming)
        finally:
            left.set()

    monkeypatch.setattr(Server, "_handle", noticed)
    with serve(Tenant()) as server:
        client = connected(server)
        client.sendall(b"POST /v1.0/$batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf")
        assert arrived.wait(PATIENCE)
        # The connection is reset, and nothing more is sent on it.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert left.wait(PATIENCE)

    assert caplog.text == ""


def test_the_server_leaves_no_connection_open() -> None:
    """Not even one that it has begun to close, of which the client takes no notice: TLS has the two agree on an end."""
    with warnings.catch_warnings(record=True) as complaints, ExitStack() as after:
        warnings.simplefilter("always")
        with serve(Tenant()) as server:
            client = after.enter_context(connected(server))
            client.sendall(b"GET /v1.0/users HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while client.recv(65536):
                pass
        gc.collect()

    assert [str(each.message) for each in complaints] == []
