"""The envelope of JSON batching: up to twenty GETs in one POST.

https://learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict

from source_microsoft_graph.errors import body_of, with_body

MOST = 20
"""Requests Graph takes in one batch."""


def batch_of(urls: Sequence[str], headers: Mapping[str, str]) -> dict[str, Any]:
    """The body that asks for these URLs, each relative to the version and known by its place in the sequence."""
    return {
        "requests": [
            {"id": str(number), "method": "GET", "url": url, "headers": headers} for number, url in enumerate(urls)
        ]
    }


def parts_of(response: requests.Response, urls: Sequence[str]) -> list[requests.Response]:
    """The answer to each URL in its place, as if it had been asked for alone.

    Graph answers 200 whatever became of the parts, in any order. Where the batch as a whole was refused, that is the
    answer to every part; a part that is missing is an answer without a page.
    """
    answers = body_of(response).get("responses")
    if response.status_code != 200 or not isinstance(answers, list):
        return [response] * len(urls)
    by_place = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
    return [_part(by_place.get(str(number), {}), url) for number, url in enumerate(urls)]


def _part(answer: dict[str, Any], url: str) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url = answer.get("status", 200), url
    response.headers = CaseInsensitiveDict(answer.get("headers") or {})
    body = answer.get("body")
    return with_body(response, body if isinstance(body, dict) else {})
