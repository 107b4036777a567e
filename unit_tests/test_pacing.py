"""How long anybody waits: backing off, pausing one service, waking up at the end."""

from __future__ import annotations

import threading
from bisect import bisect_left

import pytest

from source_microsoft_graph.graph.rate_limits import RateLimiter, Service
from source_microsoft_graph.retries import ATTEMPTS, SyncClock, backoff, throttled_wait
from unit_tests.conftest import Clock

# Taken before the fake clock takes their place.
REAL_NOW, REAL_SLEEP = SyncClock.now, SyncClock.sleep


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Real time for threads that really wait, and a sign that one of them does."""
    asleep = threading.Event()

    def sleep(clock: SyncClock, seconds: float) -> None:
        asleep.set()
        REAL_SLEEP(clock, seconds)

    monkeypatch.setattr(SyncClock, "now", REAL_NOW)
    monkeypatch.setattr(SyncClock, "sleep", sleep)
    return asleep


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 1.0), (2, 3.0), (3, 9.0), (4, 27.0), (5, 81.0), (6, 90.0), (7, 90.0), (100, 90.0), (5_000, 90.0)],
)
def test_waits_triple_up_to_a_minute_and_a_half(failures: int, seconds: float) -> None:
    """Each failure in a row triples the wait until it is ninety seconds, however many there have been."""
    assert backoff(failures) == seconds


def test_six_attempts_span_two_minutes() -> None:
    """A short outage of a service passes before the last attempt, however chance draws."""
    assert sum(backoff(failures) for failures in range(1, ATTEMPTS)) >= 120


@pytest.mark.parametrize("share", [1.0, 1.1, 1.25])
def test_chance_lengthens_a_wait_by_a_quarter_at_most(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Chance adds up to a quarter, also to the longest wait, and takes nothing away."""
    drawn = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return share

    monkeypatch.setattr("source_microsoft_graph.retries.random.uniform", uniform)

    assert [backoff(1), backoff(4), backoff(50)] == [1.0 * share, 27.0 * share, 90.0 * share]
    assert [throttled_wait(1, None), throttled_wait(4, None)] == [1.0 * share, 8.0 * share]
    assert drawn == [(1.0, 1.25)] * 5


@pytest.mark.parametrize(
    ("refusals", "asked", "seconds"),
    [
        (1, 0.001, 1.0),
        (2, 0.001, 2.0),
        (7, 0.001, 60.0),
        (5_000, 0.001, 60.0),
        (1, 0.0, 1.0),
        (3, 0.0, 4.0),
        (1, 7.0, 7.0),
        (4, 7.0, 8.0),
        (4, 30.0, 30.0),
        (50, 86_400.0, 86_400.0),
        (2, None, 2.0),
    ],
)
def test_a_throttled_wait_has_a_floor_that_grows(refusals: int, asked: float | None, seconds: float) -> None:
    """A service that asks to wait a millisecond and refuses again gets no hundred requests a second."""
    assert throttled_wait(refusals, asked) == seconds


@pytest.mark.parametrize("paused", Service)
def test_a_pause_holds_back_its_service_alone(clock: Clock, paused: Service) -> None:
    """Graph's services throttle independently, so only who asks the throttled one waits."""
    limiter = RateLimiter(SyncClock())
    limiter.pause(paused, 30)
    for service in Service:
        if service is not paused:
            limiter.wait(service)
    assert clock.slept == []

    limiter.wait(paused)

    assert clock.slept == [30.0]


def test_a_service_never_paused_is_open(clock: Clock) -> None:
    """Nobody waits before Graph has said so."""
    RateLimiter(SyncClock()).wait(Service.DIRECTORY)

    assert clock.slept == []


def test_a_pause_ends(clock: Clock) -> None:
    """Who comes late waits for the rest of the pause, who comes after it not at all."""
    limiter = RateLimiter(SyncClock())
    limiter.pause(Service.TEAMS, 30)
    clock.time += 20
    limiter.wait(Service.TEAMS)
    limiter.wait(Service.TEAMS)

    assert clock.slept == [10.0]


