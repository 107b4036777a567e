"""What the streams of one sync share: listings of parents, what was seen, given up and skipped."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import format_datetime
from typing import TypeVar

import pytest

from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.errors import ConnectionFailed, GraphUnavailable, Help
from source_microsoft_graph.graph.catalogue import CATALOGUE
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.sync.context import Owner, Sync, as_text
from source_microsoft_graph.sync.digests import DigestMap
from source_microsoft_graph.sync.ids import SeenIds, SharedIds
from source_microsoft_graph.sync.skips import Skipped
from unit_tests.conftest import Clock
from unit_tests.graph_api import CONFIG, GRAPH, FakeGraph, a_page

T = TypeVar("T")
THREADS = 8
LOGGER = logging.getLogger("unit_tests.sync")


@pytest.fixture
def sync() -> Sync:
    return Sync(Config.parse(CONFIG), LOGGER)


class Crowd:
    """Eight threads that do the same in the same moment."""

    def __init__(self) -> None:
        self._start = threading.Barrier(THREADS)
        self._begun = threading.Semaphore(0)

    def each(self, work: Callable[[], T]) -> list[T]:
        """What the work gives in each of the threads."""

        def run(_: int) -> T:
            self._start.wait(timeout=10)
            self._begun.release()
            return work()

        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(run, range(THREADS)))

    def wait(self) -> None:
        """Until all of them are under way."""
        for _ in range(THREADS):
            assert self._begun.acquire(timeout=10)


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    """Its threads take turns as often as they can, so that what is not locked shows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield Crowd()
    sys.setswitchinterval(interval)


class Interrupted(str):
    """A text at which another thread has its turn wherever it is looked up."""

    __slots__ = ()

    def __hash__(self) -> int:
        time.sleep(0)
        return super().__hash__()


class Numbers:
    """A listing that counts how often it is started and how far it is read."""

    def __init__(self, count: int, failure: Exception | None = None, *, wait: Callable[[], None] | None = None) -> None:
        self.count, self.failure, self.wait = count, failure, wait
        self.started = self.read = 0

    def __call__(self) -> Iterator[int]:
        self.started += 1
        if self.wait:
            self.wait()
        for number in range(self.count):
            self.read += 1
            yield number
        if self.failure:
            raise self.failure


# Listings of parents.


@pytest.mark.parametrize("count", [0, 1, 2, 1_000])
def test_a_shared_listing_is_read_once(crowd: Crowd, count: int) -> None:
    """Eight threads each see every item, in order, of a listing that is read a single time."""
    numbers = Numbers(count, wait=crowd.wait)
    shared = SharedIds(numbers)

    assert crowd.each(lambda: list(shared)) == [list(range(count))] * THREADS
    assert (numbers.started, numbers.read) == (1, count)


def test_a_shared_listing_can_be_read_again() -> None:
    """Who comes when it has been read sees all of it too."""
    numbers = Numbers(3)
    shared = SharedIds(numbers)

    assert [list(shared) for _ in range(3)] == [[0, 1, 2]] * 3
    assert numbers.started == 1


def test_an_empty_listing_is_read_once() -> None:
    """That there is nothing is remembered like anything else."""
    numbers = Numbers(0)
    shared = SharedIds(numbers)

    assert [list(shared), list(shared)] == [[], []]
    assert numbers.started == 1


def test_a_shared_listing_is_read_no_further_than_wanted() -> None:
    """Children start with the first parent, not after the last; nothing is read before somebody asks."""
    numbers = Numbers(3)
    shared = SharedIds(numbers)
    before = numbers.started
    first, second = iter(shared), iter(shared)

    assert [next(first), next(second), next(second)] == [0, 0, 1]
    assert (before, numbers.started, numbers.read) == (0, 1, 2)


