"""The report as Markdown, made to be pasted into an issue: what differs first, then everything."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version

from source_microsoft_graph.config.clouds import CLOUDS, SOVEREIGN
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.errors import Lack
from source_microsoft_graph.field_report.comparison import Difference, Weight, differences, never_sent, title
from source_microsoft_graph.field_report.findings import Answer, Findings, Missing, Page, help_of
from source_microsoft_graph.field_report.observation import Properties, Pseudonyms, permissions
from source_microsoft_graph.graph.catalogue import UNKNOWN, Action
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.permissions import in_words
from source_microsoft_graph.version import VERSION

_NAMES = 25
"""Names of properties that are told of a stream: GitHub takes 65,536 characters."""

_VALUES = 6

Row = Sequence[object]


def written(found: Findings, config: Config, pseudonyms: Pseudonyms, at: datetime) -> str:
    """The whole report."""
    parts = (
        _head(found, config, pseudonyms, at),
        _differences(differences(found)),
        _streams(found),
        _refusals(found),
        _sizes(found),
        _incremental(found),
        _properties(found),
        _chats(found),
        _apps(found),
        _two_ways(found),
        _headers(found),
        _troubles(found),
    )
    return "\n".join(line for part in parts for line in part) + "\n"


def _head(found: Findings, config: Config, pseudonyms: Pseudonyms, at: datetime) -> Iterator[str]:
    traffic, batches = found.traffic, sum(found.traffic.batches.values())
    yield f"# Field report of source-microsoft-graph {VERSION}"
    yield ""
    yield (
        "What Microsoft Graph does in one tenant, beside what the connector assumes. Names, ids, addresses and "
        "contents are left out: values are told by type and shape, and what begins with # is a hash whose key nobody "
        "has."
    )
    yield ""
    yield from _table(
        ("", ""),
        [
            ("Connector", f"{VERSION}, Airbyte CDK {version('airbyte-cdk')}, Python {platform.python_version()}"),
            ("Day", f"{at:%Y-%m-%d}"),
            ("Cloud", _cloud(config, pseudonyms)),
            ("Settings", _settings(config)),
            ("Permissions", ", ".join(_quoted(permissions(found.roles or ()))) or "none that the token tells of"),
            ("Seen", f"{sum(page.answer.is_page for page in found.pages.values())} of {len(found.pages)} first pages"),
            ("Requests", f"{traffic.requests:,} in {traffic.exchanges:,} exchanges, {batches:,} of them batches"),
            ("Clock", f"Graph's is {found.clock_difference.total_seconds():+,.0f} s from this machine's"),
        ],
    )
    if found.failure:
        yield ""
        yield f"**The connection was lost ({found.failure}), so the report is not whole.**"
    if found.is_cut_short:
        yield ""
        yield "**The report took more requests than it may, so some of its questions were not asked.**"


def _cloud(config: Config, pseudonyms: Pseudonyms) -> str:
    known = {**CLOUDS, **SOVEREIGN}
    name = next((name for name, cloud in known.items() if cloud.graph_host == config.cloud.graph_host), None)
    return name or f"custom, host {pseudonyms.of(config.cloud.graph_host)}"


def _settings(config: Config) -> str:
    """Those that decide what is requested, without what they are set to where that is the tenant's own."""
    settings: Mapping[str, object] = {
        "page_size": config.page_size,
        "message_body": config.message_body,
        "immutable_ids": config.immutable_ids,
        "chat_messages_by": config.chat_messages_by,
        "user_filter": "set" if config.user_filter else "not set",
        "include_users": "set" if config.include_users else "not set",
        "extra_user_properties": ", ".join(sorted(config.extra_user_properties)) or "none",
    }
    return "; ".join(f"`{name}`: {value}" for name, value in settings.items())


