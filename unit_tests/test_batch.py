"""Twenty listings in one request: the same rows as one by one, whatever becomes of the parts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import requests_mock

from source_microsoft_graph.graph.batch import MAX_BATCH, batch_body, sub_responses
from source_microsoft_graph.graph.catalogue import Action, classify
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.retries import retry_after
from source_microsoft_graph.streams import STREAMS
from unit_tests.conftest import Clock
from unit_tests.graph_api import (
    GRAPH,
    FakeGraph,
    a_page,
    an_error,
    errors,
    read,
    rows,
    run_batch,
    statuses,
    throttled,
    warnings,
)
from unit_tests.roll import every_stream, stream_named

GROUPS = [f"g{number:02}" for number in range(45)]


@pytest.fixture
def wire() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def graph(wire: requests_mock.Mocker) -> FakeGraph:
    return FakeGraph(wire)


def list_groups(graph: FakeGraph, *groups: str) -> None:
    graph.lists("groups", [{"id": group} for group in groups])


def members(output: Any) -> list[tuple[str, str]]:
    return sorted((row["group_id"], row["id"]) for row in rows(output))


def a_response(body: Any, status: int = 200) -> GraphResponse:
    return GraphResponse(status, {}, orjson.dumps(body))


def test_the_envelope_holds_relative_urls_and_headers_of_their_own() -> None:
    """Each part has an id, a URL below the version and the headers that a batch does not pass on."""
    assert batch_body(["/users/1/messages?$top=5", "/users/2/messages"], [{"Prefer": "a"}] * 2) == {
        "requests": [
            {"id": "0", "method": "GET", "url": "/users/1/messages?$top=5", "headers": {"Prefer": "a"}},
            {"id": "1", "method": "GET", "url": "/users/2/messages", "headers": {"Prefer": "a"}},
        ]
    }


def test_answers_are_matched_by_id_in_any_order() -> None:
    """The order of the answers means nothing; status, headers and body are each part's own."""
    response = a_response(
        {
            "responses": [
                {"id": "1", "status": 429, "headers": {"retry-after": "7"}, "body": {"error": {"code": "x"}}},
                {"id": "0", "status": 200, "body": {"value": [{"id": "a"}]}},
            ]
        }
    )

    first, second = sub_responses(response, ["u0", "u1"]) or []

    assert (first.status_code, first.body, first.url) == (200, {"value": [{"id": "a"}]}, "u0")
    assert (second.status_code, second.headers["Retry-After"], second.url) == (429, "7", "u1")


A, B = ({"id": identifier, "status": 200, "body": {"value": [{"id": identifier}]}} for identifier in "01")
NO_ENVELOPES = [
    pytest.param({"responses": []}, id="no parts"),
    pytest.param({"responses": [A]}, id="a part is missing"),
    pytest.param({"responses": [A, A]}, id="an id twice, and one is missing"),
    pytest.param({"responses": [A, B, A]}, id="an id twice"),
    pytest.param({"responses": [A, B, {**A, "id": 0}]}, id="an id twice, as a text and as a number"),
    pytest.param({"responses": [A, B, {**A, "id": "2"}]}, id="a part too many"),
    pytest.param({"responses": [A, {**B, "id": "7"}]}, id="an unknown id"),
    pytest.param({"responses": [A, {**B, "id": None}]}, id="null for an id"),
    pytest.param({"responses": [A, {**B, "id": True}]}, id="a boolean for an id"),
    pytest.param({"responses": [A, {**B, "id": 1.0}]}, id="a fraction for an id"),
    pytest.param({"responses": [A, {**B, "id": ["1"]}]}, id="a list for an id"),
    pytest.param({"responses": [A, {**B, "id": {"1": 1}}]}, id="an object for an id"),
    pytest.param({"responses": [A, {"status": 200, "body": {"value": []}}]}, id="no id"),
    pytest.param({"responses": [A, {"id": "1", "body": {"value": []}}]}, id="no status"),
    pytest.param({"responses": [A, {**B, "status": "200"}]}, id="a text for a status"),
    pytest.param({"responses": [A, {**B, "status": None}]}, id="null for a status"),
    pytest.param({"responses": [A, {**B, "headers": ["x"]}]}, id="a list for the headers"),
    pytest.param({"responses": [{"status": 200}, 5, None]}, id="parts that are none"),
    pytest.param({"responses": {"0": A, "1": B}}, id="an object for the parts"),
    pytest.param({"responses": "x"}, id="a text for the parts"),
    pytest.param({"responses": None}, id="null for the parts"),
    pytest.param({"Responses": [A, B]}, id="another name"),
    pytest.param({"value": []}, id="a page"),
    pytest.param({"error": {"code": "x"}}, id="an error"),
    pytest.param([A, B], id="a list"),
    pytest.param(None, id="null"),
    pytest.param({}, id="an empty object"),
]


