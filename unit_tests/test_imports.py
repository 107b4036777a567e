"""Which module may know which."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "source_microsoft_graph"

ALLOWED = {
    "__init__": {"source"},
    "run": {"entrypoint"},
    "entrypoint": {"config", "logs", "output", "report", "source"},
    "source": {
        "config",
        "cursors",
        "errors",
        "output",
        "preflight",
        "reader",
        "report",
        "streams",
        "streams.base",
        "sync",
    },
    "preflight": {"batch", "client", "errors", "pacing", "streams.base", "sync"},
    "report": {"config", "errors", "preflight"},
    "logs": set(),
    "output": set(),
    "reader": {"cursors", "output", "pacing", "reporter", "streams.base"},
    "reporter": {"pacing", "streams.base"},
    "clouds": set(),
    "cursors": set(),
    "config": {"clouds", "credentials"},
    "credentials": {"errors"},
    "records": set(),
    "errors": set(),
    "pacing": set(),
    "auth": {"config", "credentials", "errors", "pacing"},
    "batch": {"errors"},
    "client": {"auth", "batch", "errors", "pacing"},
    "sync": {"auth", "batch", "client", "config", "errors", "logs", "pacing"},
    "streams.listing": {"errors"},
    "streams.base": {"batch", "client", "cursors", "errors", "pacing", "records", "streams.listing", "sync"},
    "streams.delta": {"client", "cursors", "errors", "records", "streams.base", "streams.listing", "sync"},
    "streams.window": {"cursors", "records", "streams.base", "streams.listing", "sync"},
    "streams.child": {"batch", "streams.base", "sync"},
    "streams.directory": {
        "cursors",
        "errors",
        "pacing",
        "records",
        "streams.base",
        "streams.child",
        "streams.delta",
        "streams.listing",
    },
    "streams.teams": {"pacing", "streams.child", "streams.directory"},
    "streams.mailbox": {"pacing", "records", "streams.base", "streams.child", "streams.directory", "streams.listing"},
    "streams.files": {
        "batch",
        "cursors",
        "pacing",
        "streams.base",
        "streams.child",
        "streams.delta",
        "streams.directory",
        "streams.listing",
    },
    "streams.audit": {"pacing", "streams.base", "streams.window"},
    "streams.__init__": {
        "streams.audit",
        "streams.base",
        "streams.directory",
        "streams.files",
        "streams.mailbox",
        "streams.teams",
    },
}


def modules() -> dict[str, Path]:
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}


def imports(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {
        name.removeprefix("source_microsoft_graph.") for name in names if name.startswith("source_microsoft_graph.")
    }


@pytest.mark.parametrize(("module", "path"), modules().items(), ids=lambda value: str(value))
def test_imports_go_one_way(module: str, path: Path) -> None:
    """A module imports what the picture allows and nothing else."""
    assert imports(path) == ALLOWED[module]
