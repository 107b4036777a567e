"""The envelope of JSON batching: up to twenty GETs in one POST.

https://learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import requests
from requests.structures import CaseInsensitiveDict

from source_microsoft_graph.errors import with_content

MOST = 20
"""Requests Graph takes in one batch."""


class _Part(msgspec.Struct):
    """One answer in a batch, with its body unparsed: twenty parsed pages at once would take many times their bytes."""

    id: Any = None
    status: int = 200
    headers: Mapping[str, str] | None = None
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Envelope(msgspec.Struct):
    responses: list[_Part]


_envelopes = msgspec.json.Decoder(_Envelope)


def batch_of(urls: Sequence[str], headers: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The body that asks for these URLs with these headers, each URL relative to the version and known by its place."""
    return {
        "requests": [
            {"id": str(number), "method": "GET", "url": url, "headers": own}
            for number, (url, own) in enumerate(zip(urls, headers, strict=True))
        ]
    }


def parts_of(response: requests.Response, urls: Sequence[str]) -> list[requests.Response]:
    """The answer to each URL in its place, as if it had been asked for alone.

    Graph answers 200 whatever became of the parts, in any order. Where the batch as a whole was refused, that is the
    answer to every part; a part that is missing is an answer without a page.
    """
    if response.status_code != 200:
        return [response] * len(urls)
    try:
        envelope = _envelopes.decode(response.content)
    except msgspec.DecodeError:
        return [response] * len(urls)
    by_place = {part.id: part for part in envelope.responses}
    return [_response(by_place.get(str(number), _Part()), url) for number, url in enumerate(urls)]


def _response(part: _Part, url: str) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url = part.status, url
    response.headers = CaseInsensitiveDict(part.headers or {})
    return with_content(response, memoryview(part.body))
