from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
import requests_mock

from source_microsoft_graph import redaction
from source_microsoft_graph.retries import SyncClock
from unit_tests.graph_api import FakeGraph


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1_000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    @classmethod
    def of_syncs(cls, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """One in place of the clocks of all syncs."""
        clock = cls()
        monkeypatch.setattr(SyncClock, "now", lambda _: clock.now())
        monkeypatch.setattr(SyncClock, "sleep", lambda _, seconds: clock.sleep(seconds))
        return clock


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock.of_syncs(monkeypatch)
    monkeypatch.setattr("source_microsoft_graph.retries.random.uniform", lambda low, high: low)
    return clock


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """The CDK's `discover` for tests runs with --debug, which would make later tests log every slice as a message."""
    logger = logging.getLogger("airbyte")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(autouse=True)
def _nothing_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test knows another's secrets, and what a thread raises is pytest's to report again."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(redaction, "_redactor", redaction.Redactor())


@pytest.fixture
def graph() -> Iterator[FakeGraph]:
    with requests_mock.Mocker() as mocker:
        yield FakeGraph(mocker)
