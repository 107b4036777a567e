"""Which module of the simulated tenant may know which: imports go one way, those for type checking too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "simulated_tenant"

# From the bottom up, as patterns of module names. A module imports from its own layer and from those below.
LAYERS = {
    "state": (
        "additions certificates changes clouds entities filters graph_types history limits mutations position problems "
        "report_columns request_log shapes size state tokens trust wire"
    ),
    "declarations": "arrange collection delta generated paging",
    "workloads": "workloads workloads.*",
    "catalogue": "catalogue expected",
    "Graph and sign-in": "batch downloads faults identity router signin throttling",
    "tenant": "tenant",
    "server": "handout server __init__ __main__",
}


def modules() -> dict[str, Path]:
    """The package's modules by their names below it; a sub-package has its own name."""
    paths = (ROOT / PACKAGE).rglob("*.py")
    named = {".".join(path.relative_to(ROOT / PACKAGE).with_suffix("").parts): path for path in paths}
    return {name.removesuffix(".__init__"): path for name, path in named.items()}


MODULES = modules()


def imports(path: Path) -> Iterator[str]:
    """The absolute name of everything a file imports, wherever the statement stands."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def known(module: str) -> set[str]:
    """The package's modules that a module imports: the longest names of modules that its imports begin with."""
    found = set()
    for name in imports(MODULES[module]):
        parts = name.split(".")
        if parts[0] == PACKAGE:
            starts = (".".join(parts[1:end]) for end in range(len(parts), 0, -1))
            found.add(next((start for start in starts if start in MODULES), "__init__"))
    return found


def layer(module: str) -> int:
    """The number of a module's layer."""
    (found,) = [
        number
        for number, patterns in enumerate(LAYERS.values())
        if any(fnmatch(module, pattern) for pattern in patterns.split())
    ]
    return found


@pytest.mark.parametrize("module", MODULES)
def test_a_module_knows_no_higher_layer(module: str) -> None:
    assert {other for other in known(module) if layer(other) > layer(module)} == set()


def test_no_imports_form_a_circle() -> None:
    """A module that is imported comes before those that import it. A circle raises a CycleError that shows it."""
    order = list(TopologicalSorter({module: known(module) for module in MODULES}).static_order())
    assert set(order) == set(MODULES)


def test_the_simulated_tenant_does_not_know_the_connector() -> None:
    """What the connector is tested against knows nothing of it."""
    named = {name.split(".")[0] for path in MODULES.values() for name in imports(path)}
    assert named & {"source_microsoft_graph", "integration_tests", "unit_tests", "tables", "benchmarks"} == set()
    assert PACKAGE in named
