"""What was found beside what the declarations of the streams assume: each difference names the one that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from source_microsoft_graph.errors import Lack
from source_microsoft_graph.field_report.findings import Findings, Page, help_of
from source_microsoft_graph.field_report.observation import permissions
from source_microsoft_graph.field_report.plan import TRIES
from source_microsoft_graph.graph.catalogue import UNKNOWN, Action
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.streams.base import NOT_SELECTED, GraphStream
from source_microsoft_graph.streams.export import ExportableStream
from source_microsoft_graph.streams.page_requests import NEVER
from source_microsoft_graph.streams.records import camel_case
from source_microsoft_graph.sync.context import CLOCK_DIFFERENCE

_NAMED = 12
"""Names that one difference tells."""

_UNUSUAL = {Action.RETRY, Action.SHRINK, Action.RESTART, Action.UNPAGE}
"""What is no answer to the first page of anything."""


class Weight(IntEnum):
    """What a difference costs, the dearest first."""

    ROWS = 0
    COLUMNS = 1
    TIME = 2

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = ("Rows may be missing, or a stream fails", "A column is missing or odd", "It costs time, or may change")


@dataclass(frozen=True, slots=True)
class Difference:
    """`declaration` is what assumed something else, and whose it is."""

    weight: Weight
    stream: str
    declaration: str
    assumed: str
    found: str


def differences(found: Findings) -> list[Difference]:
    """The dearest first, and then in the order of the streams."""
    every = [
        *_of_pages(found),
        *_of_sizes(found),
        *_of_incremental(found),
        *_of_chats(found),
        *_of_apps(found),
        *_of_two_ways(found),
        *_of_traffic(found),
    ]
    return sorted(every, key=lambda difference: difference.weight)


def title(stream: GraphStream) -> str:
    """The stream's name; that of a kind of parent with its class, for two may have one name."""
    return stream.name if type(stream) in STREAMS else f"{stream.name} ({type(stream).__name__})"


def _of(stream: GraphStream, declaration: str) -> str:
    return f"`{declaration}` of `{type(stream).__name__}`"


def _schema(stream: GraphStream) -> str:
    return f"`schemas/{stream.name}.json`"


# First pages.


def _of_pages(found: Findings) -> Iterator[Difference]:
    for stream, page in found.pages.items():
        if page.answer.is_page:
            yield from _of_page(stream, page, found)
        elif page.answer.rule:
            yield from _of_refusal(stream, page, found)
        if page.refused_names:
            names = _list(page.refused_names)
            yield Difference(
                Weight.COLUMNS,
                title(stream),
                f"`select` in {_schema(stream)}",
                "Graph takes these names in one `$select`",
                f"it refuses {names}: {page.select_refusal.whole if page.select_refusal else ''}",
            )


def _of_refusal(stream: GraphStream, page: Page, found: Findings) -> Iterator[Difference]:
    rule, refusal, help_ = page.answer.rule, page.answer.refusal, help_of(page.answer)
    if not rule or not refusal:
        return
    told, lack = refusal.whole, help_.lack if help_ else None
    # One object may be out of an app's reach, and several of them hardly are.
    is_denied = rule.action is Action.DENY and (not stream.is_child or page.tries >= TRIES)
    if rule.action is Action.UNPAGE:
        size = stream.page_size
        yield Difference(Weight.ROWS, title(stream), _of(stream, "page_size"), f"Graph serves pages of {size}", told)
    elif not stream.in_cloud:
        return
    elif rule is UNKNOWN:
        yield Difference(Weight.ROWS, title(stream), "`CATALOGUE`", "every refusal has a row", told)
    elif rule.action in _UNUSUAL:
        yield Difference(Weight.ROWS, title(stream), _of(stream, "path_template"), "Graph serves this page", told)
    elif is_denied or lack is Lack.PERMISSION:
        if held := _held(stream, found):
            yield Difference(
                Weight.ROWS,
                title(stream),
                _of(stream, "permissions"),
                f"{_list(held)} suffices, which is granted",
                told,
            )
    elif rule.action is Action.SKIP and not stream.is_child and not lack:
        yield Difference(Weight.ROWS, title(stream), _of(stream, "path_template"), "the tenant has this list", told)
    elif lack is Lack.CLOUD:
        yield Difference(Weight.ROWS, title(stream), "`lacks` in `config/clouds.py`", "this cloud has the path", told)


def _held(stream: GraphStream, found: Findings) -> list[str]:
    return [each for each in stream.permissions if each in (found.roles or ())]


