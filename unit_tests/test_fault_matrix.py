"""Kinds of faults by streams: nothing is lost, nothing is doubled, the fault is named, the others are whole.

A stream's paths are derived from its declaration, so a new stream is in the matrix without an edit here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from fnmatch import fnmatchcase
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import Any

import pytest
import requests
import requests_mock
from airbyte_cdk.sources.utils.schema_helpers import ResourceSchemaLoader
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput

from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.streams.base import PLACEHOLDER, GraphStream
from source_microsoft_graph.streams.files import DriveContents
from source_microsoft_graph.streams.report import ReportStream
from source_microsoft_graph.streams.single import SingleObjectStream
from unit_tests.documents import every_stream
from unit_tests.graph_api import GRAPH, Answer, FakeGraph, an_error, read, rows, statuses, throttled, told

Page = dict[str, Any]


class Fate(Enum):
    """What becomes of a listing that meets a fault."""

    WHOLE = auto()
    SKIPPED = auto()
    """Nothing of it is there; it is named, and the stream is COMPLETE."""
    FAILED = auto()
    """The stream is INCOMPLETE and says why."""


WHOLE, SKIPPED, FAILED = Fate


@dataclass(frozen=True)
class Kind:
    """One kind of fault: what Graph sends instead of a page, what is said of it, and what becomes of the listing.

    `fates` are those of a fault that passes and of one that lasts, on the first page and on a later one. `refuses`
    says that the object is there and may not be read. `may_mean_properties` says that the first page may be refused
    for its $select. `is_of_the_connection` says that a batch is hit as a whole, and `is_of_lists` that an object which
    comes by itself cannot be sent so.
    """

    answer: Callable[[Page], Answer]
    words: str
    fates: tuple[Fate, Fate, Fate, Fate]
    refuses: bool = False
    may_mean_properties: bool = False
    is_of_the_connection: bool = False
    is_of_lists: bool = False

    def fate(self, *, lasts: bool, later: bool) -> Fate:
        return self.fates[2 * later + lasts]


PASSES = (WHOLE, FAILED, WHOLE, FAILED)
ODD = (FAILED, FAILED, FAILED, FAILED)
HARMLESS = (WHOLE, WHOLE, WHOLE, WHOLE)
OF_ONE_OBJECT = (SKIPPED, SKIPPED, WHOLE, FAILED)
UNKNOWN = (FAILED, FAILED, WHOLE, FAILED)
TOKEN = (WHOLE, SKIPPED, WHOLE, FAILED)


def always(answer: Answer) -> Callable[[Page], Answer]:
    return lambda _: answer


def raw(change: Callable[[bytes], bytes], **more: Any) -> Callable[[Page], Answer]:
    """The page with its bytes changed."""
    return lambda page: {"content": change(json.dumps(page).encode()), **more}


def with_more(**properties: Any) -> Callable[[Page], Answer]:
    """The page with these beside its objects."""
    return lambda page: {"json": {**page, **properties}}


def with_item(item: Any) -> Callable[[Page], Answer]:
    """The page with one more item."""
    return lambda page: {"json": {**page, "value": [*page["value"], item]}}


def html(status: int) -> Answer:
    page = b"<html><body>The gateway is being restarted.</body></html>"
    return {"status_code": status, "content": page, "headers": {"Content-Type": "text/html"}}


KINDS: dict[str, Kind] = {
    **{
        f"{status} {code}": Kind(always(an_error(status, code)), code, PASSES)
        for status, code in (
            (500, "InternalServerError"),
            (500, "ErrorCorruptData"),
            (502, "BadGateway"),
            (503, "ServiceUnavailable"),
            (504, "GatewayTimeout"),
            (408, "RequestTimeout"),
            (409, "Directory_ConcurrencyViolation"),
        )
    },
    "429": Kind(always(throttled()), "Throttled", PASSES),
    "429 for minutes": Kind(always(throttled("300")), "Throttled", PASSES),
    "503 that is a throttling": Kind(always(an_error(503, "Busy", headers={"Retry-After": "30"})), "Throttled", PASSES),
    "backend request": Kind(
        always(an_error(403, "Forbidden", "Failed to execute Skype backend request GetThreadS2SRequest.")),
        "backend request",
        PASSES,
    ),
    "reset": Kind(
        always({"exc": requests.ConnectionError("reset by peer")}), "reset", PASSES, is_of_the_connection=True
    ),
    "silence": Kind(always({"exc": requests.ReadTimeout("timed out")}), "timed", PASSES, is_of_the_connection=True),
    **{f"HTML as {status}": Kind(always(html(status)), "gateway", PASSES) for status in (403, 404, 400, 302)},
    "HTML as 200": Kind(always(html(200)), "whole page", PASSES),
    "206": Kind(lambda page: {"status_code": 206, "json": page}, "206", PASSES),
    "204": Kind(always({"status_code": 204, "content": b""}), "204", PASSES),
    "cut off": Kind(raw(lambda text: text[:-9]), "whole page", PASSES),
    "an error appended": Kind(raw(lambda text: text + b'{"error":{"code":"Late"}}'), "whole page", PASSES),
    "an error beside the objects": Kind(with_more(error={"code": "Half", "message": "Half of it."}), "Half", PASSES),
    "no list": Kind(always({"json": {"@odata.context": "x"}}), "whole page", PASSES),
    "no objects but one": Kind(always({"json": {"value": {"id": "1"}}}), "whole page", PASSES),
    "an error among the objects": Kind(
        with_item({"error": {"code": "Broken", "message": "It."}}), "Broken", ODD, is_of_lists=True
    ),
    **{
        f"an item that is {name}": Kind(with_item(item), "Graph sent an", ODD, is_of_lists=True)
        for name, item in {
            "a number": 7,
            "without an id": {"displayName": "x"},
            "with a list for an id": {"id": ["x"]},
        }.items()
    },
    **{
        f"{link!r} for a link": Kind(with_more(**{"@odata.nextLink": link}), "link", ODD)
        for link in ("", 0, "https://graph.microsoft.com.evil.example/v1.0/users")
    },
    "404": Kind(always(an_error(404, "ResourceNotFound")), "404", OF_ONE_OBJECT, may_mean_properties=True),
    "403": Kind(
        always(an_error(403, "ErrorAccessDenied")), "403", OF_ONE_OBJECT, refuses=True, may_mean_properties=True
    ),
    "423": Kind(always(an_error(423, "notAllowed")), "423", (SKIPPED, SKIPPED, FAILED, FAILED), refuses=True),
    "401": Kind(always(an_error(401, "Unauthorized")), "401", TOKEN, refuses=True),
    "an unknown 400": Kind(
        always(an_error(400, "ErrorNew", "Never seen.")), "Never", UNKNOWN, may_mean_properties=True
    ),
    "410": Kind(always(an_error(410, "Gone")), "410", UNKNOWN),
    "expired": Kind(always(an_error(400, "Directory_ExpiredPageToken")), "Expired", UNKNOWN),
    "the last objects again": Kind(
        lambda page: {"json": {**page, "value": [*page["value"], *page["value"]]}}, "", HARMLESS, is_of_lists=True
    ),
    "NaN": Kind(raw(lambda text: text.replace(b'"x": 1', b'"x": NaN')), "", HARMLESS),
    "half a surrogate": Kind(raw(lambda text: text.replace(b'"x": 1', b'"x": "cut \\ud83d"')), "", HARMLESS),
    "a number of 30 digits": Kind(raw(lambda text: text.replace(b'"x": 1', b'"x": ' + b"9" * 30)), "", HARMLESS),
}

FOR_EVER = float("inf")
PLACES = [(later, times) for later in (False, True) for times in (1.0, FOR_EVER)]
"""On the first page or behind it, once or always."""

WHERE = {(False,): "first page", (True,): "later page", (False, True): "both"}

Place = tuple[str, bool]
Faults = Mapping[Place, tuple[Kind, float]]

_OUTAGES = ("503 ServiceUnavailable", "backend request", "HTML as 403", "HTML as 200")
"""Those of the kinds that pass which services are known to answer for all owners."""

EMPTY = ("contactFolders", "memberOf", "ownedObjects")
"""Lists that lead from one stream to further listings, which are tested by themselves."""


class Tenant:
    """Each path is a list of four objects, six where it is the tenant's own, in pages of two or of the size requested,
    or an object by itself. An id tells the path. `faults` are what a path answers instead and how often: on its first
    page, wherever that begins, or behind its first object."""

    def __init__(self, graph: FakeGraph, faults: Faults = MappingProxyType({})) -> None:
        self._faults = faults
        self._struck: Counter[Place] = Counter()
        graph.serves(self._answer)

    def _answer(self, path: str, options: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        first = int(options.get("$skiptoken") or options.get("$skip") or 0)
        page = self._page(path, first, options, headers)
        for place in ((path, False),) * ("$skiptoken" not in options) + ((path, True),) * (first > 0):
            if place in self._faults:
                kind, times = self._faults[place]
                self._struck[place] += 1
                return kind.answer(page) if self._struck[place] <= times else {"json": page}
        return {"json": page}

    def _page(self, path: str, first: int, options: Mapping[str, str], headers: Mapping[str, str]) -> Page:
        if path in ALONE:
            return {"id": an_id(path, 0), "x": 1}
        preferred = re.search(r"maxpagesize=(\d+)", headers.get("Prefer", ""))
        size = min(2, int(options.get("$top", 2)), int(preferred[1]) if preferred else 2)
        count = 0 if path.endswith(EMPTY) else len(ids_in(path))
        # The users' managers are a stream of their own, and so are the permissions of shared items.
        more = {"manager": {"id": "the-manager"}} if path == "users" else {"shared": {}}
        numbers = range(first, min(first + size, count))
        page: Page = {"value": [{"id": an_id(path, number), "x": 1, **more} for number in numbers]}
        if first + size < count:
            page["@odata.nextLink"] = f"{GRAPH}{path}?$skiptoken={first + size}&$top={size}"
        return page


def an_id(path: str, number: int) -> str:
    return f"{path.replace('/', '.')}.{number}"


def ids_in(path: str) -> set[str]:
    """Those of the objects in a list. Only ids have dots."""
    return {an_id(path, number) for number in range(1 if path in ALONE else 4 if "." in path else 6)}


NAMES = {type(stream): stream.name for stream in every_stream()}
# Usage reports are files behind redirects and have no pages: test_reports.py has their faults.
LISTS = [stream for stream in STREAMS if not issubclass(stream, ReportStream)]
ALONE = {stream.path_template for stream in LISTS if issubclass(stream, SingleObjectStream)}
OF_THE_TENANT = [stream for stream in LISTS if not PLACEHOLDER.search(stream.path_template)]
BELOW_OTHERS = [stream for stream in LISTS if stream not in OF_THE_TENANT]
BOTH_WAYS = [
    *(pytest.param(stream, False, id=NAMES[stream]) for stream in BELOW_OTHERS),
    *(
        pytest.param(stream, True, id=f"{NAMES[stream]}-deduplicated")
        for stream in LISTS
        if issubclass(stream, DriveContents)
    ),
]
"""Those below others, and once more those that emit a row before it is known to be the last of its key, for a
destination that keeps the last one: what a fault does not change is not doubled there either."""


def other_than(stream: type[GraphStream]) -> str:
    """A stream that is read beside it and has nothing to do with it."""
    return "applications" if stream.path_template.startswith("directoryRole") else "directory_role_templates"


@pytest.fixture(autouse=True)
def schemas_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading them again for each case would take as long as all the rest."""
    monkeypatch.setattr(ResourceSchemaLoader, "get_schema", lambda loader, name: schema(loader.package_name, name))


