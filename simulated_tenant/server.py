"""The shell around a tenant: HTTPS on one port of this machine, for the sign-in host and the Graph host alike."""

from __future__ import annotations

import asyncio
import gzip as gzip_format
import ssl
import tempfile
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

from . import certificates, identity
from .tenant import Tenant
from .wire import Reply, Request

SMALLEST_ZIPPED = 1024
LEVEL = 1
LOCALHOST = "localhost"
ENDLESS_HEAD, ENDLESS_PIECE = b'{"value":[{"id":"', b"a" * 2**16
# Members of a gzip body of 1 MB in all, and what each unpacks to; 1 GB in all: https://www.rfc-editor.org/rfc/rfc1952#section-2.2
BOMB_MEMBERS, BOMB_MEMBER = 16, 2**26


class _Connections(web.Server):
    """Knows the sockets' transports until they are closed. aiohttp lets go of a connection that it begins to close, TLS
    then waits half a minute for the client to agree, and its transport, closed twice, can no longer be aborted."""

    def __init__(self, *handler: Any, **options: Any) -> None:
        super().__init__(*handler, **options)
        self.transports: dict[Any, asyncio.Transport] = {}

    def connection_made(self, handler: Any, transport: Any) -> None:
        # asyncio has no other way from the transport of TLS to that of its socket.
        tls = getattr(transport, "_ssl_protocol", None)
        self.transports[handler] = tls._transport if tls else transport
        super().connection_made(handler, transport)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        self.transports.pop(handler, None)
        super().connection_lost(handler, exc)


