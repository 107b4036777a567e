"""One listing: what it tries when Graph refuses to go on, and that no row comes twice or gets lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from source_microsoft_graph.errors import GraphUnavailable, Help, ProtocolBroken
from source_microsoft_graph.graph.catalogue import Action, ErrorRule
from source_microsoft_graph.streams.listing import Listing

EVERYTHING, PROVEN, DEFAULT = ("id", "displayName", "risky"), ("id", "displayName"), ()
EXPIRED, TOO_LARGE, NO_TOP = (
    ErrorRule(None, action, Help("No.")) for action in (Action.RESTART, Action.SHRINK, Action.UNPAGE)
)


def a_listing(selects: Sequence[tuple[str, ...]] = (DEFAULT,)) -> Listing:
    return Listing("users", {}, selects, 999)


def some_rows(*ids: str) -> list[dict[str, Any]]:
    return [{"id": identifier} for identifier in ids]


def read(listing: Listing, *ids: str) -> list[str]:
    """The ids of those rows of a page that are emitted."""
    return [row["id"] for row in listing.new_records(some_rows(*ids))]


def standing(listing: Listing) -> tuple[str | None, int | None, tuple[str, ...]]:
    return listing.link, listing.page_size, listing.select


def test_a_listing_starts_at_its_first_page() -> None:
    """No link yet, the full page size, and every property there is."""
    listing = a_listing([EVERYTHING, PROVEN, DEFAULT])

    assert standing(listing) == (None, 999, EVERYTHING)


# Going on.


def test_a_listing_goes_where_the_link_leads() -> None:
    """The link is kept letter for letter, and the last one holds."""
    listing = a_listing()
    for link in ("https://g/v1.0/users?$skiptoken=a%2Bb", "https://g/v1.0/users?$skiptoken=A%2BB"):
        listing.advance(link)
        assert listing.link == link


@pytest.mark.parametrize(
    "links",
    [
        pytest.param(["a", "a"], id="the same page again"),
        pytest.param(["a", "b", "a"], id="a circle of two"),
        pytest.param(["a", "b", "c", "d", "b"], id="a circle further on"),
    ],
)
def test_a_circle_is_an_error(links: list[str]) -> None:
    """A link to a page that was read before would be followed for ever."""
    listing = a_listing()
    for link in links[:-1]:
        listing.advance(link)

    with pytest.raises(ProtocolBroken):
        listing.advance(links[-1])
    assert listing.link == links[-2]


@pytest.mark.parametrize("known", [EXPIRED, TOO_LARGE, NO_TOP], ids=lambda known: known.action.name)
def test_links_may_come_again_after_a_new_start(known: ErrorRule) -> None:
    """Reading again from the first page passes the same pages, which is no circle."""
    listing = a_listing()
    listing.advance("a")

    assert listing.adapt(known) is True
    listing.advance("a")

    assert listing.link == "a"


# Starting again.


def test_a_restart_emits_no_row_twice() -> None:
    """What was emitted before the page token died is passed over, what was not is read."""
    listing = a_listing()
    first, second = read(listing, "1", "2"), None
    listing.advance("a")
    second = read(listing, "3")
    listing.advance("b")

    assert listing.adapt(EXPIRED) is True
    assert standing(listing) == (None, 999, DEFAULT)
    assert [first, second, read(listing, "1", "2"), read(listing, "3", "4")] == [["1", "2"], ["3"], [], ["4"]]


def test_restarts_add_up() -> None:
    """After a second restart the rows from before the first are still known."""
    listing = a_listing()
    emitted = []
    for page in (["1"], ["1", "2"], ["1", "2", "3"]):
        emitted += read(listing, *page)
        listing.advance("a")
        assert listing.adapt(EXPIRED) is True

    assert emitted == ["1", "2", "3"]
    assert read(listing, "1", "2", "3") == []


def test_a_restart_needs_a_page_token() -> None:
    """A first page carries no token, so reading it again would change nothing."""
    listing = a_listing()
    read(listing, "1")

    assert listing.adapt(EXPIRED) is False


def restarts_after(listing: Listing, *pages: Sequence[str]) -> list[bool]:
    """Whether the listing starts again after each of these first pages, the page token dying each time."""
    restarts = []
    for page in pages:
        read(listing, *page)
        if listing.link is None:
            listing.advance("a")
        restarts.append(listing.adapt(EXPIRED))
    return restarts


@pytest.mark.parametrize(
    ("pages", "restarts"),
    [
        pytest.param([["1"]] * 4, [True, True, True, False], id="the same rows"),
        pytest.param([[]] * 4, [True, True, True, False], id="no rows"),
        pytest.param([["1"], ["1"], ["1"], ["2"], ["2"], ["2"], ["2"]], [True] * 6 + [False], id="a row in between"),
        pytest.param([[str(number)] for number in range(20)], [True] * 20, id="a row each time"),
    ],
)
def test_restarts_need_progress(pages: list[list[str]], restarts: list[bool]) -> None:
    """A token may die as often as it likes while rows come; after three passes in a row without one it is over."""
    assert restarts_after(a_listing(), *pages) == restarts


def test_a_listing_given_up_stays_where_it_is() -> None:
    """A restart that is refused changes nothing."""
    listing = a_listing()
    restarts_after(listing, *[["1"]] * 4)

    assert standing(listing) == ("a", 999, DEFAULT)


def test_pages_shrink_to_one_row() -> None:
    """Each time a quarter, at last a single row, and then there is nothing left to try."""
    listing = a_listing()
    sizes = [listing.page_size]
    while listing.may_shrink:
        assert listing.adapt(TOO_LARGE) is True
        sizes.append(listing.page_size)

    assert sizes == [999, 249, 62, 15, 3, 1]
    assert listing.adapt(TOO_LARGE) is False
    assert standing(listing) == (None, 1, DEFAULT)


def test_smaller_pages_emit_no_row_twice() -> None:
    """The pages have other bounds than before, the rows are the same."""
    listing = a_listing()
    emitted = read(listing, "1", "2", "3")
    listing.advance("a")
    listing.adapt(TOO_LARGE)
    for page in (["1", "2"], ["3", "4"]):
        emitted += read(listing, *page)

    assert emitted == ["1", "2", "3", "4"]


def test_a_refused_page_size_is_left_out() -> None:
    """From then on no size is named, so there is none to make smaller or to leave out again."""
    listing = a_listing()

    assert listing.adapt(NO_TOP) is True
    assert standing(listing) == (None, None, DEFAULT)
    assert [listing.may_shrink, listing.adapt(NO_TOP), listing.adapt(TOO_LARGE)] == [False, False, False]


@pytest.mark.parametrize("action", [Action.READ, Action.SKIP, Action.FAIL, Action.DENY, Action.RETRY, Action.RENEW])
def test_other_answers_are_no_reason_to_start_again(action: Action) -> None:
    """Where no other way of asking would help, the listing stays where it is."""
    listing = a_listing()
    listing.advance("a")

    assert listing.adapt(ErrorRule(None, action, Help("No."))) is False
    assert standing(listing) == ("a", 999, DEFAULT)


# Asking for less.


def test_a_refused_select_names_what_it_drops() -> None:
    """Fewer properties step by step, each step naming what is asked for no longer; the last asks for none."""
    listing = a_listing([EVERYTHING, PROVEN, DEFAULT])
    steps = []
    while listing.may_select_less:
        steps.append((listing.select_less(), listing.select))

    assert steps == [(("risky",), PROVEN), (("id", "displayName"), DEFAULT)]


def test_only_a_first_page_may_ask_for_less() -> None:
    """A page behind a link was accepted with these properties, so they are not what is refused."""
    listing = a_listing([EVERYTHING, DEFAULT])
    listing.advance("a")
    behind_a_link = listing.may_select_less
    listing.adapt(TOO_LARGE)

    assert [behind_a_link, listing.may_select_less] == [False, True]


# Which rows are new.


def test_rows_keep_their_order() -> None:
    """Nothing is held back and nothing reordered."""
    assert read(a_listing(), "2", "1", "3") == ["2", "1", "3"]


RESTART: list[str] = ["-- start again --"]


@pytest.mark.parametrize(
    ("pages", "once", "every"),
    [
        pytest.param(["12", "34"], "1234", "1234", id="no row twice"),
        pytest.param(["12", "23"], "123", "1223", id="the last row of a page is the first of the next"),
        pytest.param(["112", "2"], "12", "1122", id="twice in a page"),
        pytest.param(["12", "", "2"], "12", "122", id="over an empty page"),
        pytest.param(["12", "3", RESTART, "12", "34"], "1234", "1231234", id="after a new start"),
        pytest.param(["1", RESTART, "12", RESTART, "123"], "123", "112123", id="after several"),
        pytest.param([RESTART, "1"], "1", "1", id="a new start before anything"),
        pytest.param([], "", "", id="nothing"),
    ],
)
def test_which_rows_are_new(pages: list[Any], once: str, every: str) -> None:
    """A listing emits an object once, or in every version where the caller reduces these to the last one."""
    for last_version_counts, expected in ((False, once), (True, every)):
        listing = Listing("users/delta", {}, page_size=999, last_version_counts=last_version_counts)
        emitted: list[str] = []
        for page in pages:
            if page is RESTART:
                listing.restart(9)
            else:
                emitted += read(listing, *page)

        assert "".join(emitted) == expected


@pytest.mark.parametrize("last_version_counts", [False, True])
def test_pages_without_end_end(last_version_counts: bool) -> None:
    """Each link is new and no page brings a new row: after a thousand of them the listing is given up."""
    listing = Listing("users", {}, last_version_counts=last_version_counts)
    read(listing, "1")
    for number in range(1_000):
        listing.advance(f"link {number}")
        read(listing, "1")

    with pytest.raises(ProtocolBroken, match="1,000 pages without a new object"):
        listing.advance("link 1000")


def test_empty_pages_between_rows_do_not_end_a_listing() -> None:
    """However many they are in all, as long as a row comes now and then."""
    listing = a_listing()
    for number in range(3_000):
        listing.advance(f"link {number}")
        read(listing, *([str(number)] if number % 900 == 0 else []))


# Stepping over what Graph cannot serve.


def a_mailbox() -> Listing:
    return Listing("users/u/messages", {"user_id": "u"}, ((),), 100, takes_skip=True)


def read_mailbox(mails: int, is_served: Callable[[int], bool]) -> tuple[list[int], list[int], int]:
    """The mails that are emitted, those that are called broken, and the requests. `is_served` says of a mail whether
    Graph serves a page that holds it."""
    listing, emitted, broken, requests, position = a_mailbox(), [], [], 0, 0
    while requests < 10_000:
        requests += 1
        if listing.link is None:
            position = int(listing.options.get("$skip", 0))
        size = listing.page_size or 100
        page = range(position, min(position + size, mails))
        if not all(map(is_served, page)):
            if not listing.adapt(TOO_LARGE):
                raise GraphUnavailable("given up")
            continue
        broken += listing.served(len(page))
        emitted += map(int, read(listing, *map(str, page)))
        if listing.read_differently():
            continue
        if page.stop == mails:
            return emitted, broken, requests
        position = page.stop
        listing.advance(f"link to {position} in pages of {size}")
    raise AssertionError("it never ends")


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param([], id="none"),
        pytest.param([30], id="one in the middle"),
        pytest.param([0], id="the first"),
        pytest.param([59], id="the last"),
        pytest.param([0, 59], id="the first and the last"),
        pytest.param([29, 30], id="two in a row"),
        pytest.param([57, 58, 59], id="the last three"),
        pytest.param([0, 1, 2], id="the first three"),
        pytest.param([10, 12, 14, 16, 18, 20], id="many, each by itself"),
    ],
)
def test_a_broken_object_is_stepped_over(broken: list[int]) -> None:
    """All others are emitted, once, and each broken one is told once, by its position."""
    emitted, told, _ = read_mailbox(60, lambda mail: mail not in broken)

    assert sorted(emitted) == [mail for mail in range(60) if mail not in broken]
    assert told == broken


def test_pages_have_their_full_size_behind_a_broken_object() -> None:
    """Of ten thousand mails one costs a few requests more, and not ten thousand."""
    assert read_mailbox(10_000, lambda mail: mail != 30)[2] < 200


def test_an_outage_is_no_row_of_broken_objects() -> None:
    """After three objects in a row that Graph did not serve, nothing is stepped over any more."""
    with pytest.raises(GraphUnavailable):
        read_mailbox(60, lambda mail: mail not in (20, 21, 22, 23))


@pytest.mark.parametrize("failures", range(1, 7))
def test_an_outage_that_ends_costs_no_object(failures: int) -> None:
    """What was stepped over is requested once more when Graph serves again, and then it is there."""
    left = iter(range(failures))

    emitted, told, requests = read_mailbox(1_000, lambda _: next(left, None) is None)

    assert (sorted(emitted), told) == (list(range(1_000)), [])
    assert requests < failures + 50, "pages have their full size again"


def test_a_list_without_skip_steps_over_nothing() -> None:
    """At a page of one row there is nothing left to try."""
    listing = Listing("users", {}, ((),), 1)

    assert (listing.adapt(TOO_LARGE), dict(listing.options)) == (False, {})


def test_rows_pass_one_by_one() -> None:
    """A row is handed on before the next is looked at, and the same object goes out that came in."""
    looked_at: list[dict[str, Any]] = []

    def rows() -> Any:
        for row in some_rows("1", "2"):
            looked_at.append(row)
            yield row

    first = next(a_listing().new_records(rows()))

    assert [first is row for row in looked_at] == [True]
