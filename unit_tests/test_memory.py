"""Memory by bytes: what is admitted beside what, how large responses are expected to be, and what is given up."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.graph import client as client_module
from source_microsoft_graph.graph import memory
from source_microsoft_graph.graph.batch import BatchSize
from source_microsoft_graph.graph.client import GraphClient
from source_microsoft_graph.graph.memory import ByteBudget, OverBudget, ResponseSizes, budget_bytes
from source_microsoft_graph.graph.rate_limits import RateLimiter, Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.retries import SyncClock
from unit_tests.graph_api import CONFIG, GRAPH, FakeGraph, a_page, an_auth, errors, read, rows, statuses, warnings

MB = 1024 * 1024


def never() -> bool:
    return False


# The budget.


@pytest.mark.parametrize(
    ("limit", "budget"),
    [(64 * MB, 24 * MB), (512 * MB, 68 * MB), (1024 * MB, 170 * MB), (64 * 1024 * MB, 256 * MB)],
)
def test_the_budget_follows_the_limit(limit: int, budget: int) -> None:
    """A fifth of what is left beside the interpreter, within bounds."""
    assert budget_bytes(limit) // MB == budget // MB


@pytest.mark.parametrize(
    ("content", "budget"), [("536870912\n", 68), ("max\n", 68), ("9223372036854771712\n", 68), ("1073741824", 170)]
)
def test_the_container_tells_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, budget: int
) -> None:
    """`max` and numbers beyond any machine are no limit; then it is what Airbyte gives a source."""
    file = tmp_path / "memory.max"
    file.write_text(content)
    monkeypatch.setattr(memory, "_LIMIT_FILES", (tmp_path / "not there", file))

    assert budget_bytes() // MB == budget


def test_what_fits_is_admitted_and_what_does_not_waits() -> None:
    """A third request of forty bytes waits for one of the two that hold forty of a hundred."""
    budget, order = ByteBudget(100), []
    first, second = budget.admission(40, never), budget.admission(40, never)
    first.__enter__()
    second.__enter__()

    def third() -> None:
        with budget.admission(40, never):
            order.append("third")

    thread = threading.Thread(target=third)
    thread.start()
    order.append("before")
    first.__exit__(None, None, None)
    thread.join(timeout=10)
    second.__exit__(None, None, None)

    assert order == ["before", "third"]


def test_a_response_larger_than_all_is_admitted_alone() -> None:
    """Nothing is larger than the budget as far as waiting goes, and alone it may grow beyond it."""
    budget = ByteBudget(100)
    with budget.admission(1000, never) as admission:
        budget.grow(admission, 5000)
        assert admission.held == 5000
    with budget.admission(10, never), budget.admission(90, never):
        pass


def test_a_response_that_does_not_fit_beside_others_is_given_up() -> None:
    """It is told how large it was by then, and holds what it held."""
    budget = ByteBudget(100)
    with budget.admission(50, never), budget.admission(20, never) as admission:
        budget.grow(admission, 50)
        with pytest.raises(OverBudget) as caught:
            budget.grow(admission, 51)
    assert (caught.value.size, admission.held) == (51, 50)


def test_the_end_of_the_sync_ends_the_wait() -> None:
    """Whoever waits for room learns then that there is nothing to request any more."""
    budget = ByteBudget(10)
    with budget.admission(10, never), budget.admission(10, lambda: True):
        pass


# What is expected.


def test_sizes_are_learned_and_forgotten() -> None:
    """The largest of late counts, and counts less with each smaller one."""
    sizes = ResponseSizes()
    sizes.learn_page(10 * MB)
    large = sizes.expected(2)
    for _ in range(60):
        sizes.learn_page(1000)

    assert large == 20 * MB
    assert sizes.expected(2) < MB // 10


def test_pages_of_large_objects_have_fewer() -> None:
    """Of objects of a megabyte four are a page, of ordinary ones as many as Graph takes; and again once they are."""
    batch_size = BatchSize(5)
    before = batch_size.page_size(100)
    batch_size.sizes.learn_objects(100, 100 * MB)
    large = batch_size.page_size(100)
    for _ in range(60):
        batch_size.sizes.learn_objects(4, 4000)

    assert (before, large, batch_size.page_size(100), batch_size.page_size(None)) == (100, 4, 100, None)


# The client.


def a_client(budget: ByteBudget) -> GraphClient:
    config, clock = Config.parse(CONFIG), SyncClock()
    return GraphClient(config.cloud.graph_host, an_auth(config, clock), RateLimiter(clock), clock, 10, budget)


def test_a_response_over_the_budget_is_requested_again_when_there_is_room(graph: FakeGraph) -> None:
    """Nothing fails, and nothing is waited for but the room."""
    graph.answers("users", a_page({"id": "1", "text": "x" * 3000}))
    budget = ByteBudget(2000)
    client, sizes = a_client(budget), BatchSize(1)
    sizes.sizes = small = ResponseSizes()
    small._page = 100.0
    other = budget.admission(1500, never)
    other.__enter__()
    asked = iter([0])

    def release_first() -> bool:
        if next(asked, None) is None:
            return False
        other.__exit__(None, None, None)
        return False

    received = []
    grow = budget.grow

    def grow_and_release(admission: Any, size: int) -> None:
        try:
            grow(admission, size)
        except OverBudget:
            release_first()
            raise

    budget.grow = grow_and_release  # type: ignore[method-assign]
    for response in client.responses(deque([PageRequest(f"{GRAPH}users", Service.DIRECTORY)]), sizes):
        received.append(response.response.body["value"][0]["id"])

    assert (received, graph.asked) == (["1"], ["users", "users"])


def test_a_page_too_long_is_requested_in_smaller_pages_at_once(
    graph: FakeGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three attempts would bring the same three times."""
    monkeypatch.setattr(client_module, "_LARGEST_SHRINKABLE", 2000)
    graph.lists("users", [{"id": "u"}])

    def page(path: str, options: Any, headers: Any) -> Any:
        size = int(headers["Prefer"].partition("odata.maxpagesize=")[2])
        skip = int(options.get("$skiptoken", 0))
        objects = [{"id": str(number), "text": "x" * 600} for number in range(skip, min(skip + size, 8))]
        link = f"{GRAPH}users/u/messages?$skiptoken={skip + size}" if skip + size < 8 else None
        return a_page(*objects, link=link)

    graph.serves(page, "users/u/messages")
    output = read("mail_messages")

    assert [row["id"] for row in rows(output)] == [str(number) for number in range(8)]
    assert statuses(output, "mail_messages")[-1] == "COMPLETE"