read_schema = ResourceSchemaLoader.get_schema


@cache
def schema(package: str, name: str) -> dict[str, Any]:
    return read_schema(ResourceSchemaLoader(package), name)


@cache
def paths_of(stream: type[GraphStream]) -> tuple[str, ...]:
    """The listings of a stream in a tenant without faults: of the requested paths those that its template describes."""
    with requests_mock.Mocker() as mocker:
        graph = FakeGraph(mocker)
        Tenant(graph)
        output = read(NAMES[stream])
        template = PLACEHOLDER.sub("*", stream.path_template)
        paths = sorted({url.partition("?")[0] for url in graph.asked if fnmatchcase(url.partition("?")[0], template)})
    assert sorted(emitted(output, stream)) == sorted(chain.from_iterable(map(ids_in, paths)))
    return tuple(paths)


def emitted(output: EntrypointOutput, stream: type[GraphStream]) -> list[str]:
    return [row[stream.own_id] for row in rows(output, NAMES[stream])]


def read_with(
    graph: FakeGraph,
    stream: type[GraphStream],
    faults: Faults,
    fates: Mapping[str, Fate],
    *,
    deduplicated: bool = False,
) -> str:
    """Read the stream, and hold of each of its listings that it ends as it should. Gives what is said of the stream."""
    name, other = NAMES[stream], other_than(stream)
    Tenant(graph, faults)

    output = read(name, other, fails=FAILED in fates.values(), deduplicated=deduplicated)

    got = Counter(emitted(output, stream))
    assert set(got.values()) <= {1}, "nothing is doubled"
    assert set(got) <= set(chain.from_iterable(map(ids_in, fates)))
    for path, fate in fates.items():
        if fate is WHOLE:
            assert ids_in(path) <= set(got), "nothing is lost"
        elif fate is SKIPPED:
            assert ids_in(path).isdisjoint(got)
    assert statuses(output, name)[-1] == ("INCOMPLETE" if FAILED in fates.values() else "COMPLETE")
    assert statuses(output, other)[-1] == "COMPLETE"
    assert len(rows(output, other)) == 6
    return told(output, name)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(("stream", "deduplicated"), BOTH_WAYS)
