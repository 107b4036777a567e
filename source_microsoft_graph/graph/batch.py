"""JSON batching: up to twenty GET requests in one POST.

https://learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from source_microsoft_graph.graph.lenient import BrokenJson, load
from source_microsoft_graph.graph.response import GraphResponse

MAX_BATCH = 20
"""Requests Graph takes in one batch."""

_REFUSALS_OF_BATCHES = 3
"""Batches refused as a whole, one after another, from which on smaller ones are sent."""

_HEAVY_BYTES = 4 * 1024 * 1024
"""Bytes of a batch's response from which on fewer pages are requested in one batch."""


@dataclass(slots=True)
class BatchSize:
    """How many pages of one stream are requested in one batch. A worker holds the whole response, so this shrinks for
    the rest of the sync when the responses prove heavy, and grows while they are light."""

    current: int
    bound: int = MAX_BATCH
    refusals: int = 0

    def learn(self, pages: int, size: int) -> None:
        """From a response of so many pages and bytes."""
        if pages > 1:
            self.refusals = 0
        if size > _HEAVY_BYTES:
            self.current = max(1, min(self.current, pages // 2))
        elif pages == self.current > 1 and 2 * size < _HEAVY_BYTES:
            self.current = min(2 * pages, self.bound)

    def refused(self, pages: int) -> None:
        """Graph refused a batch of so many as a whole. One bad request in it is found by halves; where the halves are
        refused as well, it is batches that Graph does not take. A single request is sent without a batch."""
        self.refusals += 1
        if self.refusals >= _REFUSALS_OF_BATCHES:
            self.bound = max(1, min(self.bound, pages // 2))
            self.current = min(self.current, self.bound)


class _SubResponse(msgspec.Struct):
    """One response in a batch, with its body unparsed: twenty parsed pages would take many times their bytes."""

    status: int
    id: Any = None
    headers: Mapping[str, Any] | None = None
    body: msgspec.Raw = msgspec.Raw(b"")


class _Envelope(msgspec.Struct):
    responses: list[_SubResponse]


class _LooseEnvelope(msgspec.Struct):
    responses: list[dict[str, Any]]


_envelopes = msgspec.json.Decoder(_Envelope)


def batch_body(urls: Sequence[str], headers: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The JSON that requests these URLs, relative to the version, with these headers. The id of each is its index."""
    return {
        "requests": [
            {"id": str(index), "method": "GET", "url": url, "headers": own}
            for index, (url, own) in enumerate(zip(urls, headers, strict=True))
        ]
    }


def sub_responses(response: GraphResponse, urls: Sequence[str]) -> list[GraphResponse] | None:
    """The response to each URL, in the order of the URLs, as if each had been requested alone; None where this is no
    response to this batch.

    Graph answers 200 whatever the sub-requests came to, in any order. Where the batch as a whole failed, that is the
    response to every URL. Exactly one sub-response for each URL has to be there: of another number of them, nobody
    knows which is whose.
    """
    if response.status_code != 200:
        return [response] * len(urls)
    envelope = _envelope(response.content)
    if not envelope:
        return None
    by_id = {str(part.id): part for part in envelope.responses if type(part.id) in (str, int)}
    ids = [str(index) for index in range(len(urls))]
    if len(envelope.responses) != len(urls) or by_id.keys() != set(ids):
        return None
    return [_response(by_id[identifier], url) for identifier, url in zip(ids, urls, strict=True)]


def _envelope(content: bytes | memoryview) -> _Envelope | None:
    """The parts of a response. One odd text in a page is no reason to request each page by itself, so it stays in the
    body of its part, where it is repaired and told."""
    try:
        return _envelopes.decode(content)
    except msgspec.ValidationError:
        return None
    except (ValueError, RecursionError):
        pass
    try:
        loose = msgspec.convert(load(bytes(content)), _LooseEnvelope)
        for part in loose.responses:
            part["body"] = msgspec.Raw(json.dumps(part.get("body")).encode())
        return msgspec.convert(loose, _Envelope, from_attributes=True)
    except (BrokenJson, msgspec.ValidationError, RecursionError):
        return None


def _response(part: _SubResponse, url: str) -> GraphResponse:
    headers = {name: str(value) for name, value in (part.headers or {}).items() if value is not None}
    return GraphResponse(part.status, headers, _content(part.body), url)


def _content(body: msgspec.Raw) -> bytes | memoryview:
    """The bytes of a body. One that is no JSON comes as a text, mostly in base64."""
    content = memoryview(body)
    if bytes(content[:1]) != b'"':
        return content
    try:
        text = msgspec.json.decode(content, type=str)
    except ValueError:
        return content
    try:
        return b64decode(text, validate=True).decode().encode()
    except ValueError:
        return text.encode()
