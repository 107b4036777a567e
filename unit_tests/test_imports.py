"""Which module may know which: imports of the connector point one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "source_microsoft_graph"

LAYERS = (
    "version",
    "redaction",
    "output",
    "process",
    "logs",
    "errors",
    "retries",
    "transport",
    "auth",
    "config",
    "graph",
    "sync",
    "streams",
    "read",
    "check",
    "field_report",
    "source",
    "entrypoint",
    "run",
)
"""The rooms of the connector, the lowest first. A module imports modules of its own room and of those before it."""


def modules() -> Mapping[str, Path]:
    """Every module of the package by its name."""
    found = {}
    for file in (ROOT / PACKAGE).rglob("*.py"):
        *folders, name = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(folders if name == "__init__" else (*folders, name))] = file
    return found


MODULES = modules()


def imports(module: str) -> set[str]:
    """The modules of the package that one imports, wherever in it and for whatever purpose."""
    return {name for node in ast.walk(ast.parse(MODULES[module].read_text())) for name in _imported(node)}


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in MODULES)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "an import says the whole name"
        for alias in node.names:
            names = (f"{node.module}.{alias.name}", node.module)
            yield from [name for name in names if name in MODULES][:1]


def layer(module: str) -> str:
    """The room that a module is in; the package itself passes on the source."""
    return module.split(".")[1] if "." in module else "run"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_one_way(module: str) -> None:
    """A module imports nothing of a room above its own."""
    allowed = LAYERS[: LAYERS.index(layer(module)) + 1]

    assert {imported for imported in imports(module) if layer(imported) not in allowed} == set()


def test_no_imports_form_a_circle() -> None:
    """Not inside a room either, type-only imports included; `prepare` raises where there is a circle."""
    TopologicalSorter({module: imports(module) for module in MODULES}).prepare()


def test_every_room_is_used() -> None:
    """The list of rooms is the package's."""
    assert {layer(module) for module in MODULES} == set(LAYERS)


def test_the_floor_of_the_benchmarks_has_no_cdk() -> None:
    """It measures what reading costs without the CDK, and takes the connector's names of columns for it."""
    look = "import sys, benchmarks.floor; sys.exit('airbyte_cdk' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", look], cwd=ROOT, check=False).returncode == 0