def test_an_error_reaches_every_reader(crowd: Crowd) -> None:
    """Whoever reads a listing that failed sees all that was read of it and then the error, never a short listing."""
    failure = GraphUnavailable("Graph failed 6 times.")
    numbers = Numbers(100, failure, wait=crowd.wait)
    shared = SharedIds(numbers)

    def work() -> tuple[list[int], Exception | None]:
        seen: list[int] = []
        try:
            for number in shared:
                seen.append(number)
        except GraphUnavailable as error:
            return seen, error
        return seen, None

    assert [*crowd.each(work), work()] == [(list(range(100)), failure)] * (THREADS + 1)
    assert numbers.started == 1


def test_a_listing_that_cannot_start_is_not_started_again() -> None:
    """An error before the first item is remembered like one behind it."""
    started = []

    def listing() -> Iterable[int]:
        started.append(1)
        raise GraphUnavailable("Graph failed 6 times.")

    shared = SharedIds(listing)
    for _ in range(2):
        with pytest.raises(GraphUnavailable):
            list(shared)

    assert started == [1]


def test_a_key_has_one_listing(sync: Sync, crowd: Crowd) -> None:
    """Who asks first starts the listing; everybody after gets that one, and another key another."""
    first, other = (
        sync.shared_ids(key, listing) for key, listing in (("a", lambda: [("1",)]), ("b", lambda: [("2", "3")]))
    )

    def nobody() -> Iterable[Owner]:
        raise AssertionError("The listing kept under this key was started already.")

    assert crowd.each(lambda: sync.shared_ids("a", nobody) is first) == [True] * THREADS
    assert [list(first), list(other)] == [[("1",)], [("2", "3")]]


# What was seen and what is given up.


def test_first_sight_is_once_for_each_key(sync: Sync) -> None:
    """An object listed by several parents is emitted for the first alone; another stream's ids do not matter."""
    sights = [("drives", "1"), ("drives", "1"), ("drives", "2"), ("chats", "1"), ("drives", "1")]

    assert [sync.seen_ids(key).add(each) for key, each in sights] == [True, False, True, True, False]