class Server:
    """A running server; leaving the `with` block stops it."""

    def __init__(
        self,
        tenant: Tenant,
        port: int = 0,
        latency: float = 0.0,
        gzip: bool = True,
        folder: Path | None = None,
        name: str = LOCALHOST,
    ) -> None:
        self.tenant, self.port, self.latency, self.gzip, self.name = tenant, port, latency, gzip, name
        self._temporary = tempfile.TemporaryDirectory(prefix="simulated-tenant-")
        ca_file, self._server_file = certificates.make(folder or Path(self._temporary.name), name)
        self.ca_bundle = str(ca_file)
        self._thread = threading.Thread(target=self._run, name="simulated-tenant", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    def __enter__(self) -> Server:
        self._thread.start()
        self._ready.wait()
        if self._failure:
            self._temporary.cleanup()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._temporary.cleanup()

    @property
    def identity_url(self) -> str:
        """Where the machine's own endpoints for managed identities are, over plain HTTP."""
        return f"http://127.0.0.1:{self._identity_port}"  # ignore-https-check: Azure's has no HTTPS.

    @property
    def host(self) -> str:
        return f"{self.name}:{self.port}"

    def config(self) -> dict[str, Any]:
        """A connector configuration for this tenant."""
        return {
            "tenant_id": self.tenant.tenant_id,
            "client_id": self.tenant.client_id,
            "client_secret": self.tenant.client_secret,
            "cloud": {"cloud_type": "custom", "login_host": self.host, "graph_host": self.host},
        }

    def _run(self) -> None:
        try:
            # It cancels what is still being answered, where a loop that is closed would complain of it.
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                runner.run(self._serve())
        except BaseException as failure:
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._server_file)
        handlers = _Connections(self._handle, access_log=None, keepalive_timeout=120)
        # Whoever uses another name than localhost is on another machine, or in a container.
        address = "127.0.0.1" if self.name == LOCALHOST else "0.0.0.0"
        listener = await self._loop.create_server(handlers, address, self.port, ssl=context, backlog=1024)
        self.port = listener.sockets[0].getsockname()[1]
        self.tenant.graph_hosts |= {self.host, f"127.0.0.1:{self.port}"}
        machine = _Connections(self._handle_identity, access_log=None)
        identities = await self._loop.create_server(machine, "127.0.0.1", 0)
        self._identity_port = identities.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        listener.close()
        identities.close()
        transports = [*handlers.transports.values(), *machine.transports.values()]
        await handlers.shutdown(0.1)
        await machine.shutdown(0.1)
        for transport in transports:
            transport.abort()

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        path, _, query = incoming.raw_path.partition("?")
        try:
            body = await incoming.read() if incoming.can_read_body else b""
        except ConnectionError:
            # Whoever sent half a request is gone, and reads no response.
            return web.Response(status=400)
        reply = self.tenant.begin(Request(incoming.method, path, query, incoming.headers, body))
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            return await DELIVERIES[reply.delivery](self, incoming, reply)
        finally:
            self.tenant.finish(reply)

    async def _handle_identity(self, incoming: web.BaseRequest) -> web.StreamResponse:
        path, _, query = incoming.raw_path.partition("?")
        request = Request(incoming.method, path, query, incoming.headers)
        reply = identity.respond(self.tenant, request)
        self.tenant.requests.add(self.tenant.clock(), request, reply)
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)

    async def _whole(self, incoming: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        return web.Response(status=reply.status, **self._encoded(incoming, reply))

    def _encoded(self, incoming: web.BaseRequest, reply: Reply) -> dict[str, Any]:
        body, headers = reply.body, reply.headers
        if self.gzip and len(body) > SMALLEST_ZIPPED and "gzip" in incoming.headers.get("Accept-Encoding", ""):
            body, headers = gzip_format.compress(body, LEVEL, mtime=0), {**headers, "Content-Encoding": "gzip"}
        return {"body": body, "headers": headers}

    async def _truncated(self, incoming: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        """Half of the bytes that Content-Length promises, then the connection closes."""
        encoded = self._encoded(incoming, reply)
        response = web.StreamResponse(
            status=reply.status, headers={**encoded["headers"], "Content-Length": str(len(encoded["body"]))}
        )
        await response.prepare(incoming)
        await response.write(encoded["body"][: len(encoded["body"]) // 2])
        return self._hang_up(incoming)

    async def _reset(self, incoming: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        if incoming.transport:
            incoming.transport.abort()
        return web.Response()

    async def _never(self, incoming: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        await self._stop.wait()
        return self._hang_up(incoming)

    async def _inflated(self, incoming: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        """1 MB that unpacks to 1 GB."""
        body = gzip_format.compress(ENDLESS_HEAD, 9, mtime=0) + _bomb_member() * BOMB_MEMBERS
        return web.Response(status=reply.status, body=body, headers={**reply.headers, "Content-Encoding": "gzip"})

    async def _endless(self, incoming: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        """A body without an end, until the client hangs up."""
        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        response.enable_chunked_encoding()
        await response.prepare(incoming)
        await response.write(ENDLESS_HEAD)
        # A write to a connection that the client has closed may raise, and may be dropped.
        with suppress(ConnectionError):
            while incoming.transport and not incoming.transport.is_closing() and not self._stop.is_set():
                await response.write(ENDLESS_PIECE)
                await asyncio.sleep(0)
        return self._hang_up(incoming)

    def _hang_up(self, incoming: web.BaseRequest) -> web.StreamResponse:
        if incoming.transport:
            incoming.transport.close()
        return web.Response()


@cache
def _bomb_member() -> bytes:
    return gzip_format.compress(b"a" * BOMB_MEMBER, 9, mtime=0)


DELIVERIES = {
    "whole": Server._whole,
    "truncate": Server._truncated,
    "reset": Server._reset,
    "timeout": Server._never,
    "inflate": Server._inflated,
    "endless": Server._endless,
}


def serve(
    tenant: Tenant,
    port: int = 0,
    *,
    latency: float = 0.0,
    gzip: bool = True,
    folder: Path | None = None,
    name: str = LOCALHOST,
) -> Server:
    """A server for the tenant, to be entered with `with`; port 0 takes a free one.

    `folder` is where its certificates are written, and `name` the host's name or address for those who are to use it:
    where that is not localhost, other machines and containers reach the server too.
    """
    return Server(tenant, port, latency, gzip, folder, name)
