"""The generated files that take a run of the connector."""

from __future__ import annotations

import pytest

from generators.registry import GENERATORS, REMEDY, Generator


@pytest.mark.parametrize("generator", [one for one in GENERATORS if one.runs_connector], ids=lambda one: one.name)
def test_generated_files_are_current(generator: Generator) -> None:
    """Generating changes nothing in what is checked in."""
    assert [file for file, _ in generator.outdated()] == [], REMEDY
