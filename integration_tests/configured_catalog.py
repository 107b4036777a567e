"""A configured catalog that selects every stream but the expensive ones, with the most each of them can do.

`python3 dev.py generate` writes configured_catalog.json anew. The file leaves the schemas out, because the connector
never reads them there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("configured_catalog.json")


def select(
    streams: Iterable[Mapping[str, Any]], sync_mode: str | None = None, *, deduplicated: bool = False
) -> dict[str, Any]:
    """Configure streams of a discovered catalog: incrementally where they can be, or all in one mode. `deduplicated`
    says that the destination keeps the last row of each key in a full refresh too."""
    return {"streams": [_configure(stream, sync_mode, deduplicated) for stream in streams]}


def _configure(stream: Mapping[str, Any], sync_mode: str | None, deduplicated: bool) -> dict[str, Any]:
    mode = sync_mode or ("incremental" if "incremental" in stream["supported_sync_modes"] else "full_refresh")
    configured: dict[str, Any] = {
        "stream": dict(stream),
        "sync_mode": mode,
        "destination_sync_mode": "append_dedup" if mode == "incremental" or deduplicated else "overwrite",
    }
    if cursor := stream.get("default_cursor_field"):
        configured["cursor_field"] = cursor
    if key := stream.get("source_defined_primary_key"):
        configured["primary_key"] = key
    return configured


def render(streams: Iterable[Mapping[str, Any]]) -> str:
    """The text of configured_catalog.json for these discovered streams."""
    return json.dumps(select({**stream, "json_schema": {}} for stream in streams), indent=2) + "\n"


def current() -> str:
    """What the file ought to hold, for the streams that the connector offers."""
    from integration_tests.runner import ROOT, ConsoleScript
    from unit_tests.roll import expensive

    sample = json.loads((ROOT / "integration_tests" / "sample_config.json").read_text())
    streams = ConsoleScript(Path("unused")).discover(sample).succeeded().only("CATALOG")["streams"]
    left_out = expensive()
    return render(stream for stream in streams if stream["name"] not in left_out)