def test_first_sight_is_once_for_all_threads(sync: Sync, crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight threads that see the same hundred objects, each object is new to exactly one."""
    find = DigestMap._find

    def interrupted(digests: DigestMap, digest: bytes) -> tuple[int, bool]:
        found = find(digests, digest)
        time.sleep(0)
        return found

    monkeypatch.setattr(DigestMap, "_find", interrupted)
    seen = crowd.each(lambda: [sync.seen_ids("drives").add(str(number)) for number in range(100)])

    assert [sum(sights) for sights in zip(*seen, strict=True)] == [1] * 100


def test_seen_ids_reach_who_came_early_and_who_comes_late(crowd: Crowd) -> None:
    """Eight threads that wait from the start and one that comes afterwards get the same ids, in the order found."""
    seen_ids = SeenIds()
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(crowd.each, lambda: list(seen_ids))
        crowd.wait()
        for identifier in ("b", "a", "b", "c"):
            seen_ids.add(identifier)
        seen_ids.close()

        assert early.result(timeout=10) == [["b", "a", "c"]] * THREADS
    assert list(seen_ids) == ["b", "a", "c"]


def test_a_search_that_failed_gives_what_it_found_and_the_failure() -> None:
    """Nobody takes half a search for the whole, and the first word on how it ended stands."""
    seen_ids = SeenIds()
    seen_ids.add("a")
    seen_ids.close(GraphUnavailable("Graph failed 6 times."))
    seen_ids.close()

    for _ in range(2):
        found = iter(seen_ids)
        assert next(found) == "a"
        with pytest.raises(GraphUnavailable):
            next(found)


def test_the_end_wakes_who_waits_for_ids(sync: Sync, graph: FakeGraph) -> None:
    """A sync that was ended lets nobody wait for ids that will never come."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(list, sync.seen_ids("chats"))
        sync.close()

        with pytest.raises(ConnectionFailed):
            waiting.result(timeout=10)


def test_giving_up_is_reported_once(sync: Sync) -> None:
    """The first to give up reports the error; nobody reports it again, and other keys go on."""
    assert [sync.has_given_up("users"), sync.has_given_up("groups")] == [False, False]

    assert [sync.give_up("users") for _ in range(3)] == [True, False, False]
    assert [sync.has_given_up("users"), sync.has_given_up("groups")] == [True, False]


def test_giving_up_is_reported_by_one_thread(sync: Sync, crowd: Crowd) -> None:
    """Of workers that are refused together, one reports it."""
    reports = crowd.each(lambda: [sync.give_up(Interrupted(number)) for number in range(100)])

    assert [sum(reported) for reported in zip(*reports, strict=True)] == [1] * 100


@pytest.mark.parametrize(
    ("events", "given_up"),
    [
        pytest.param("", False, id="nothing"),
        pytest.param("F" * 39, False, id="thirty-nine failures"),
        pytest.param("F" * 40, True, id="forty failures"),
        pytest.param("F" * 39 + "RF", False, id="an object read in between"),
        pytest.param("F" * 39 + "R" + "F" * 40, True, id="forty failures after all"),
        pytest.param("F" * 40 + "R", True, id="too late"),
        pytest.param("RRRRR", False, id="no failure"),
    ],
)
def test_forty_objects_in_a_row_are_an_outage(sync: Sync, events: str, given_up: bool) -> None:
    """A bad object fails alone; a fortieth failure (F) with no object read (R) in between gives up the stream."""
    for event in events:
        {"F": sync.object_failed, "R": sync.object_read}[event]("messages")

    assert [sync.has_given_up("messages"), sync.has_given_up("events")] == [given_up, False]


def test_failures_of_other_streams_do_not_count(sync: Sync) -> None:
    """Each stream's failures are counted by themselves."""
    for key in ("messages", "events") * 39:
        sync.object_failed(key)

    assert [sync.has_given_up("messages"), sync.has_given_up("events")] == [False, False]


def test_an_outage_was_reported_object_by_object(sync: Sync) -> None:
    """The failures that gave up a stream were errors of their own, so there is nothing more to report."""
    for _ in range(40):
        sync.object_failed("messages")

    assert sync.give_up("messages") is False


# What was skipped.

NO_MAILBOX = Help("No mailbox.")
GONE = Help("Gone.")


def a_refusal() -> GraphResponse:
    return GraphResponse(404, {"request-id": "a-request-id"}, b"", reason="Not Found")


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_skipped_object_is_named_once(sync: Sync, caplog: pytest.LogCaptureFixture) -> None:
    """The warning says which object of which stream, why, and what Graph said; saying it once is enough."""
    for _ in range(3):
        sync.skipped.add("messages", "user 1", NO_MAILBOX, a_refusal())

    told = "HTTP 404 Not Found: no message (request-id a-request-id)"
    assert warned(caplog) == [f"messages: skipped user 1. No mailbox. {told}"]
    assert sync.skipped.counts() == {("messages", "No mailbox."): 1}


def test_twenty_of_a_kind_are_named(caplog: pytest.LogCaptureFixture) -> None:
    """The twentieth says that the rest are only counted; streams and reasons are counted by themselves."""
    skipped = Skipped(LOGGER)
    for number in range(1, 26):
        for stream, known in (("messages", NO_MAILBOX), ("messages", GONE), ("events", NO_MAILBOX)):
            skipped.add(stream, f"user {number}", known, a_refusal())

    messages = [message for message in warned(caplog) if message.startswith("messages: ") and "No mailbox." in message]
    assert [message.partition(" No")[0] for message in messages] == [
        f"messages: skipped user {number}." for number in range(1, 21)
    ]
    assert [message.endswith("Further ones are only counted.") for message in messages] == [False] * 19 + [True]
    assert len(warned(caplog)) == 60
    assert skipped.counts() == {
        ("messages", "No mailbox."): 25,
        ("messages", "Gone."): 25,
        ("events", "No mailbox."): 25,
    }


def test_one_reason_in_other_words_is_one_reason(caplog: pytest.LogCaptureFixture) -> None:
    """Graph has several codes for one and the same reason; an object skipped for it is named and counted once."""
    skipped = Skipped(LOGGER)
    mailbox = [known for known in CATALOGUE if known.help.meaning.startswith("No active cloud mailbox")]
    for known in mailbox:
        skipped.add("contacts", "user 1", known.help, a_refusal())

    assert (len(mailbox), len(warned(caplog))) == (5, 1)
    assert skipped.counts() == {("contacts", str(mailbox[0].help)): 1}


def test_twenty_of_a_reason_are_named(caplog: pytest.LogCaptureFixture) -> None:
    """Twenty warnings for one reason are twenty, with whichever of its codes Graph gives it."""
    skipped = Skipped(LOGGER)
    mailbox = [known for known in CATALOGUE if known.help.meaning.startswith("No active cloud mailbox")]
    for number in range(100):
        skipped.add("contacts", f"user {number}", mailbox[number % len(mailbox)].help, a_refusal())

    assert len(warned(caplog)) == 20
    assert skipped.counts() == {("contacts", str(mailbox[0].help)): 100}


def test_skipping_from_many_threads_counts_all(crowd: Crowd, caplog: pytest.LogCaptureFixture) -> None:
    """Eight threads that skip the same hundred objects skip a hundred."""
    skipped = Skipped(LOGGER)

    def work() -> None:
        for number in range(100):
            skipped.add("messages", Interrupted(number), GONE, a_refusal())

    crowd.each(work)

    assert skipped.counts() == {("messages", "Gone."): 100}
    assert len(warned(caplog)) == 20


def test_the_end_tells_the_sums(sync: Sync, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Closing says in a line for each stream and reason how many were skipped, and lets nobody wait any longer."""
    for stream, identifier, known in (("messages", "1", GONE), ("messages", "2", GONE), ("events", "1", NO_MAILBOX)):
        sync.skipped.add(stream, identifier, known, a_refusal())
    caplog.clear()
    sync.limiter.pause(Service.OUTLOOK, 3600)

    sync.close()
    sync.limiter.wait(Service.OUTLOOK)

    assert warned(caplog) == ["events: 1 skipped in all. No mailbox.", "messages: 2 skipped in all. Gone."]
    assert clock.slept == []


def test_nothing_is_asked_after_the_end(sync: Sync, graph: FakeGraph) -> None:
    """A worker that is still under way when a sync ends sends no further request, not even for a token."""
    sync.close()

    with pytest.raises(ConnectionFailed, match="ended"):
        sync.client.get(PageRequest(f"{GRAPH}users", Service.DIRECTORY))
    assert (graph.asked, graph.sign_ins) == ([], 0)


def test_nothing_skipped_is_not_told(sync: Sync, caplog: pytest.LogCaptureFixture) -> None:
    """A sync that read everything ends in silence."""
    sync.close()

    assert warned(caplog) == []


# Whose clock counts.


class Noon(datetime):
    """The machine's clock: noon, when the sync starts."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Noon:
        return cls(2024, 6, 1, 12, 0, 0, 900_000, tzinfo=tz)


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_microsoft_graph.sync.context.datetime", Noon)
    monkeypatch.setattr("source_microsoft_graph.graph.client.datetime", Noon)


@pytest.mark.parametrize(
    ("date", "started_at", "difference"),
    [
        pytest.param("Sat, 01 Jun 2024 12:00:01 GMT", "2024-06-01T12:00:00Z", "", id="the same"),
        pytest.param("Sat, 01 Jun 2024 11:59:30 GMT", "2024-06-01T11:59:30Z", "", id="a little behind"),
        pytest.param("Sat, 01 Jun 2024 12:01:30 GMT", "2024-06-01T12:00:00Z", "", id="a little ahead"),
        pytest.param(
            "Sat, 01 Jun 2024 13:00:00 GMT", "2024-06-01T12:00:00Z", "3,599 seconds ahead of", id="an hour ahead"
        ),
        pytest.param(
            "Sat, 01 Jun 2024 11:00:00 GMT", "2024-06-01T11:00:00Z", "3,601 seconds behind", id="an hour behind"
        ),
        pytest.param("Sun, 01 Jun 2121 12:00:00 GMT", "2024-06-01T12:00:00Z", "seconds ahead of", id="a century ahead"),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z", "seconds behind", id="no clock"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", "2024-06-01T12:00:00Z", "seconds ahead of", id="the last date"),
        pytest.param("Sat, 01 Jun 2024 14:00:00 +0200", "2024-06-01T12:00:00Z", "", id="another zone"),
        pytest.param("Sat, 01 Jun 2024 11:00:00", "2024-06-01T11:00:00Z", "3,601 seconds behind", id="no zone"),
        pytest.param(
            "Sat, 01 Jun 2024 11:00:00 -0000", "2024-06-01T11:00:00Z", "3,601 seconds behind", id="unknown zone"
        ),
        pytest.param("Sat, 01 Jun 2024 12:00:00 +9999", "2024-06-01T12:00:00Z", "", id="no such zone"),
        pytest.param("Mon, 99 Foo 2024", "2024-06-01T12:00:00Z", "", id="no such date"),
        pytest.param("Sat, 01 Jun 99999 12:00:00 GMT", "2024-06-01T12:00:00Z", "", id="no such year"),
        pytest.param("2024-06-01T11:00:00Z", "2024-06-01T12:00:00Z", "", id="another form"),
        pytest.param("now", "2024-06-01T12:00:00Z", "", id="garbage"),
        pytest.param(",", "2024-06-01T12:00:00Z", "", id="a comma"),
        pytest.param("", "2024-06-01T12:00:00Z", "", id="empty"),
        pytest.param(None, "2024-06-01T12:00:00Z", "", id="missing"),
    ],
)
@pytest.mark.usefixtures("noon")
def test_the_earlier_clock_counts(
    graph: FakeGraph, caplog: pytest.LogCaptureFixture, date: str | None, started_at: str, difference: str
) -> None:
    """What changes after a time in the future would never be requested; a large difference is said once."""
    sync = Sync(Config.parse(CONFIG), LOGGER)
    graph.answers("users", a_page() | {"headers": {} if date is None else {"Date": date}})
    before = as_text(sync.started_at)
    sync.client.get(PageRequest(f"{GRAPH}users", Service.DIRECTORY))

    assert before == "2024-06-01T12:00:00Z"
    assert [as_text(sync.started_at), as_text(sync.started_at)] == [started_at] * 2
    assert len(warned(caplog)) == bool(difference)
    assert difference in "".join(warned(caplog))
    assert datetime.fromisoformat(sync.resume_from) == sync.started_at - timedelta(minutes=5)


@pytest.mark.usefixtures("noon")
def test_the_first_date_counts(graph: FakeGraph) -> None:
    """Later responses come later; they say nothing of when the sync began."""
    sync = Sync(Config.parse(CONFIG), LOGGER)
    dates = ("garbage", "Sat, 01 Jun 2024 11:59:50 GMT", "Sat, 01 Jun 2024 11:00:00 GMT")
    graph.answers("users", *[a_page() | {"headers": {"Date": date}} for date in dates])
    for _ in dates:
        sync.client.get(PageRequest(f"{GRAPH}users", Service.DIRECTORY))

    assert as_text(sync.started_at) == "2024-06-01T11:59:50Z"


def test_a_slow_start_is_no_difference_of_clocks(
    graph: FakeGraph, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the first response comes an hour after the start, Graph's clock shows that hour as well."""
    monkeypatch.setattr("source_microsoft_graph.sync.context.datetime", Noon)
    sync = Sync(Config.parse(CONFIG), LOGGER)
    graph.answers("users", a_page() | {"headers": {"Date": format_datetime(datetime.now(UTC), usegmt=True)}})
    sync.client.get(PageRequest(f"{GRAPH}users", Service.DIRECTORY))

    assert (as_text(sync.started_at), warned(caplog)) == ("2024-06-01T12:00:00Z", [])


@pytest.mark.parametrize("year", [1, 99, 999, 2024, 9999])
def test_a_year_has_four_digits(year: int) -> None:
    """Graph takes no other."""
    assert as_text(datetime(year, 1, 2, 3, 4, 5, tzinfo=UTC)) == f"{year:04}-01-02T03:04:05Z"
