"""What the documents say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unit_tests.tables import DIAGRAMS, DOCUMENTS, DRAWN, ROOT, TABLES, redrawn


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_tables_are_current(document: Path) -> None:
    """Redrawing changes nothing; if this fails, run `python -m unit_tests.tables`."""
    text = document.read_text()
    assert redrawn(text) == text


def test_every_table_is_shown() -> None:
    """No table or diagram is drawn for nobody."""
    shown = {found[2] for document in DOCUMENTS for found in DRAWN.finditer(document.read_text())}
    assert shown == {*TABLES, *DIAGRAMS}


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name
)
def test_links_inside_the_repository_lead_somewhere(document: Path) -> None:
    """A relative link names a file that is there."""
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target
