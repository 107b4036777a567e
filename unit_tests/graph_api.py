"""Graph at the wire, for tests: what it answers, and one way to read through it.

graph.lists("users", [a_user("1")], [], [a_user("2")])     three pages, the middle one empty
graph.answers("groups/g1/members", an_error(404, "Request_ResourceNotFound"))
output = read("users", graph)
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
import requests_mock
from airbyte_cdk.models import ConfiguredAirbyteCatalog, DestinationSyncMode, SyncMode
from airbyte_cdk.test.catalog_builder import CatalogBuilder, ConfiguredAirbyteStreamBuilder
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput
from airbyte_cdk.test.entrypoint_wrapper import read as run_read

from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.auth.token import GraphAuth
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.retries import SyncClock
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.sync.context import Sync
from unit_tests.roll import one_of_each

TENANT = "11111111-2222-3333-4444-555555555555"
CONFIG = {"tenant_id": TENANT, "client_id": "the-client", "client_secret": "the-secret-value"}
LOGIN = f"https://login.microsoftonline.com/{TENANT}"
GRAPH = "https://graph.microsoft.com/v1.0/"
EVERY_PERMISSION = sorted({stream.permissions[0] for stream in STREAMS})

Answer = Mapping[str, Any]
"""Keyword arguments of requests-mock: status_code, json, content, headers, exc."""


def a_page(*entities: Mapping[str, Any], link: str | None = None) -> Answer:
    return {"json": {"value": list(entities)} | ({"@odata.nextLink": link} if link else {})}


def an_error(status: int, code: str, message: str = "No.", inner: str = "", headers: Answer | None = None) -> Answer:
    inner_error = {"request-id": "a-request-id"} | ({"code": inner} if inner else {})
    body = {"error": {"code": code, "message": message, "innerError": inner_error}}
    return {"status_code": status, "json": body, "headers": headers or {}}


def throttled(seconds: str | None = None) -> Answer:
    return an_error(429, "TooManyRequests", headers={"Retry-After": seconds} if seconds else {})


def a_jwt(claims: Any) -> str:
    """A token with any claims, whatever their form."""

    def part(content: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.signature"


def a_token(roles: Sequence[str], serial: int = 1) -> str:
    return a_jwt({"roles": list(roles), "serial": serial})


def an_auth(config: Config, clock: SyncClock | None = None) -> GraphAuth:
    return GraphAuth(config.credentials, config.authority, config.scope, clock or SyncClock())


class FakeGraph:
    """A sign-in service and a Graph that know exactly what a test told them; anything else is an error. There is
    one service principal, in no group and without objects of its own, unless a test has others: each tenant has some,
    and whatever reads the members and owners of groups asks for them."""

    def __init__(self, mocker: requests_mock.Mocker) -> None:
        self._mocker = mocker
        mocker.get(
            f"{LOGIN}/v2.0/.well-known/openid-configuration",
            json={
                "issuer": f"{LOGIN}/v2.0",
                "authorization_endpoint": f"{LOGIN}/oauth2/v2.0/authorize",
                "token_endpoint": f"{LOGIN}/oauth2/v2.0/token",
            },
        )
        mocker.post(f"{GRAPH}$batch", json=run_batch)
        self.grants(*EVERY_PERMISSION)
        self.lists("organization", [{"id": TENANT}])
        self.lists("servicePrincipals", [{"id": "the-own-app"}])
        for relation in ("memberOf", "ownedObjects"):
            self.lists(f"servicePrincipals/the-own-app/{relation}", [])

    def grants(self, *roles: str) -> None:
        """Issue a new token each time one is asked for, with these application permissions."""
        tokens = [
            {"json": {"access_token": a_token(roles, serial), "expires_in": 3600, "token_type": "Bearer"}}
            for serial in range(1, 50)
        ]
        self.signs_in(*tokens)

    def signs_in(self, *answers: Answer) -> None:
        self._mocker.post(f"{LOGIN}/oauth2/v2.0/token", list(answers))

    def lists(self, path: str, *pages: Sequence[Mapping[str, Any]]) -> None:
        """Serve these pages, each linked to the next."""
        links = [f"{GRAPH}{path}?$skiptoken=page-{number}" for number in range(2, len(pages) + 1)]
        for number, page in enumerate(pages):
            following = links[number] if number < len(links) else None
            here = path if number == 0 else links[number - 1].removeprefix(GRAPH)
            self.answers(here, a_page(*page, link=following))

    def holds_one_of_each(self) -> None:
        """A tenant with one object of every kind, at all paths that a check asks for: each object's ID is the first
        letter of its path."""
        for path in one_of_each():
            self.lists(path, [{"id": path[0]}])
        # A check asks for the drives of the root site, and a read below drives for everybody's.
        for owner in ("users/u", "groups/g", "sites/s"):
            self.lists(f"{owner}/drives", [{"id": "d"}])
        self.lists("drives/d/root/delta", [{"id": "d", "shared": {}}])

    def holds_owners_of(self, stream: GraphStream) -> list[str]:
        """Two objects in every listing above a stream. Returns the paths of the stream's own listings."""
        return self._listings_of(type(stream)(Sync(Config.parse(CONFIG), logging.getLogger("airbyte"))))

    def _listings_of(self, stream: GraphStream) -> list[str]:
        for parent in stream.parents():
            for number, path in enumerate(self._listings_of(parent)):
                self.lists(path, [{"id": f"{path[0]}-{number}-{each}", "shared": {}} for each in "ab"])
        owners = (dict(zip(stream.placeholders, owner, strict=True)) for owner in stream.owners())
        return [stream.path_template.format_map(owner) for owner in owners] if stream.is_child else [stream.path()]

    def answers(self, path: str, *answers: Answer) -> None:
        """Serve these answers one after another, the last one for ever."""
        self._mocker.get(f"{GRAPH}{path}", list(answers))

    def answers_everything(self, *answers: Answer) -> None:
        """Serve these answers one after another, the last one for ever, whatever is asked."""
        for method in ("GET", "POST"):
            self._mocker.request(method, re.compile(re.escape(GRAPH)), list(answers))

    def never_answers(self, silence: Exception) -> None:
        """Let every request to Graph fail with this error."""
        self._mocker.register_uri(requests_mock.ANY, re.compile(re.escape(GRAPH)), exc=silence)

    def serves(self, answer: Callable[[str, Mapping[str, str], Mapping[str, str]], Answer], path: str = "") -> None:
        """Serve this path, or all paths, by a function of the path, the query options and the request's headers."""

        def respond(request: Any, context: Any) -> bytes:
            url = urlsplit(request.url.removeprefix(GRAPH))
            given = answer(unquote(url.path), dict(parse_qsl(url.query)), request.headers)
            if "exc" in given:
                raise given["exc"]
            context.status_code = given.get("status_code", 200)
            context.headers.update(given.get("headers", {}))
            return bytes(given["content"] if "content" in given else json.dumps(given["json"]).encode())

        self._mocker.get(f"{GRAPH}{path}" if path else re.compile(re.escape(GRAPH)), content=respond)

    def takes_batches_of(self, most: int, refusal: Answer) -> None:
        """Refuse larger batches with this error."""
        self.takes_batches(lambda urls: len(urls) <= most, refusal)

    def takes_batches(self, are_taken: Callable[[Sequence[str]], bool], refusal: Answer) -> None:
        """Answer the others with this refusal."""

        def run(request: Any, context: Any) -> Any:
            if are_taken([unquote(part["url"].removeprefix("/")) for part in request.json()["requests"]]):
                return run_batch(request, context)
            context.status_code = refusal["status_code"]
            return refusal["json"]

        self._mocker.post(f"{GRAPH}$batch", json=run)

    @property
    def asked(self) -> list[str]:
        """What Graph was asked, below the version and decoded, in order; the parts of a batch one by one."""
        return [unquote(request.url.removeprefix(GRAPH)) for request in self._gets()]

    @property
    def batches(self) -> list[list[str]]:
        """The parts of each batch Graph was sent."""
        posts = (request for request in self._mocker.request_history if request.url == f"{GRAPH}$batch")
        return [[unquote(part["url"].removeprefix("/")) for part in post.json()["requests"]] for post in posts]

    @property
    def tokens(self) -> list[str]:
        """The token each of these requests carried."""
        return [request.headers["Authorization"].removeprefix("Bearer ") for request in self._gets()]

    def _gets(self) -> list[Any]:
        history = self._mocker.request_history
        return [request for request in history if request.url.startswith(GRAPH) and request.method == "GET"]

    @property
    def sign_ins(self) -> int:
        return sum(request.url.endswith("/token") for request in self._mocker.request_history)


