"""Twenty listings in one request: the same rows as one by one, whatever becomes of the parts."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from source_microsoft_graph.graph.batch import MAX_BATCH, batch_body, sub_responses
from source_microsoft_graph.graph.catalogue import Action, classify
from source_microsoft_graph.graph.response import GraphResponse
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
    statuses,
    throttled,
    warnings,
)
from unit_tests.roll import every_stream, stream_named

GROUPS = [f"g{number:02}" for number in range(45)]


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

    first, second = sub_responses(response, ["u0", "u1"])

    assert (first.status_code, first.body, first.url) == (200, {"value": [{"id": "a"}]}, "u0")
    assert (second.status_code, second.headers["Retry-After"], second.url) == (429, "7", "u1")


@pytest.mark.parametrize(
    "body",
    [{"responses": []}, {"responses": "x"}, {"responses": [{"status": 200}, 5, None]}, {"responses": [{"id": "7"}]}],
)
def test_a_part_without_answer_is_asked_again(body: Any) -> None:
    """What Graph leaves out, or garbles, is passing trouble and never an empty page."""
    assert {classify(part).action for part in sub_responses(a_response(body), ["u0", "u1"])} == {Action.RETRY}


@pytest.mark.parametrize("status", [401, 429, 503])
def test_a_refused_batch_is_the_answer_to_every_part(status: int) -> None:
    """The whole was throttled or failed, and so was each part."""
    parts = sub_responses(a_response({"error": {"code": "x"}}, status), ["u0", "u1", "u2"])
    assert [part.status_code for part in parts] == [status] * 3


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
    assert len(graph.asked) == 1 + 3 + 2 + 1 + 1


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
@pytest.mark.parametrize(("most", "sizes"), [(0, [20, 10, 5, 2]), (5, [20, 10, 5, 5, 5, 5]), (19, [20, 10, 10])])
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
        f"Graph refused {size} requests" for size in dict.fromkeys(sizes) if size > most
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
