"""The floor: a tenant read with asyncio, aiohttp and orjson, without the CDK, as fast as Python goes.

It prints the connector's RECORD lines with the same values (and null columns, which the CDK leaves out) from one
thread: ten workers, each posting up to twenty GETs a `$batch`. It has no log, state or statuses, and of all that can
go wrong it knows throttling inside a batch alone; any other refusal ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import os
import ssl
import sys
import time
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import orjson
from yarl import URL

PACKAGE = Path(__file__).parent.parent / "source_microsoft_graph"
WORKERS = 10
BATCH = 20
GZIP = 31
"""What zlib calls a gzip header."""

CHILDREN = {
    "mail_messages": ("users", "user_id", "messages?$top=100"),
    "calendar_events": ("users", "user_id", "events?$top=999"),
    "group_member": ("groups", "group_id", "members?$top=999"),
    "group_owner": ("groups", "group_id", "owners?$top=999"),
}
FLAT = {"users", "groups", "applications", "service_principals"}

sys.path.append(str(PACKAGE / "streams"))  # Importing from the package would import the CDK.
records = importlib.import_module("records")


class Page(NamedTuple):
    """One page to ask for, by its path below the version, and the columns its rows get."""

    stream: str
    path: str
    parent: dict[str, str]


class Floor:
    """One read. Everything happens in one thread, so nothing is locked."""

    def __init__(self, session: aiohttp.ClientSession, root: str) -> None:
        self._session, self._root = session, root
        self._pages: asyncio.Queue[Page] = asyncio.Queue()

    async def read(self, streams: list[str]) -> None:
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._work()) for _ in range(WORKERS)]
            for stream in streams:
                await (self._list(stream) if stream in FLAT else self._list_parents(stream))
            await self._pages.join()
            for worker in workers:
                worker.cancel()

    async def _list_parents(self, stream: str) -> None:
        collection, column, rest = CHILDREN[stream]
        link = f"{self._root}{collection}?$top=999&$select=id"
        while link:
            page = await self.ask("GET", link)
            for key in [parent["id"] for parent in page["value"]]:
                self._pages.put_nowait(Page(stream, f"{collection}/{key}/{rest}", {column: key}))
            link = page.get("@odata.nextLink")

    async def _list(self, stream: str) -> None:
        """Names every property of the schema, as the connector does first."""
        columns = json.loads((PACKAGE / "schemas" / f"{stream}.json").read_text())["properties"]
        select = ",".join(records.camel_case(name) for name in columns if name != "odata_type")
        link = f"{self._root}{records.camel_case(stream)}?$top=999&$select={select}"
        while link:
            page = await self.ask("GET", link)
            write(stream, page["value"], {})
            link = page.get("@odata.nextLink")

    async def _work(self) -> None:
        while True:
            pages = [await self._pages.get()]
            while len(pages) < BATCH and not self._pages.empty():
                pages.append(self._pages.get_nowait())
            await self._read_batch(pages)
            for _ in pages:
                self._pages.task_done()

    async def _read_batch(self, pages: list[Page]) -> None:
        requests = [{"id": str(number), "method": "GET", "url": page.path} for number, page in enumerate(pages)]
        answer = await self.ask("POST", f"{self._root}$batch", json={"requests": requests})
        wait = 0
        for response in answer["responses"]:
            page, body = pages[int(response["id"])], response["body"]
            if response["status"] == 429:
                wait = max(wait, int(response["headers"].get("Retry-After", 1)))
                self._pages.put_nowait(page)
            elif response["status"] != 200:
                raise RuntimeError(f"{page.path}: {response['status']} {body}")
            else:
                write(page.stream, body["value"], page.parent)
                if link := body.get("@odata.nextLink"):
                    self._pages.put_nowait(page._replace(path=link.removeprefix(self._root)))
        await asyncio.sleep(wait)

    async def ask(self, method: str, url: str, **body: Any) -> Any:
        """aiohttp would hand gzipped bodies to another thread; on one core it is faster to unpack them here."""
        async with self._session.request(method, URL(url, encoded=True), **body) as response:
            raw = await response.read()
        if response.headers.get("Content-Encoding") == "gzip":
            raw = zlib.decompress(raw, GZIP)
        if response.status != 200:
            raise RuntimeError(f"{url}: {response.status} {raw[:500]!r}")
        return orjson.loads(raw)


def write(stream: str, entities: list[dict[str, Any]], parent: dict[str, str]) -> None:
    head = b'{"type":"RECORD","record":{"stream":"%b","data":' % stream.encode()
    tail = b',"emitted_at":%d}}\n' % (time.time_ns() // 1_000_000)
    for entity in entities:
        data = records.to_record(entity)
        data.update(parent)
        sys.stdout.buffer.write(head + orjson.dumps(data) + tail)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.floor")
    parser.add_argument("read")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--catalog", type=Path, required=True)
    chosen = parser.parse_args()
    config, catalog = json.loads(chosen.config.read_text()), json.loads(chosen.catalog.read_text())
    trust = ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE"))
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=WORKERS, ssl=trust),
        headers={"Accept-Encoding": "gzip, deflate"},
        auto_decompress=False,
        read_bufsize=1 << 20,
    ) as session:
        graph, login = config["cloud"]["graph_host"], config["cloud"]["login_host"]
        floor = Floor(session, f"https://{graph}/v1.0/")
        form = {name: config[name] for name in ("client_id", "client_secret")}
        form |= {"grant_type": "client_credentials", "scope": f"https://{graph}/.default"}
        token = await floor.ask("POST", f"https://{login}/{config['tenant_id']}/oauth2/v2.0/token", data=form)
        session.headers["Authorization"] = f"Bearer {token['access_token']}"
        await floor.read([configured["stream"]["name"] for configured in catalog["streams"]])


if __name__ == "__main__":
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    asyncio.run(main())
