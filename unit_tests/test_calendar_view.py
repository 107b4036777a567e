"""A calendar's view is a window of days around today, which the configuration sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from unit_tests.graph_api import CONFIG, FakeGraph, an_error, read, rows, statuses
from unit_tests.test_source import check


def window(graph: FakeGraph) -> tuple[datetime, datetime]:
    """The times of the last view that was asked for."""
    options = dict(option.split("=", 1) for option in graph.asked[-1].partition("?")[2].split("&"))
    start, end = (datetime.fromisoformat(options[name]) for name in ("startDateTime", "endDateTime"))
    return start, end


@pytest.mark.parametrize(
    ("config", "back", "ahead"),
    [
        ({}, 30, 180),
        ({"calendar_days_back": 0, "calendar_days_ahead": 0}, 0, 0),
        ({"calendar_days_back": 1644}, 1644, 180),
    ],
    ids=["default", "today alone", "the longest"],
)
def test_the_window_is_whole_days_around_today(graph: FakeGraph, config: dict[str, Any], back: int, ahead: int) -> None:
    """Today is one of the days, and Graph takes 1,825 of them."""
    graph.lists("users", [{"id": "u"}])
    graph.lists("users/u/calendarView", [{"id": "e"}])
    before = datetime.now(UTC)

    assert [row["id"] for row in rows(read("calendar_view", config={**CONFIG, **config}))] == ["e"]

    start, end = window(graph)
    assert end - start == timedelta(days=back + 1 + ahead) <= timedelta(days=1825)
    midnight = start + timedelta(days=back)
    assert (midnight.hour, midnight.minute, midnight.second) == (0, 0, 0)
    assert midnight.date() in (before.date(), datetime.now(UTC).date())


def test_every_mailbox_is_read_each_time(graph: FakeGraph) -> None:
    """The window moves on, so there is no incremental read."""
    graph.lists("users", [{"id": "u1"}, {"id": "u2"}])
    graph.lists("users/u1/calendarView", [{"id": "e"}])
    graph.lists("users/u2/calendarView", [{"id": "e"}], [], [{"id": "f"}])

    output = read("calendar_view")

    assert sorted((row["user_id"], row["id"]) for row in rows(output)) == [("u1", "e"), ("u2", "e"), ("u2", "f")]
    assert statuses(output, "calendar_view")[-1] == "COMPLETE"
    listed = [url for url in graph.asked if "calendarView" in url and "skiptoken" not in url]
    assert len({url.partition("?")[2] for url in listed}) == 1


def test_check_asks_for_a_window_too(graph: FakeGraph) -> None:
    """Without one Graph refuses; and a refusal is that stream's, not the users' filter's."""
    graph.holds_one_of_each()
    graph.answers("users/u/calendarView", an_error(400, "ErrorInvalidRequest", "Maximum number of days: 1825"))

    _, message = check()

    assert any("users/u/calendarView?startDateTime=" in url for url in graph.asked)
    assert "user_filter" not in str(message)
