"""The parts of the documents that are made from the code: `python3 dev.py generate` writes them anew.

Each stands between `<!-- generated: NAME -->` and `<!-- end -->`; a test holds that none is out of date.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from source_microsoft_graph.auth.refusals import SIGN_IN
from source_microsoft_graph.config.clouds import CLOUDS
from source_microsoft_graph.config.configuration import SPEC
from source_microsoft_graph.errors import Help
from source_microsoft_graph.graph.catalogue import CATALOGUE, Action
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.report import ReportStream
from source_microsoft_graph.streams.window import WindowStream
from source_microsoft_graph.sync.cursors import DELETED_AT, UPDATED_AT
from unit_tests.questions import questions as questions_in_sql
from unit_tests.references import references
from unit_tests.roll import every_stream

ROOT = Path(__file__).parent.parent
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
DRAWN = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

_NEXT = {
    Action.SKIP: "That object is skipped and counted; the stream goes on.",
    Action.DENY: "With the permission granted, that object is skipped and counted; without it, the stream fails.",
    Action.FAIL: "The stream fails, the others go on.",
    Action.RETRY: "Asked again, six times in all.",
    Action.WAIT: "Waited out, as long as Graph says.",
    Action.RENEW: "One new token is fetched; refused again, the sync fails.",
    Action.RESTART: "That listing is read again, without doubled rows.",
    Action.SHRINK: (
        "Asked again, then read in smaller pages. In a mailbox, an item that cannot be served is skipped and counted."
    ),
    Action.UNPAGE: "Read again without a page size.",
}


def streams() -> Iterator[tuple[str, ...]]:
    """One line a stream: what a row is, its key, its path, how an incremental sync reads it and learns of deletions."""
    yield "Stream", "One row per", "Key", "Graph path", "Incremental, by", "What is deleted"
    for stream in every_stream():
        what, url = _docstring(stream)
        key = [stream.primary_key] if isinstance(stream.primary_key, str) else stream.primary_key
        path = stream.path_template.replace("{owner}", "{users|groups|sites}/{id}/")
        cursor = f"`{stream.cursor_field}`" if stream.cursor_field else "full refresh only"
        yield (
            f"[`{stream.name}`]({url})",
            what,
            ", ".join(f"`{name}`" for name in key),
            f"`{path}`",
            cursor,
            _deletes(stream),
        )


def _deletes(stream: GraphStream) -> str:
    """How a table learns that an object is there no longer."""
    if not stream.cursor_field:
        return "is missing from the next sync"
    if stream.cursor_field == UPDATED_AT:
        return f"has `{DELETED_AT}`"
    if isinstance(stream, WindowStream | ReportStream) or stream.path_template.startswith("auditLogs/"):
        return "nothing: a log"
    if "deleted_date_time" in stream.get_json_schema()["properties"]:
        return "has `deleted_date_time`"
    return "stays until the next full refresh"


def permissions() -> Iterator[tuple[str, ...]]:
    """One line a permission of the documented set: the streams that need it, and what suffices instead."""
    yield "Application permission", "Streams that need it", "Least permission that suffices"
    documented = list(dict.fromkeys(stream.permissions[0] for stream in every_stream()))
    for permission in documented:
        needing = [stream for stream in every_stream() if stream.permissions[0] == permission]
        least = [f"`{stream.least_permission}` for `{stream.name}`" for stream in needing if stream.least_permission]
        yield (
            f"`{permission}`",
            ", ".join(f"`{stream.name}`" for stream in needing),
            "; ".join(least) or "this one",
        )


def configuration() -> Iterator[tuple[str, ...]]:
    """One line a field of the form, section by section."""
    yield "Field", "Required", "Default", "What it is"
    for group in SPEC["groups"]:
        yield f"**{group['title']}**", "", "", ""
        fields = [(name, field) for name, field in SPEC["properties"].items() if field["group"] == group["id"]]
        for name, field in sorted(fields, key=lambda item: item[1]["order"]):
            if not field.get("airbyte_hidden"):
                default = f"`{json.dumps(field['default']).strip(chr(34))}`" if "default" in field else ""
                yield f"`{name}`", "yes" if name in SPEC["required"] else "", default, _described(field)


def credentials() -> Iterator[tuple[str, ...]]:
    """One line a field of each way to sign in."""
    yield "`auth_type`", "Field", "Required", "What it is"
    for variant in SPEC["properties"]["credentials"]["oneOf"]:
        (kind,) = (field["const"] for field in variant["properties"].values() if "const" in field)
        for name, field in variant["properties"].items():
            if "const" not in field:
                yield f"`{kind}`", f"`{name}`", "yes" if name in variant["required"] else "", _described(field)


def _described(field: Mapping[str, Any]) -> str:
    text = re.sub(r"<a href=\"([^\"]+)\">([^<]+)</a>", r"[\2](\1)", field["description"])
    return re.sub(r"</?code>", "`", text)


def clouds() -> Iterator[tuple[str, ...]]:
    """One line a cloud."""
    yield "`cloud_type`", "Login host", "Graph host"
    for name, cloud in CLOUDS.items():
        yield f"`{name}`", cloud.login_host, cloud.graph_host
    yield "`custom`", "`login_host`", "`graph_host`"


def troubleshooting() -> Iterator[tuple[str, ...]]:
    """One line a known refusal of Graph's, then one a sign-in error."""
    yield "Status", "Code or text", "What it means", "What to do", "What the connector does"
    for known in CATALOGUE:
        status = "no answer" if known.status == 0 else str(known.status or "any")
        sign = f"`{known.code}`" if known.code else f"“{known.text}”" if known.text else ""
        yield status, sign, known.help.meaning, _remedy(known.help), _NEXT[known.action]
    for code, help_ in SIGN_IN.items():
        yield "sign-in", f"`AADSTS{code}`", help_.meaning, _remedy(help_), "The sync fails at once."