def _differences(found: Sequence[Difference]) -> Iterator[str]:
    yield from _heading("What differs")
    if not found:
        yield "Nothing: Graph did what the connector assumes."
        return
    yield f"{_plural(len(found), 'difference')}, each with the declaration that assumes something else."
    for weight in Weight:
        of_weight = [each for each in found if each.weight is weight]
        if of_weight:
            yield ""
            yield f"### {weight.words}"
            yield ""
            rows = [(f"`{each.stream}`", each.declaration, each.assumed, each.found) for each in of_weight]
            yield from _table(("Stream", "Declaration", "Assumed", "Found"), rows)


# The full tables.


def _streams(found: Findings) -> Iterator[str]:
    yield from _heading("First pages")
    yield "Unknown, odd and never sent are numbers of properties; their names stand below."
    yield ""
    head = ("Stream", "Answer", "Objects", "Asked", "Page link", "Unknown", "Odd", "Never sent", "Owners tried")
    yield from _table(head, [_stream(stream, page) for stream, page in found.pages.items()])


def _stream(stream: GraphStream, page: Page) -> Row:
    properties, link = page.properties, page.link
    is_served = page.answer.is_page
    told = f"{link.host}: {link.options}" if link and link.is_followed else link.host if link else "–"
    tried: object = page.tries if stream.is_child and stream.probe_path is None else ""
    if not is_served:
        return f"`{title(stream)}`", _answered(page.answer), "", page.asked or "", "", "", "", "", tried
    return (
        f"`{title(stream)}`",
        _answered(page.answer),
        page.answer.objects,
        page.asked or "–",
        told,
        len(properties.unknown) or "–",
        len(properties.other_types) or "–",
        len(never_sent(stream, page)) or "–",
        tried,
    )


def _answered(answer: Answer) -> str:
    if answer.refusal:
        return str(answer.refusal)
    return str(answer.status) if answer.status else answer.why


def _refusals(found: Findings) -> Iterator[str]:
    rows = [
        (f"`{title(stream)}`", page.answer.refusal.whole, *_taken_for(stream, page.answer, found))
        for stream, page in found.pages.items()
        if page.answer.refusal
    ]
    if rows:
        yield from _heading("Licences, permissions and other refusals")
        yield "Graph's words are told as far as the connector knows them. The rest is what it makes of them."
        yield ""
        yield from _table(("Stream", "Answer", "Taken for", "Meaning"), rows)


def _taken_for(stream: GraphStream, answer: Answer, found: Findings) -> tuple[str, str]:
    """What the connector makes of a refusal, in a word and in a sentence."""
    rule, help_ = answer.rule, help_of(answer)
    if not rule or not help_:
        return "", ""
    is_denied = rule.action is Action.DENY or help_.lack is Lack.PERMISSION
    if is_denied and (found.roles or frozenset()).isdisjoint(stream.permissions):
        return Lack.PERMISSION.value, f"It takes {in_words(stream)}."
    kind = help_.lack.value if help_.lack else rule.action.name.lower()
    return kind, "Not in the catalogue." if rule is UNKNOWN else str(help_.meaning)


def _sizes(found: Findings) -> Iterator[str]:
    if not found.above:
        return
    yield from _heading("Pages of one object more than `page_size`")
    rows = [
        (f"`{title(stream)}`", stream.page_size, _answered(answer), answer.objects if answer.is_page else "")
        for stream, answer in found.above.items()
    ]
    yield from _table(("Stream", "`page_size`", "Answer to one more", "Objects"), rows)


def _incremental(found: Findings) -> Iterator[str]:
    if not found.incremental:
        return
    yield from _heading("Incremental syncs")
    rows = []
    for each in found.incremental:
        token = {None: "", True: "given", False: "**none**"}[each.has_token]
        since = _answered(each.round) if each.round else ""
        objects = each.answer.objects if each.answer.is_page else ""
        rows.append(
            (f"`{title(each.stream)}`", each.what, _answered(each.answer), objects, each.ignored or "–", token, since)
        )
    yield from _table(("Stream", "Asked for", "Answer", "Objects", "Older", "Token", "Changes since it"), rows)


def _properties(found: Findings) -> Iterator[str]:
    lines = [line for stream, page in found.pages.items() for line in _properties_of(stream, page)]
    if lines:
        yield from _heading("Properties")
        yield "<details><summary>Names that no schema knows, and declared ones that no object of the page had</summary>"
        yield ""
        yield from lines
        yield ""
        yield "</details>"