def test_a_fault_of_one_owner_is_that_owners(
    graph: FakeGraph, stream: type[GraphStream], deduplicated: bool, kind: Kind
) -> None:
    """One owner meets it once and one always, on the first page; two more behind it; and the others never. They are
    requested in batches where the stream has batches."""
    paths = paths_of(stream)
    faults = {(path, later): (kind, times) for path, (later, times) in zip(paths[1:], PLACES, strict=False)}
    if kind.is_of_the_connection:
        # A connection that breaks for ever ends the sync.
        faults = dict.fromkeys(faults, (kind, 1))
    fates = dict.fromkeys(paths, WHOLE)
    fates |= {path: kind.fate(lasts=times > 1, later=later) for (path, later), (_, times) in faults.items()}

    words = read_with(graph, stream, faults, fates, deduplicated=deduplicated)

    for path, fate in fates.items():
        if fate is not WHOLE:
            assert kind.words in words
            assert path.rpartition("/")[0].partition("/")[2].partition("/")[0] in words


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=name)
        for name, kind in KINDS.items()
        if kind.fates not in (PASSES, ODD, HARMLESS) or name in _OUTAGES
    ],
)
@pytest.mark.parametrize("stream", BELOW_OTHERS, ids=NAMES.get)
def test_a_fault_of_all_owners_is_no_whole_stream(graph: FakeGraph, stream: type[GraphStream], kind: Kind) -> None:
    """Only where nothing is there, nothing is missing."""
    paths = paths_of(stream)
    fate = kind.fate(lasts=True, later=False)
    is_refused = fate is SKIPPED and (kind.refuses or stream.each_owner_has_it)

    words = read_with(
        graph,
        stream,
        {(path, False): (kind, FOR_EVER) for path in paths},
        dict.fromkeys(paths, FAILED if is_refused else fate),
    )

    assert kind.words in words


