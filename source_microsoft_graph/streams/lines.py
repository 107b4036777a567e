"""Records as lines of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from source_microsoft_graph.errors import ProtocolBroken


def to_line(record: Mapping[str, Any]) -> bytes:
    """The record as JSON. An integer beyond 64 bits becomes a text with all its digits. Raises `ProtocolBroken` for a
    record that is nested too deeply to be written."""
    try:
        return orjson.dumps(record)
    except TypeError:
        pass
    try:
        return orjson.dumps(_printable(record))
    except (TypeError, RecursionError):
        raise ProtocolBroken(f"Graph sent an object that is nested too deeply: {record.get('id')}.") from None


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _printable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    is_huge = isinstance(value, int) and not -(2**63) <= value < 2**64
    return str(value) if is_huge else value