@pytest.mark.parametrize("body", NO_ENVELOPES)
def test_an_envelope_has_one_answer_to_each_part(body: Any) -> None:
    """Anything else is no answer to this batch: nobody knows which part is whose."""
    assert sub_responses(a_response(body), ["u0", "u1"]) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b'{"responses": [{"id": "0", "status": 200}, {"id": "1"',
        b'{"responses": [{"id": "0", "status": 200, "body": ' + b"[" * 100_000,
        b'{"responses": [{"id": "\xff", "status": 200}]}',
    ],
    ids=["nothing", "HTML", "cut off", "too deep", "no UTF-8"],
)
def test_an_envelope_that_is_no_json_is_none(content: bytes) -> None:
    """Whatever can be read of it, its requests are sent again."""
    assert sub_responses(GraphResponse(200, {}, content), ["u0", "u1"]) is None


@pytest.mark.parametrize(
    ("found", "repaired", "value"),
    [
        # Each in the second part.
        (b'"id":"1"', b'"id":"1","a":NaN', None),
        (b'"id":"1"', b'"id":"1","a":"cut \\ud83d"', "cut \ufffd"),
        (b'"id":"1"', b'"id":"1","a":"\xff"', "\ufffd"),
        (b'"id":"1"', b'"id":"1","a":18446744073709551617,"b":NaN', 18446744073709551617),
    ],
    ids=["NaN", "half a surrogate", "no UTF-8", "integer"],
)
def test_an_envelope_is_read_leniently(found: bytes, repaired: bytes, value: Any) -> None:
    """One odd text in twenty pages is no reason to request each by itself. What was repaired is told."""
    content = orjson.dumps({"responses": [A, {**B, "body": {"value": [{"id": "1"}]}}]})
    content = repaired.join(content.rsplit(found, 1))

    parts = sub_responses(GraphResponse(200, {}, content), ["u0", "u1"]) or []

    assert [part.body["value"][0]["id"] for part in parts] == ["0", "1"]
    assert parts[1].body["value"][0].get("a", "missing") == value
    assert [bool(part.repairs) for part in parts] == [False, True]


@pytest.mark.parametrize("odd", [b"\xef\xbb\xbf", b"\t"], ids=["byte order mark", "control character"])
def test_what_is_odd_about_an_envelope_concerns_no_page(odd: bytes) -> None:
    """A mark before it, or a tab in a header, is nothing that a record could lose."""
    content = orjson.dumps({"responses": [A, {**B, "headers": {"x": "y"}}]})
    content = odd + content if odd != b"\t" else content.replace(b'"y"', b'"\t"')

    parts = sub_responses(GraphResponse(200, {}, content), ["u0", "u1"]) or []

    assert [(part.body["value"][0]["id"], part.repairs) for part in parts] == [("0", frozenset()), ("1", frozenset())]


def test_ids_may_be_numbers() -> None:
    """Some gateways write them so, and there is no doubt whose part it is."""
    parts = sub_responses(a_response({"responses": [{**B, "id": 1}, {**A, "id": 0}]}), ["u0", "u1"]) or []

    assert [part.body["value"][0]["id"] for part in parts] == ["0", "1"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"Retry-After": "7"}, 7.0), ({"retry-after": 7}, 7.0), ({"Retry-After": None}, None), (None, None), ({}, None)],
    ids=repr,
)
def test_headers_of_a_part_may_be_of_any_type(headers: Any, seconds: float | None) -> None:
    """A number is as good as a text, and null as good as nothing."""
    part, *_ = sub_responses(a_response({"responses": [{"id": "0", "status": 429, "headers": headers}]}), ["u0"]) or []

    assert (retry_after(part), classify(part).action) == (seconds, Action.WAIT)