@pytest.mark.parametrize("pauses", [(30, 5), (5, 30)], ids=["longer first", "shorter first"])
def test_a_longer_pause_stands(clock: Clock, pauses: tuple[float, float]) -> None:
    """Workers refused at different moments are told different times; the latest holds for all."""
    limiter = RateLimiter(SyncClock())
    for seconds in pauses:
        limiter.pause(Service.OUTLOOK, seconds)
    limiter.wait(Service.OUTLOOK)

    assert clock.slept == [30.0]


def test_a_pause_that_grows_is_waited_out(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker may be refused meanwhile, so who wakes up looks again."""
    limiter = RateLimiter(SyncClock())
    limiter.pause(Service.FILES, 10)
    sleep = clock.sleep

    def refused_meanwhile(seconds: float) -> None:
        sleep(seconds)
        monkeypatch.setattr(clock, "sleep", sleep)
        limiter.pause(Service.FILES, 20)

    monkeypatch.setattr(clock, "sleep", refused_meanwhile)
    limiter.wait(Service.FILES)

    assert clock.slept == [10.0, 20.0]


def test_nobody_waits_after_the_end(clock: Clock) -> None:
    """Once the sync is over no pause holds anybody."""
    sync_clock = SyncClock()
    limiter = RateLimiter(sync_clock)
    limiter.pause(Service.REPORTS, 3600)
    sync_clock.stop()
    limiter.wait(Service.REPORTS)

    assert clock.slept == []


@pytest.mark.parametrize("way", ["paused", "backing off"])
def test_the_end_wakes_who_waits(asleep: threading.Event, way: str) -> None:
    """A worker in the middle of a long wait goes on as soon as the sync is over."""
    sync_clock = SyncClock()
    limiter = RateLimiter(sync_clock)
    limiter.pause(Service.TEAMS, 3600)
    work = {"paused": lambda: limiter.wait(Service.TEAMS), "backing off": lambda: sync_clock.sleep(3600)}[way]
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    assert asleep.wait(timeout=10)
    assert worker.is_alive()

    sync_clock.stop()
    worker.join(timeout=10)

    assert not worker.is_alive()


def test_the_end_ends_sleeping_for_good(asleep: threading.Event) -> None:
    """After the end a back-off takes no time, so the attempts that are left are over at once."""
    sync_clock = SyncClock()
    sync_clock.stop()
    sleeper = threading.Thread(target=sync_clock.sleep, args=(3600,), daemon=True)
    sleeper.start()
    sleeper.join(timeout=10)

    assert not sleeper.is_alive()


def test_services_are_named_for_people() -> None:
    """Each service has a name of its own."""
    assert len({service.value for service in Service}) == len(Service)


# Paces: what is known to be allowed, and what is found out.


def times(limiter: RateLimiter, clock: Clock, service: Service, *requests: int) -> list[float]:
    """When each of these was let through, from now."""
    start, passed = clock.time, []
    for number in requests:
        limiter.wait(service, number)
        passed.append(round(clock.time - start, 2))
    return passed


def test_known_limits_are_kept_from_the_start(clock: Clock) -> None:
    """Five requests in ten seconds for the audit logs, one a second for conditional access, and a little to spare."""
    assert times(RateLimiter(SyncClock()), clock, Service.REPORTS, *[1] * 11) == [0.0] * 5 + [10.5] * 5 + [21.0]
    assert times(RateLimiter(SyncClock()), clock, Service.CONDITIONAL_ACCESS, 1, 1, 1) == [0.0, 1.05, 2.1]


def test_a_batch_counts_each_of_its_requests(clock: Clock) -> None:
    """Twenty chats are all that may be asked for at once, in one request or in several."""
    assert times(RateLimiter(SyncClock()), clock, Service.CHATS, 20, 20) == [0.0, 1.26]
    assert times(RateLimiter(SyncClock()), clock, Service.CHATS, 12, 8, 1, 19) == [0.0, 0.0, 1.26, 1.26]


@pytest.mark.parametrize(
    ("service", "a_second"), [(Service.TEAMS, 60), (Service.CHATS, 20), (Service.CHAT_MESSAGES, 20)]
)
def test_teams_is_asked_no_faster_than_it_lets_last(clock: Clock, service: Service, a_second: int) -> None:
    """Five sixths of what is published, however it is measured; and of one team, chat or user, too."""
    passed = times(RateLimiter(SyncClock()), clock, service, *[1] * 100 * a_second)
    for seconds in (1, 10, 60):
        most = max(bisect_left(passed, start + seconds) - place for place, start in enumerate(passed))
        assert most <= (a_second if seconds == 1 else a_second * (1 + seconds * 5 / 6))
    assert service.value.min_interval >= 6 / 5 / {60: 4, 20: 1}[a_second]


def test_more_than_a_window_allows_is_let_through_alone(clock: Clock) -> None:
    """A batch larger than the limit waits for an empty window instead of for ever, and fills more than one."""
    assert times(RateLimiter(SyncClock()), clock, Service.CHATS, 1, 30, 1) == [0.0, 1.26, 3.15]


def test_a_limit_that_grows_with_the_tenant_is_found_out(clock: Clock) -> None:
    """Full speed until Graph refuses; then a fifth less than what was sent, and never less than any tenant gets."""
    limiter = RateLimiter(SyncClock())
    assert times(limiter, clock, Service.DIRECTORY, *[1_000] * 5) == [0.0] * 5

    limiter.pause(Service.DIRECTORY, 3)

    assert times(limiter, clock, Service.DIRECTORY, 1_000, 1_000) == [10.5, 10.5]
    small = RateLimiter(SyncClock())
    small.pause(Service.DIRECTORY, 3)
    assert times(small, clock, Service.DIRECTORY, 1_000, 166, 1) == [3.0, 3.0, 13.5]


def test_a_limit_that_is_shared_is_found_out(clock: Clock) -> None:
    """Refused though it kept to what is published, a sync leaves room for whoever else asks, and comes back to that
    pace and no higher one once it is refused no longer."""
    limiter = RateLimiter(SyncClock())
    times(limiter, clock, Service.CHATS, 20)
    limiter.pause(Service.CHATS, 1)

    assert times(limiter, clock, Service.CHATS, 20, 20) == [1.58, 3.01]
    for _ in range(10):
        clock.time += 60
        times(limiter, clock, Service.CHATS, 1)
    clock.time += 60
    assert times(limiter, clock, Service.CHATS, 20, 1) == [0.0, 1.26]


def test_a_service_that_always_refuses_is_still_asked(clock: Clock) -> None:
    """However often Graph refuses, a tenth of what is published is left."""
    limiter = RateLimiter(SyncClock())
    for _ in range(100):
        limiter.pause(Service.REPORTS, 1)
        clock.time += 11

    assert times(limiter, clock, Service.REPORTS, 1, 1) == [0.0, 19.09]


def test_a_crowd_of_refusals_slows_down_once(clock: Clock) -> None:
    """All that was under way is refused together; that is one finding, not twenty."""
    limiter = RateLimiter(SyncClock())
    times(limiter, clock, Service.DIRECTORY, *[1_000] * 10)
    for _ in range(20):
        limiter.pause(Service.DIRECTORY, 1)

    assert times(limiter, clock, Service.DIRECTORY, 1)[0] == 10.5
    assert times(limiter, clock, Service.DIRECTORY, 7_999, 1) == [0.0, 10.5]


def test_a_pace_that_was_kept_is_tried_faster(clock: Clock) -> None:
    """A window without a refusal allows a tenth more."""
    limiter = RateLimiter(SyncClock())
    times(limiter, clock, Service.DIRECTORY, *[1_000] * 10)
    limiter.pause(Service.DIRECTORY, 1)
    clock.time += 11

    assert times(limiter, clock, Service.DIRECTORY, 8_800, 1) == [0.0, 10.5]


def test_an_announcement_slows_down_without_a_pause(clock: Clock) -> None:
    """Near the limit nobody is stopped, and no more is sent than before."""
    limiter = RateLimiter(SyncClock())
    times(limiter, clock, Service.FILES, 700, 300)
    limiter.near_limit(Service.FILES)

    assert times(limiter, clock, Service.FILES, 1) == [63.0]
    other = RateLimiter(SyncClock())
    times(other, clock, Service.FILES, 100)
    other.near_limit(Service.FILES)
    assert times(other, clock, Service.FILES, 525, 1) == [0.0, 63.0]
