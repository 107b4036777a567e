"""Which work runs beside which: threads for each service, and a bound on requests under way."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest
import requests

from source_microsoft_graph.graph.rate_limits import RateLimiter, Service
from source_microsoft_graph.read.workers import _MOST_WAITING, Workers
from unit_tests.graph_api import CONFIG, FakeGraph, an_error, read, rows


def test_a_slow_service_keeps_no_other_waiting(graph: FakeGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams of a service that has to wait, more of them than there are workers, and the others are read meanwhile."""
    others_done = threading.Event()
    for path in ("auditLogs/directoryAudits", "auditLogs/signIns", "groups", "applications"):
        graph.lists(path, [{"id": path}])
    wait = RateLimiter.wait

    def wait_for_others(limiter: RateLimiter, service: Service, *how: Any) -> None:
        if service is Service.REPORTS:
            assert others_done.wait(timeout=10)
        wait(limiter, service, *how)

    monkeypatch.setattr(RateLimiter, "wait", wait_for_others)
    done: list[str] = []

    def send(session: requests.Session, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        response = real_send(session, request, **settings)
        if str(request.path_url).startswith(("/v1.0/groups", "/v1.0/applications")):
            done.append(request.path_url)
            if len(done) == 2:
                others_done.set()
        return response

    real_send = requests.Session.send
    paths = ("audit_logs_directory", "audit_logs_signins", "groups", "applications")
    with monkeypatch.context() as patch:  # Undone before the mocker stops, which else would be put back afterwards.
        patch.setattr(requests.Session, "send", send)
        output = read(*paths, config={**CONFIG, "num_workers": 2})

    assert len(rows(output)) == 4


@pytest.mark.parametrize("workers", [2, 3])
def test_no_more_requests_are_under_way_than_workers(
    graph: FakeGraph, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """However many services and streams there are."""
    paths = {
        "groups": "groups",
        "applications": "applications",
        "service_principals": "servicePrincipals",
        "audit_logs_directory": "auditLogs/directoryAudits",
        "audit_logs_signins": "auditLogs/signIns",
        "conditional_access_policies": "identity/conditionalAccess/policies",
    }
    for path in paths.values():
        graph.lists(path, [{"id": "1"}], [], [{"id": "2"}])
    lock, under_way, most = threading.Lock(), 0, 0
    real_send = requests.Session.send

    def send(session: requests.Session, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.01)
        try:
            return real_send(session, request, **settings)
        finally:
            with lock:
                under_way -= 1

    with monkeypatch.context() as patch:  # Undone before the mocker stops, which else would be put back afterwards.
        patch.setattr(requests.Session, "send", send)
        output = read(*paths, config={**CONFIG, "num_workers": workers})

    assert len(rows(output)) == 2 * len(paths)
    assert most == workers


def test_a_refused_stream_gives_its_place_back(graph: FakeGraph) -> None:
    """More streams are refused than there are workers, and their errors are kept; the others are read all the same."""
    refused = {"users": "users", "groups": "groups", "directory_roles": "directoryRoles"}
    for path in refused.values():
        graph.answers(path, an_error(403, "Authorization_RequestDenied"))
    graph.lists("applications", [{"id": "1"}])

    output = read(*refused, "applications", config={**CONFIG, "num_workers": 2}, fails=True)

    assert [row["id"] for row in rows(output)] == ["1"]


class Partition:
    """Waits for a thread of its service."""

    def __init__(self, service: Service) -> None:
        self.service = service


def test_no_service_fills_the_queue_of_another() -> None:
    """Whoever finds partitions of a slow service waits until one of them is taken, or the read is over; the partitions
    of another service go on."""
    slow, fast = Service.CHAT_MESSAGES, Service.OUTLOOK
    workers = Workers(1, [slow, fast], 1, logging.getLogger("airbyte"))
    taken, go_on, read = threading.Event(), threading.Semaphore(0), threading.Event()

    def wait_for_graph(_: Partition) -> None:
        taken.set()
        go_on.acquire()

    def wait_for_room() -> threading.Thread:
        finder = threading.Thread(target=workers.wait_for_room, args=(slow,), daemon=True)
        finder.start()
        return finder

    workers.start(lambda death: pytest.fail(repr(death)))
    try:
        workers.submit(wait_for_graph, Partition(slow))
        assert taken.wait(timeout=10)
        for _ in range(_MOST_WAITING):
            workers.wait_for_room(slow)
            workers.submit(wait_for_graph, Partition(slow))
        first, second = wait_for_room(), None

        workers.wait_for_room(fast)
        workers.submit(lambda _: read.set(), Partition(fast))
        assert read.wait(timeout=10)
        assert first.is_alive()

        go_on.release()
        first.join(timeout=10)
        assert not first.is_alive()

        workers.submit(wait_for_graph, Partition(slow))
        second = wait_for_room()
        assert second.is_alive()
    finally:
        workers.close()
        go_on.release(2)
    second.join(timeout=10)
    assert not second.is_alive()
