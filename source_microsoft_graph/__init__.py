"""An Airbyte source for Microsoft Graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from source_microsoft_graph.source import SourceMicrosoftGraph

__all__ = ["SourceMicrosoftGraph"]


def __getattr__(name: str) -> Any:
    """The source brings the CDK along, whose import `run` makes shorter if it comes first."""
    if name == "SourceMicrosoftGraph":
        from source_microsoft_graph.source import SourceMicrosoftGraph

        return SourceMicrosoftGraph
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