@pytest.mark.parametrize("body", [None, {}, "", b""], ids=["null", "an empty object", "an empty text", "missing"])
@pytest.mark.parametrize(
    ("status", "headers", "action"),
    [
        (200, {}, Action.SHRINK),
        (204, {}, Action.RETRY),
        (404, {}, Action.RETRY),
        (403, {}, Action.RETRY),
        (404, {"request-id": "r"}, Action.SKIP),
        (403, {"request-id": "r"}, Action.DENY),
    ],
)
def test_a_part_without_a_body_is_no_page(body: Any, status: int, headers: Any, action: Action) -> None:
    """It is passing trouble, or Graph's own refusal if it has Graph's request id."""
    part = {"id": "0", "status": status, "headers": headers} | ({} if body == b"" else {"body": body})
    [response] = sub_responses(a_response({"responses": [part]}), ["u0"]) or []

    assert classify(response).action == action


@pytest.mark.parametrize("is_encoded", [False, True], ids=["as it is", "in base64"])
@pytest.mark.parametrize("status", [400, 403, 404, 502])
def test_html_in_a_part_is_told(status: int, is_encoded: bool) -> None:
    """Graph writes the body of a part that is no JSON as a text, in base64; it is told as words."""
    body = "<html><title>Blocked</title>"
    text = b64encode(body.encode()).decode() if is_encoded else body
    part = {"id": "0", "status": status, "headers": {"Content-Type": "text/html"}, "body": text}
    [response] = sub_responses(a_response({"responses": [part]}), ["u0"]) or []

    assert str(response) == f"HTTP {status} text/html: “{body}”"
    assert classify(response).action == (Action.SHRINK if status == 502 else Action.RETRY)


class OddBatches:
    """A Graph that answers each batch in which one group's members are requested in an odd way, so many times."""

    def __init__(self, wire: requests_mock.Mocker, group: str, times: int, change: Callable[[Any], Any]) -> None:
        self.group, self.times, self.change = group, times, change
        self.sizes: list[int] = []
        wire.post(f"{GRAPH}$batch", json=self._run)

    def _run(self, request: Any, context: Any) -> Any:
        urls = [part["url"] for part in request.json()["requests"]]
        self.sizes.append(len(urls))
        envelope = run_batch(request, context)
        if not self.times or not any(self.group in url for url in urls):
            return envelope
        self.times -= 1
        return self.change(envelope["responses"])


ODD = [
    pytest.param(lambda parts: {"responses": parts[1:]}, id="a part is missing"),
    pytest.param(lambda parts: {"responses": parts + parts[:1]}, id="an id twice"),
    pytest.param(lambda parts: {"responses": [{**part, "id": "0"} for part in parts]}, id="all ids alike"),
    pytest.param(lambda parts: {"responses": []}, id="no part"),
    pytest.param(lambda parts: {"value": []}, id="a page"),
    pytest.param(lambda parts: {}, id="nothing"),
]


@pytest.mark.parametrize("change", ODD)
@pytest.mark.parametrize("times", [1, 2, 1_000])
@pytest.mark.parametrize("group", ["g00", "g07", "g19"])
def test_an_odd_envelope_costs_no_row(
    wire: requests_mock.Mocker, graph: FakeGraph, clock: Clock, change: Any, times: int, group: str
) -> None:
    """What it was to answer is asked again in halves, in the end by itself, whether or not Graph recovers."""
    list_groups(graph, *GROUPS[:20])
    for name in GROUPS[:20]:
        graph.lists(f"groups/{name}/members", [{"id": "m"}])
    odd = OddBatches(wire, group, times, change)

    output = read("group_member")

    assert members(output) == [(name, "m") for name in GROUPS[:20]]
    assert statuses(output, "group_member")[-1] == "COMPLETE"
    assert clock.slept == []
    assert odd.sizes[:2] == [20, 10]


@pytest.mark.parametrize("status", [400, 404, 413, 500, 502, 503, 504])
@pytest.mark.parametrize("group", ["g00", "g13", "g19"])
def test_one_bad_part_is_found_by_halves(wire: requests_mock.Mocker, graph: FakeGraph, status: int, group: str) -> None:
    """Each batch with it is refused or fails as a whole; the nineteen others are read, and it is too, by itself."""
    list_groups(graph, *GROUPS[:20])
    for name in GROUPS[:20]:
        graph.lists(f"groups/{name}/members", [{"id": "m"}])

    def run(request: Any, context: Any) -> Any:
        if not any(group in part["url"] for part in request.json()["requests"]):
            return run_batch(request, context)
        context.status_code = status
        return {"error": {"code": "BadRequest", "message": "One of them."}}

    wire.post(f"{GRAPH}$batch", json=run)

    output = read("group_member")

    assert members(output) == [(name, "m") for name in GROUPS[:20]]
    assert statuses(output, "group_member")[-1] == "COMPLETE"