def _cases_of_a_list() -> Iterator[tuple[Kind, bool, tuple[bool, ...], str]]:
    """Each kind once and for ever, on the first page and on a later one; what passes is met on both in one read. A
    connection that breaks for ever ends the sync, and whatever else ends a listing the first time need not last."""
    for name, kind in KINDS.items():
        for places in [(False, True)] if kind.fates in (PASSES, HARMLESS) else [(False,), (True,)]:
            yield kind, False, places, f"{name}, once, {WHERE[places]}"
        if not kind.is_of_the_connection and kind.fates not in (ODD, HARMLESS):
            for later in (False, True):
                yield kind, True, (later,), f"{name}, always, {WHERE[(later,)]}"


def _cases_of_the_tenant() -> Iterator[Any]:
    """An object by itself has no later page."""
    for stream in OF_THE_TENANT:
        for kind, lasts, places, name in _cases_of_a_list():
            if stream.path_template not in ALONE or not (kind.is_of_lists or places == (True,)):
                yield pytest.param(stream, kind, lasts, places, id=f"{NAMES[stream]}-{name}")


@pytest.mark.parametrize(("stream", "kind", "lasts", "places"), list(_cases_of_the_tenant()))
def test_a_fault_of_a_list_of_the_tenant(
    graph: FakeGraph, stream: type[GraphStream], kind: Kind, lasts: bool, places: tuple[bool, ...]
) -> None:
    """It has no other owner, so nothing of it can be skipped."""
    (path,) = paths_of(stream)
    fate = kind.fate(lasts=lasts, later=places[-1])
    if kind.may_mean_properties and stream.selects and not lasts:
        fate = WHOLE
    if fate is SKIPPED:
        fate = FAILED

    words = read_with(
        graph, stream, {(path, later): (kind, FOR_EVER if lasts else 1) for later in places}, {path: fate}
    )

    if fate is not WHOLE:
        assert kind.words in words
