"""What a sync says of itself: a line a minute a stream, and each wait for a limit once."""

from __future__ import annotations

import logging

import pytest
from airbyte_cdk.models import AirbyteMessage
from airbyte_cdk.sources.message import InMemoryMessageRepository

from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.read.progress import ProgressReporter
from source_microsoft_graph.streams.audit import AuditLogsSignins
from source_microsoft_graph.streams.users import Users
from source_microsoft_graph.sync.context import Sync
from unit_tests.conftest import Clock
from unit_tests.graph_api import CONFIG, FakeGraph, read

LOGGER = logging.getLogger("unit_tests.reporter")


class Story:
    """Two streams under way, and what is said of them."""

    def __init__(self, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        self.sync = Sync(Config.parse(CONFIG), LOGGER)
        self.messages = InMemoryMessageRepository()
        self.reporter = ProgressReporter(
            [Users(self.sync), AuditLogsSignins(self.sync)], self.sync, self.messages, LOGGER
        )
        self._clock, self._caplog = clock, caplog

    def after(self, seconds: float) -> list[str]:
        """The lines of a look after so many seconds."""
        self._clock.time += seconds
        self._caplog.clear()
        self.reporter.look()
        return [record.getMessage() for record in self._caplog.records]

    def told(self) -> list[AirbyteMessage]:
        return list(self.messages.consume_queue())


@pytest.fixture
def story(clock: Clock, caplog: pytest.LogCaptureFixture) -> Story:
    return Story(clock, caplog)


def test_a_minute_brings_a_line_for_each_stream(story: Story) -> None:
    """How many records there are, and how many came a second since the last line; a stream that ended says no more."""
    story.reporter.records("users", 90_000)

    assert story.after(59) == []
    assert story.after(1) == [
        "users: 90,000 records so far, 1,500 a second.",
        "audit_logs_signins: 0 records so far, 0 a second.",
    ]
    story.reporter.records("users", 6_000)
    story.reporter.ended("audit_logs_signins")
    assert story.after(60) == ["users: 96,000 records so far, 100 a second."]


def test_a_wait_for_a_limit_is_told_once(story: Story) -> None:
    """The platform is told of the stream and of when the wait is over, and the next line says so too."""
    story.sync.limiter.pause(Service.REPORTS, 300)

    lines = [line for _ in range(90) for line in story.after(1)]

    assert lines[1] == "audit_logs_signins: 0 records so far, 0 a second, waiting for Graph's limit of audit logs."
    (message,) = story.told()
    status = message.trace.stream_status  # type: ignore[union-attr]
    assert (status.stream_descriptor.name, status.status.value) == ("audit_logs_signins", "RUNNING")  # type: ignore[union-attr]
    (reason,) = status.reasons  # type: ignore[union-attr]
    assert reason.type.value == "RATE_LIMITED"
    assert reason.rate_limited.quota_reset > 0


def test_a_short_wait_is_nobodys_business(story: Story) -> None:
    """Pacing has a worker wait all the time; that is no news."""
    story.sync.limiter.pause(Service.REPORTS, 4)

    assert story.after(1) == []
    assert story.told() == []


def test_the_next_wait_is_told_again(story: Story) -> None:
    """Each wait has an end of its own."""
    for _ in range(2):
        story.sync.limiter.pause(Service.REPORTS, 30)
        story.after(1)
        story.after(1)
        story.after(60)

    assert len(story.told()) == 2


def test_a_read_has_a_reporter(graph: FakeGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hears of every record, and of the end of each stream."""
    heard: list[tuple[str, int]] = []
    ended: list[str] = []
    monkeypatch.setattr(ProgressReporter, "records", lambda _, *heard_of: heard.append(heard_of))
    monkeypatch.setattr(ProgressReporter, "ended", lambda _, stream: ended.append(stream))
    graph.lists("users", [{"id": "1"}], [], [{"id": "2"}])

    read("users")

    assert (heard, ended) == ([("users", 2)], ["users"])