def _of_page(stream: GraphStream, page: Page, found: Findings) -> Iterator[Difference]:
    name = title(stream)
    if not stream.in_cloud:
        yield Difference(
            Weight.ROWS, name, "`lacks` in `config/clouds.py`", "this cloud does not have the path", "it serves a page"
        )
    if found.roles and not _held(stream, found):
        granted = _list(permissions(found.roles))
        yield Difference(
            Weight.TIME, name, _of(stream, "permissions"), "no granted permission suffices", f"one of {granted} does"
        )
    if stream.never_empty and not page.answer.objects and not page.link:
        yield Difference(Weight.ROWS, name, _of(stream, "never_empty"), "every tenant has some", "Graph lists none")
    if page.without_id:
        yield Difference(
            Weight.ROWS,
            name,
            _of(stream, "primary_key"),
            "each object has an id",
            f"objects without one: {page.without_id}",
        )
    if page.ambiguous:
        yield Difference(
            Weight.ROWS,
            name,
            _of(stream, "primary_key"),
            "an id stands for one object",
            f"ids that stand for different ones on a page: {page.ambiguous}",
        )
    if page.counted is not None and page.counted > page.answer.objects:
        yield Difference(
            Weight.ROWS,
            name,
            _of(stream, "query"),
            "Graph lists all it counts",
            f"it counts {page.counted} and lists {page.answer.objects}",
        )
    if page.repairs:
        yield Difference(Weight.TIME, name, "`graph/lenient.py`", "pages are JSON", f"repaired: {_list(page.repairs)}")
    if page.notices:
        yield Difference(
            Weight.TIME, name, _of(stream, "path_template"), "the path is there to stay", f"`{_list(page.notices)}`"
        )
    yield from _of_links(stream, page)
    yield from _of_properties(stream, page)


def _of_links(stream: GraphStream, page: Page) -> Iterator[Difference]:
    if page.link and not page.link.is_followed:
        yield Difference(
            Weight.ROWS,
            title(stream),
            "`graph_host` of the cloud",
            "page links lead to the host that was asked",
            f"to another one: {page.link.host}",
        )
    if page.link_refusal:
        refusal = page.link_refusal.refusal
        told = refusal.whole if refusal else page.link_refusal.why
        yield Difference(Weight.ROWS, title(stream), "page links", "Graph serves the pages it links to", told)
    # Of a kind of parent the stream says the same.
    sizes = [size for size in page.sizes if size] if type(stream) in STREAMS else []
    if page.asked and len(sizes) > 1 and len(set(sizes)) == 1 and sizes[0] < page.asked:
        yield Difference(
            Weight.TIME,
            title(stream),
            _of(stream, "page_size"),
            f"Graph serves {page.asked} objects in a page",
            f"it serves {sizes[0]}, page after page",
        )


def _of_properties(stream: GraphStream, page: Page) -> Iterator[Difference]:
    properties = page.properties
    for name, shapes in sorted(properties.unknown.items()):
        yield Difference(
            Weight.COLUMNS,
            title(stream),
            _schema(stream),
            "it names every property",
            f"`{name}` has no column: {_list(sorted(shapes))}",
        )
    for path, (declared, shapes) in sorted(properties.other_types.items()):
        times = sum(shapes.values())
        yield Difference(
            Weight.COLUMNS,
            title(stream),
            _schema(stream),
            f"`{path}` is {_with_article(declared)}",
            f"{_list(sorted(shapes))}, {times:,} times",
        )
    if missing := owed(stream, page):
        yield Difference(
            Weight.COLUMNS,
            title(stream),
            f"`select` in {_schema(stream)}",
            "Graph sends what `$select` names",
            f"never sent: {_list(missing)}",
        )
    cursor = str(stream.cursor_field or "")
    if (
        properties.objects
        and cursor in _columns(stream)
        and cursor not in properties.sent
        and cursor not in NOT_SELECTED
    ):
        yield Difference(
            Weight.ROWS,
            title(stream),
            _of(stream, "cursor_field"),
            f"objects have `{camel_case(cursor)}`",
            "no object has it",
        )


def _columns(stream: GraphStream) -> dict[str, dict[str, object]]:
    """The columns that Graph may fill: those of the connector's own are none."""
    made = {*NOT_SELECTED, *stream.placeholders, *stream.key_within}
    return {name: column for name, column in stream.get_json_schema()["properties"].items() if name not in made}


def never_sent(stream: GraphStream, page: Page) -> list[str]:
    """Declared properties that no object of the page had."""
    if not page.properties.objects:
        return []
    return [
        camel_case(name)
        for name, column in _columns(stream).items()
        if name not in page.properties.sent and column.get("select") != NEVER
    ]


def owed(stream: GraphStream, page: Page) -> list[str]:
    """Properties that `$select` named and that Graph takes in any tenant, and that no object had all the same."""
    if not stream.selects or not page.properties.objects:
        return []
    columns = _columns(stream)
    absent = {camel_case(name) for name, column in columns.items() if "select" not in column}
    return [name for name in never_sent(stream, page) if name in absent and name not in page.refused_names]


# Page sizes.


def _of_sizes(found: Findings) -> Iterator[Difference]:
    for stream, answer in found.above.items():
        size, rule = stream.page_size or 0, answer.rule
        if answer.is_page and answer.objects > size:
            yield Difference(
                Weight.TIME,
                title(stream),
                _of(stream, "page_size"),
                f"Graph serves no more than {size} objects in a page",
                f"it served {answer.objects}",
            )
        elif rule and rule.action is Action.FAIL and answer.refusal:
            yield Difference(
                Weight.TIME,
                title(stream),
                "`CATALOGUE`",
                "a page size that is refused is known by its words",
                f"`$top={size + 1}`: {answer.refusal.whole}",
            )


