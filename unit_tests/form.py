"""The specification as Airbyte's form shows it, in text: `python3 dev.py generate` writes `form.txt` anew.

A change to the form is then seen in review as what a reader of the form would see.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from source_microsoft_graph.config.configuration import SPEC

FILE = Path(__file__).with_name("form.txt")
_WIDTH = 100


def form(spec: Mapping[str, Any]) -> str:
    """The groups in order, the fields of each, and below a choice the fields of each variant."""
    lines: list[str] = []
    for group in spec["groups"]:
        lines += [f"━━ {group['title']} ".ljust(_WIDTH, "━"), ""]
        fields = {name: field for name, field in spec["properties"].items() if field["group"] == group["id"]}
        lines += _fields(fields, spec["required"], 0)
    return "\n".join(lines).rstrip() + "\n"


def _fields(fields: Mapping[str, Any], required: list[str], depth: int) -> Iterator[str]:
    for name, field in sorted(fields.items(), key=lambda item: item[1].get("order", 0)):
        if "const" in field or field.get("airbyte_hidden"):
            continue
        indent = "    " * depth
        optional = "" if name in required else "  (optional)"
        yield f"{indent}{field['title']}{optional}"
        yield f"{indent}{_box(field)}"
        for line in textwrap.wrap(re.sub(r"<[^>]+>", "", field.get("description", "")), _WIDTH - len(indent)):
            yield f"{indent}{line}"
        yield ""
        for variant in field.get("oneOf", ()):
            yield f"{indent}    ○ {variant['title']}"
            for line in textwrap.wrap(variant.get("description", ""), _WIDTH - len(indent) - 6):
                yield f"{indent}      {line}"
            yield ""
            yield from _fields(variant["properties"], variant["required"], depth + 2)


def _box(field: Mapping[str, Any]) -> str:
    """The control a field is filled in with, and what stands in it."""
    default, examples = field.get("default"), field.get("examples", [])
    if "oneOf" in field:
        return f"[{field['oneOf'][0]['title']} ▾]"
    if field["type"] == "boolean":
        return "[●  ] off" if default is False else "[  ●] on"
    if "enum" in field:
        return f"[{default} ▾]  {' | '.join(field['enum'])}"
    if field["type"] == "array":
        choices = field["items"].get("enum")
        chosen = ", ".join(default or ())
        return f"[{chosen} ▾]  {' | '.join(choices)}" if choices else f"[+ {_hint(examples[0])}]"
    shown = "••••••••" if field.get("airbyte_secret") else ""
    hint = str(default) if default is not None else f"e.g. {_hint(examples)}" if examples else ""
    return f"[{' '.join(filter(None, (shown, hint)))}]" + ("  (several lines)" if field.get("multiline") else "")


def _hint(examples: list[str]) -> str:
    return "  or  ".join(str(example).splitlines()[0] for example in examples)


def current() -> str:
    """What the file ought to hold."""
    return form(SPEC)