@pytest.mark.parametrize("status", [401, 429, 503])
def test_a_refused_batch_is_the_answer_to_every_part(status: int) -> None:
    """The whole was throttled or failed, and so was each part."""
    parts = sub_responses(a_response({"error": {"code": "x"}}, status), ["u0", "u1", "u2"])
    assert [part.status_code for part in parts or []] == [status] * 3


@pytest.mark.parametrize("number", [1, 2, 20, 21, 45])
def test_twenty_parents_are_asked_for_together(graph: FakeGraph, number: int) -> None:
    """Forty-five groups cost three requests; a part alone is a plain GET."""
    list_groups(graph, *GROUPS[:number])
    for group in GROUPS[:number]:
        graph.lists(f"groups/{group}/members", [{"id": "m"}])

    assert members(read("group_member")) == [(group, "m") for group in GROUPS[:number]]
    full, rest = divmod(number, MAX_BATCH)
    assert sorted(map(len, graph.batches)) == sorted([MAX_BATCH] * full + [rest] * (rest > 1))


def test_next_pages_are_batched_again(graph: FakeGraph) -> None:
    """Links inside the answers are followed in further batches, over empty pages, until each listing has ended."""
    list_groups(graph, "a", "b", "c")
    graph.lists("groups/a/members", [{"id": "1"}], [], [{"id": "2"}])
    graph.lists("groups/b/members", [{"id": "3"}])
    graph.lists("groups/c/members", [], [{"id": "4"}])

    assert members(read("group_member")) == [("a", "1"), ("a", "2"), ("b", "3"), ("c", "4")]
    assert [len(batch) for batch in graph.batches] == [3, 2]
    assert len(graph.asked) == 1 + 3 + 2 + 1 + 2


@pytest.mark.parametrize("batch_size", [1, MAX_BATCH])
@pytest.mark.parametrize(
    "trouble",
    [
        an_error(503, "ServiceUnavailable"),
        throttled("3"),
        an_error(401, "InvalidAuthenticationToken"),
        {"text": "<html>", "status_code": 200},
        {"json": {"no": "value"}},
    ],
    ids=["503", "429", "401", "HTML", "no page"],
)
def test_one_part_in_trouble_waits_alone(
    graph: FakeGraph, monkeypatch: pytest.MonkeyPatch, trouble: Any, batch_size: int
) -> None:
    """It is asked for again by itself; the others are not, and no row is lost or doubled."""
    for stream_class in STREAMS:
        monkeypatch.setattr(stream_class, "batch_size", min(batch_size, stream_class.batch_size))
    list_groups(graph, "a", "b", "c")
    for group in "abc":
        graph.lists(f"groups/{group}/members", [{"id": f"of-{group}"}])
    # A second 401 would be final, any other trouble is passing however often it comes.
    times = 1 if trouble.get("status_code") == 401 else 2
    graph.answers("groups/b/members", *[trouble] * times, a_page({"id": "x"}))

    output = read("group_member")

    assert members(output) == [("a", "of-a"), ("b", "x"), ("c", "of-c")]
    asked = [url.split("/")[1] for url in graph.asked if "/members" in url]
    assert (asked.count("a"), asked.count("c")) == (1, 1)
    assert statuses(output, "group_member")[-1] == "COMPLETE"


def test_retry_after_of_a_part_is_kept(graph: FakeGraph, clock: Clock) -> None:
    """A part's own Retry-After is waited out in full."""
    list_groups(graph, "a", "b")
    graph.lists("groups/a/members", [{"id": "1"}])
    graph.answers("groups/b/members", throttled("30"), a_page({"id": "2"}))

    assert members(read("group_member")) == [("a", "1"), ("b", "2")]
    assert clock.slept == [30.0]


def test_a_lasting_failure_of_one_part_is_raised_after_the_others(graph: FakeGraph) -> None:
    """The others' rows are out, all their pages; the stream says which object failed and is INCOMPLETE."""
    list_groups(graph, "a", "b", "c")
    graph.lists("groups/a/members", [{"id": "1"}], [{"id": "2"}])
    graph.answers("groups/b/members", an_error(500, "InternalServerError"))
    graph.answers("groups/c/members", an_error(500, "InternalServerError"))

    output = read("group_member", fails=True)

    assert members(output) == [("a", "1"), ("a", "2")]
    assert "group b" in errors(output)["group_member"]
    assert "group c" in errors(output)["group_member"]
    assert statuses(output, "group_member")[-1] == "INCOMPLETE"