# Incremental syncs.


def _of_incremental(found: Findings) -> Iterator[Difference]:
    for each in found.incremental:
        stream, told = each.stream, each.answer.refusal.whole if each.answer.refusal else each.answer.why
        if each.has_token is None and not each.answer.is_page:
            if each.answer.rule:
                is_token = each.what == "a token for now"
                assumed = "Graph gives a delta token for now" if is_token else "Graph takes this filter"
                if each.lesser and each.lesser.is_page:
                    assumed, told = "Graph tells of changes in all properties", f"{told}; for `id` alone it does"
                declared = "cursor_field" if is_token or not stream.changed_since else "changed_since"
                yield Difference(Weight.ROWS, title(stream), _of(stream, declared), assumed, told)
        elif each.has_token is False:
            yield Difference(
                Weight.ROWS,
                title(stream),
                _of(stream, "cursor_field"),
                "`latest` stands for a delta token",
                "no token came",
            )
        if each.round and not each.round.is_page and each.round.refusal:
            yield Difference(
                Weight.ROWS,
                title(stream),
                _of(stream, "cursor_field"),
                "Graph takes the token it has just given",
                each.round.refusal.whole,
            )
        if each.ignored:
            declared = "changed_since" if stream.changed_since else "cursor_field"
            yield Difference(
                Weight.TIME,
                title(stream),
                _of(stream, declared),
                "Graph lists what is newer than the time asked for",
                f"older objects: {each.ignored}",
            )


# Chats, apps, folders and sites.


def _of_chats(found: Findings) -> Iterator[Difference]:
    stream = next((stream for stream in found.streams if isinstance(stream, ExportableStream)), None)
    if not stream:
        return
    for reads in found.chats:
        compared = f"of {max(reads.by_chat, reads.by_export)} messages in {reads.chats} chats"
        ways = (
            (reads.lacking_in_export, "export_class", "an export has all messages of a chat"),
            (reads.lacking_by_chat, "path_template", "a chat has all messages of an export"),
        )
        for missing, declared, assumed in ways:
            if missing.count:
                yield Difference(
                    Weight.ROWS,
                    title(stream),
                    f"`chat_messages_by`, {_of(stream, declared)}",
                    assumed,
                    f"it lacks {missing.count} {compared}: {'; '.join(missing.examples)}",
                )


def _of_apps(found: Findings) -> Iterator[Difference]:
    for each in found.apps:
        decided = each.apps - each.undecided
        if each.is_assumed and each.listed < decided:
            yield Difference(
                Weight.ROWS,
                title(each.stream),
                _of(each.stream, "path_template"),
                "the list holds apps",
                f"apps that are not in it: {decided - each.listed} of {decided}",
            )
        elif not each.is_assumed and each.listed:
            yield Difference(
                Weight.TIME,
                title(each.stream),
                _of(each.stream, "app_relation"),
                "v1.0 lists no apps here, so they are found from their own side",
                f"apps in the list: {each.listed} of {each.apps}",
            )


def _of_two_ways(found: Findings) -> Iterator[Difference]:
    for each in found.two_ways:
        by_delta = "delta" in each.stream.path_template
        missing = each.only_by_list if by_delta else each.only_by_delta
        if each.is_whole and missing:
            ways = ("delta query", "list") if by_delta else ("list", "delta query")
            yield Difference(
                Weight.ROWS,
                title(each.stream),
                _of(each.stream, "path_template"),
                f"the {ways[0]} tells all",
                f"objects by {ways[1]} alone: {missing}",
            )


# The connection.


def _of_traffic(found: Findings) -> Iterator[Difference]:
    for service, forms in found.traffic.throttled.items():
        limit = service.value
        times = ", ".join(f"{form} ({number})" for form, number in sorted(forms.items()))
        yield Difference(
            Weight.TIME,
            "every stream of " + limit.name,
            f"`Service.{service.name}`",
            f"{limit.requests:,} requests in {limit.seconds:g} seconds are not throttled",
            f"{sum(forms.values())} of {found.traffic.by_service[service]} were; Retry-After: {times}",
        )
    refused = {status: number for status, number in found.traffic.batches.items() if status != 200}
    if refused:
        statuses = ", ".join(f"{status or 'no answer'} ({number})" for status, number in sorted(refused.items()))
        yield Difference(
            Weight.TIME,
            "every child stream",
            "`batch_size`",
            "Graph takes up to twenty requests in a batch",
            f"batches were answered by {statuses}",
        )
    if abs(found.clock_difference) > CLOCK_DIFFERENCE:
        seconds = found.clock_difference.total_seconds()
        way = "ahead of" if seconds > 0 else "behind"
        yield Difference(
            Weight.TIME,
            "every incremental stream",
            "`CLOCK_DIFFERENCE`",
            f"clocks differ by less than {CLOCK_DIFFERENCE.total_seconds():.0f} seconds",
            f"Graph's clock is {abs(seconds):,.0f} seconds {way} this machine's",
        )


def _list(names: object) -> str:
    every = [str(name) for name in names]  # type: ignore[attr-defined]
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


def _with_article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
