"""JSON batching: up to twenty requests in one.

https://learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import urlsplit

import orjson

from .problems import Problem, problem
from .state import State
from .tokens import roles
from .wire import Reply, Request, json_headers, request_id

PATH = "/v1.0/$batch"
MOST = 20
INHERITED = ("authorization", "host")

# The reply to one of the requests, which adds the mailbox at which it counts as under way to the list.
Respond = Callable[[Request, list[str]], Reply]


def is_batch(request: Request) -> bool:
    return request.path.lower().replace("%24", "$") == PATH and request.method == "POST"


def respond(state: State, request: Request, respond_to: Respond) -> Reply:
    """The replies in no particular order; the whole is a 200 however many of them failed."""
    try:
        roles(state, request)
        steps = _steps(request)
    except Problem as refusal:
        return refusal.reply(request, "batch")
    mailboxes: list[str] = []
    replies: dict[str, Reply] = {}
    for step in steps:
        replies[step["id"]] = _run(request, step, replies, mailboxes, respond_to)
    responses = [{"id": number, "status": reply.status, **_content(reply)} for number, reply in replies.items()]
    Random(f"{state.seed}/{len(state.requests)}").shuffle(responses)
    body = orjson.dumps({"responses": responses})
    delivery = next((reply.delivery for reply in replies.values() if reply.delivery != "whole"), "whole")
    return Reply(200, body, json_headers(request, request_id()), delivery, workload="batch", mailboxes=mailboxes)


def _steps(request: Request) -> list[dict[str, Any]]:
    try:
        steps = orjson.loads(request.body)["requests"]
        urls, ids = [urlsplit(step["url"]) for step in steps], [step["id"] for step in steps]
        methods = {step["method"] for step in steps}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise problem("batch_malformed", "each request needs an id, a method and a url") from None
    flaws = {
        "it must hold 1 to 20 requests": not 1 <= len(steps) <= MOST,
        "ids must be strings, and unique": len(set(map(str, ids))) < len(ids)
        or not all(isinstance(i, str) for i in ids),
        "urls must be relative": any(url.netloc for url in urls),
        "batches can't be nested": any("$batch" in url.path for url in urls),
        "methods must be HTTP's": not methods <= {"GET", "POST", "PATCH", "PUT", "DELETE"},
    }
    for flaw, found in flaws.items():
        if found:
            raise problem("batch_malformed", flaw)
    wanted: list[dict[str, Any]] = steps
    return wanted


def _run(
    request: Request, step: dict[str, Any], done: dict[str, Reply], mailboxes: list[str], respond_to: Respond
) -> Reply:
    url = urlsplit(step["url"])
    inherited = {name: request.headers[name] for name in INHERITED if name in request.headers}
    headers = {**inherited, **(step.get("headers") or {})}
    inner = Request(step["method"], "/v1.0/" + url.path.lstrip("/"), url.query, headers)
    if any(done[before].status >= 400 for before in step.get("dependsOn") or () if before in done):
        return problem("dependency_failed").reply(inner, "batch")
    return respond_to(inner, mailboxes)


def _content(reply: Reply) -> dict[str, Any]:
    is_json = reply.headers["Content-Type"].startswith("application/json")
    return {"headers": reply.headers, "body": orjson.Fragment(reply.body) if is_json else reply.body.decode()}