def run_batch(request: Any, context: Any) -> dict[str, Any]:
    """Each part is asked for by itself, and the answers come back in reverse order."""
    answers = []
    for part in reversed(request.json()["requests"]):
        url = GRAPH + part["url"].removeprefix("/")
        headers = {"Authorization": request.headers["Authorization"], **part.get("headers", {})}
        answer = requests.get(url, headers=headers, timeout=1)
        try:
            body = answer.json()
        except ValueError:
            body = answer.text
        answers.append({"id": part["id"], "status": answer.status_code, "headers": dict(answer.headers), "body": body})
    return {"responses": answers}


def a_catalog(*names: str, deduplicated: bool = False) -> ConfiguredAirbyteCatalog:
    """A full refresh. `deduplicated` says that the destination keeps the last row of each key."""
    builder = CatalogBuilder()
    for name in names:
        builder = builder.with_stream(
            ConfiguredAirbyteStreamBuilder().with_name(name).with_sync_mode(SyncMode.full_refresh)
        )
    catalog = builder.build()
    for configured in catalog.streams:
        mode = DestinationSyncMode.append_dedup if deduplicated else DestinationSyncMode.overwrite
        configured.destination_sync_mode = mode
    return catalog


def read(
    *names: str, config: Mapping[str, Any] = CONFIG, fails: bool = False, deduplicated: bool = False
) -> EntrypointOutput:
    """Read these streams through the CDK's own entry point; `fails` says that the exit code is not 0."""
    catalog = a_catalog(*names, deduplicated=deduplicated)
    return run_read(SourceMicrosoftGraph(), config, catalog, expecting_exception=fails)


def rows(output: EntrypointOutput, stream: str | None = None) -> list[Mapping[str, Any]]:
    records = (message.record for message in output.records)
    return [record.data for record in records if record and stream in (None, record.stream)]


def statuses(output: EntrypointOutput, stream: str) -> list[str]:
    return [status.value for status in output.get_stream_statuses(stream)]


def warnings(output: EntrypointOutput) -> list[str]:
    return [message.log.message for message in output.logs if message.log and message.log.level.value == "WARN"]


def errors(output: EntrypointOutput) -> dict[str | None, str]:
    """The message of each error by stream; None for the closing one."""
    found: dict[str | None, str] = {}
    for message in output.errors:
        error = message.trace.error if message.trace else None
        if error:
            found[error.stream_descriptor.name if error.stream_descriptor else None] = error.message
    return found


def told(output: EntrypointOutput, stream: str) -> str:
    """Every error and warning that concerns this stream."""
    failures = (message.trace.error for message in output.errors if message.trace and message.trace.error)
    named = [
        each.message or "" for each in failures if each.stream_descriptor and each.stream_descriptor.name == stream
    ]
    return "\n".join([*named, *(warning for warning in warnings(output) if warning.startswith(stream))])