def test_one_mail_too_long_is_skipped_for_its_size(graph: FakeGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others of the mailbox arrive, and nobody looks for what is wrong with Graph."""
    monkeypatch.setattr(client_module, "_LARGEST_SHRINKABLE", 2000)
    graph.lists("users", [{"id": "u"}])

    def page(path: str, options: Any, headers: Any) -> Any:
        size = int(headers["Prefer"].partition("odata.maxpagesize=")[2])
        skip = int(options.get("$skip", options.get("$skiptoken", 0)))
        objects = [{"id": str(number), "text": "x" * (9000 if number == 3 else 100)} for number in range(8)]
        link = f"{GRAPH}users/u/messages?$skiptoken={skip + size}" if skip + size < 8 else None
        return a_page(*objects[skip : skip + size], link=link)

    graph.serves(page, "users/u/messages")
    output = read("mail_messages")

    assert sorted(row["id"] for row in rows(output)) == [str(number) for number in range(8) if number != 3]
    assert statuses(output, "mail_messages")[-1] == "COMPLETE"
    told = [each for each in warnings(output) if "skipped object 4 of user u." in each]
    assert ["more bytes than a page may have" in each for each in told] == [True]


def test_one_object_too_long_ends_its_owner_alone(graph: FakeGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named with the size; the other mailboxes arrive."""
    monkeypatch.setattr(client_module, "_LARGEST", 5000)
    monkeypatch.setattr(client_module, "_LARGEST_SHRINKABLE", 2000)
    graph.lists("groups", [{"id": "good"}, {"id": "bad"}])
    graph.lists("teams/good/channels", [{"id": "c"}])
    graph.lists("teams/bad/channels", [{"id": "d", "text": "x" * 9000}])

    output = read("channels", fails=True)

    assert [row["id"] for row in rows(output)] == ["c"]
    assert "team bad" in errors(output)["channels"]
    assert "longer than 5000 bytes" in errors(output)["channels"]
    assert warnings(output) == [] or "refused" not in warnings(output)[0]