def _properties_of(stream: GraphStream, page: Page) -> Iterator[str]:
    properties: Properties = page.properties
    kinds = (
        ("unknown", [f"`{name}` ({', '.join(sorted(shapes))})" for name, shapes in sorted(properties.unknown.items())]),
        ("unknown inside a column", [f"`{name}`" for name in sorted(properties.inside)]),
        ("never sent", [f"`{name}`" for name in never_sent(stream, page)]),
    )
    told = [f"{kind}: {_some(names)}" for kind, names in kinds if names]
    if properties.own_names:
        told.append("and extensions of the tenant's own")
    if told:
        yield f"- **{title(stream)}**, {_plural(properties.objects, 'object')}: {'; '.join(told)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _chats(found: Findings) -> Iterator[str]:
    if not found.chats:
        return
    yield from _heading("Chat messages, chat by chat and by export")
    rows = [
        (
            each.user,
            each.chats,
            each.trouble or each.by_chat,
            "" if each.trouble else each.by_export,
            "" if each.trouble else _lacking(each.lacking_in_export),
            "" if each.trouble else _lacking(each.lacking_by_chat),
        )
        for each in found.chats
    ]
    head = ("User", "Chats", "Messages by chat", "The same by export", "Lacking in the export", "Lacking by chat")
    yield from _table(head, rows)


def _lacking(missing: Missing) -> str:
    return f"{missing.count}: {'; '.join(missing.examples)}" if missing.count else "none"


def _apps(found: Findings) -> Iterator[str]:
    if not found.apps:
        return
    yield from _heading("Apps among members and owners")
    yield "Ten apps were asked what they belong to and what they own, and some of these objects for the app."
    yield ""
    rows = [
        (f"`{title(each.stream)}`", "yes" if each.is_assumed else "no", each.apps, each.listed, each.undecided or "–")
        for each in found.apps
    ]
    yield from _table(("Stream", "Apps assumed in its list", "Looked for", "Found", "On later pages, if at all"), rows)


def _two_ways(found: Findings) -> Iterator[str]:
    if not found.two_ways:
        return
    yield from _heading("Mail folders and sites, by list and by delta query")
    rows = [
        (
            f"`{title(each.stream)}`",
            each.by_list,
            each.by_delta,
            each.only_by_list,
            each.only_by_delta,
            each.trouble or ("yes" if each.is_whole else "no, there are more pages"),
        )
        for each in found.two_ways
    ]
    yield from _table(("Stream", "By list", "By delta", "By list alone", "By delta alone", "Both whole"), rows)


def _headers(found: Findings) -> Iterator[str]:
    yield from _heading("Limits")
    rows = []
    for service, requests in found.traffic.by_service.items():
        told = [f"`{name}`: {_values(values)}" for (of, name), values in found.traffic.headers.items() if of is service]
        throttled = sum(found.traffic.throttled[service].values()) if service in found.traffic.throttled else 0
        rows.append((f"`{service.name}`", requests, throttled or "–", "; ".join(told) or "–"))
    yield from _table(("Service", "Requests", "Throttled", "Headers"), rows)


def _values(values: Mapping[str, int]) -> str:
    told = [f"{value} ({times})" for value, times in sorted(values.items(), key=lambda each: -each[1])]
    return ", ".join(told[:_VALUES]) + (" …" if len(told) > _VALUES else "")


def _troubles(found: Findings) -> Iterator[str]:
    if found.troubles:
        yield from _heading("What the report could make no sense of")
        yield from (f"- {what}, {times} times" for what, times in sorted(found.troubles.items()))


# Markdown.


def _heading(text: str) -> Iterator[str]:
    yield ""
    yield f"## {text}"
    yield ""


def _table(head: Row, rows: Iterable[Row]) -> Iterator[str]:
    for row in (head, tuple("---" for _ in head), *rows):
        yield f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |"


def _quoted(names: Iterable[str]) -> list[str]:
    return [f"`{name}`" for name in names]


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