def test_a_part_refused_for_its_token_alone_is_skipped(graph: FakeGraph) -> None:
    """Where Graph takes the new token for the rest of the batch, a second 401 is that object's: a team too new."""
    list_groups(graph, "a", "b", "c")
    graph.lists("teams/a/members", [{"id": "1"}])
    for team in "bc":
        graph.answers(f"teams/{team}/members", an_error(401, "Unauthorized"))

    output = read("team_member")

    assert [row["id"] for row in rows(output)] == ["1"]
    assert statuses(output, "team_member")[-1] == "COMPLETE"
    assert [warning.split(". ")[0] for warning in warnings(output)] == [
        "team_member: skipped team b",
        "team_member: skipped team c",
        "team_member: 2 skipped in all",
    ]
    assert graph.sign_ins == 2


def test_a_foreign_link_costs_one_listing(graph: FakeGraph) -> None:
    """The link is not followed, its listing fails, the nineteen others go on."""
    list_groups(graph, "a", "b")
    graph.answers("groups/a/members", a_page({"id": "1"}, link="https://graph.evil.example/v1.0/groups"))
    graph.lists("groups/b/members", [{"id": "2"}], [{"id": "3"}])

    output = read("group_member", fails=True)

    assert members(output) == [("a", "1"), ("b", "2"), ("b", "3")]
    assert "evil.example" in errors(output)["group_member"]
    assert not [url for url in graph.asked if "evil" in url]


@pytest.mark.parametrize("status", [302, 400, 403, 404, 405, 413])
@pytest.mark.parametrize(
    ("most", "sizes"), [(0, [20, 10, 10, 5, 2]), (5, [20, 10, 10, 5, 5, 5, 5]), (19, [20, 10, 10])]
)
def test_batches_that_are_refused_are_done_without(graph: FakeGraph, status: int, most: int, sizes: list[int]) -> None:
    """What a batch as a whole is refused for is no object's: fewer go together from then on, in the end each by
    itself, and no row is lost."""
    list_groups(graph, *GROUPS[:20])
    for group in GROUPS[:20]:
        graph.lists(f"groups/{group}/members", [{"id": "m"}])
    graph.takes_batches_of(most, an_error(status, "NotFound"))

    output = read("group_member")

    assert members(output) == [(group, "m") for group in GROUPS[:20]]
    assert [len(batch) for batch in graph.batches] == sizes
    assert [warning.split(" together")[0] for warning in warnings(output)] == [
        f"Graph refused {size} requests" for size in sizes if size > most
    ]


def test_a_heavy_answer_halves_what_is_asked_together(graph: FakeGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker holds the whole answer, so when the pages are heavy fewer of them are asked for at once."""
    monkeypatch.setattr("source_microsoft_graph.graph.batch._HEAVY_BYTES", 100)
    list_groups(graph, *GROUPS[:20])
    for group in GROUPS[:20]:
        graph.lists(f"groups/{group}/members", [{"id": "1"}], [{"id": "2"}])

    assert len(members(read("group_member"))) == 40
    assert [len(batch) for batch in graph.batches] == [20, 10, 5, 2]


@pytest.mark.parametrize("name", [stream.name for stream in every_stream() if stream.batch_size > 1])
def test_a_skipped_part_is_named(graph: FakeGraph, name: str) -> None:
    """A part refused for its object's sake is skipped, counted and named as if it had been asked for alone."""
    refused, *others = graph.holds_owners_of(stream_named(name))
    graph.answers(refused, an_error(404, "ResourceNotFound"))
    for number, other in enumerate(others):
        graph.lists(other, [{"id": f"row-{number}"}])
        graph.lists(f"{other.rpartition('/')[0]}/contactFolders", [])

    output = read(name)

    assert len(rows(output)) == len(others)
    assert len([warning for warning in warnings(output) if ": skipped " in warning]) == 1
    assert [batch for batch in graph.batches if refused in [url.partition("?")[0] for url in batch]]
    assert not [url for url in graph.asked if url.startswith(GRAPH)]