def _remedy(help_: Help) -> str:
    return " ".join(filter(None, (help_.remedy, help_.link and f"[More]({help_.link})")))


def questions() -> Iterator[tuple[str, ...]]:
    """One line a question in SQL: what its answer is, which streams it needs, and what it does not see."""
    yield "Question", "Answer", "Streams", "Not seen"
    expensive = {stream.name for stream in every_stream() if stream.expensive}
    for question in questions_in_sql():
        streams = (f"**`{name}`**" if name in expensive else f"`{name}`" for name in question.streams)
        link = f"[{question.asked}](../examples/{question.file.name})"
        yield link, question.answer, ", ".join(streams), question.unseen


def keys() -> str:
    """The streams by their keys, and how they join."""
    every = every_stream()
    joins = list(references(every))
    lines = ["erDiagram"]
    for stream in every:
        key = [stream.primary_key] if isinstance(stream.primary_key, str) else list(stream.primary_key or ())
        pointing = [join.column for join in joins if join.stream == stream.name and not join.part]
        pointed_at = [join.target_column for join in joins if join.target == stream.name]
        lines.append(f"    {stream.name} {{")
        for column in dict.fromkeys([*key, *pointed_at, *pointing]):
            roles = ["PK"] * (column in key) + ["FK"] * (column in pointing)
            lines.append(f"        string {column} {', '.join(roles)}".rstrip())
        lines.append("    }")
    for join in joins:
        unique = [stream.primary_key for stream in every if stream.name == join.stream]
        one = "||" if join.always and not join.kind else "|o"
        many = "o|" if join.column in unique else "o{"
        what = f"{join.path} of a {join.kind}" if join.kind else join.path
        lines.append(f'    {join.target} {one}--{many} {join.stream} : "{what}"')
    return "\n".join(["```mermaid", *lines, "```", ""])


_OVERVIEWS = (streams, permissions, configuration, credentials, clouds, troubleshooting, questions)

OVERVIEWS: dict[str, Callable[[], Iterable[tuple[str, ...]]]] = {overview.__name__: overview for overview in _OVERVIEWS}
DIAGRAMS: dict[str, Callable[[], str]] = {diagram.__name__: diagram for diagram in (keys,)}


def redrawn(text: str) -> str:
    """The text with everything drawn in it as it ought to be."""
    return DRAWN.sub(lambda found: f"{found[1]}{_draw(found[2])}{found[3]}", text)


def _draw(name: str) -> str:
    return DIAGRAMS[name]() if name in DIAGRAMS else _markdown(OVERVIEWS[name]())


def _markdown(lines: Iterable[tuple[str, ...]]) -> str:
    head, *body = lines
    rows = [head, tuple("---" for _ in head), *body]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)


def _docstring(stream: GraphStream) -> tuple[str, str]:
    text, _, url = str(type(stream).__doc__).rpartition(": ")
    return text.removeprefix("One row per "), url


def current(document: Path) -> str:
    """What a document ought to hold."""
    return redrawn(document.read_text(encoding="utf-8"))
