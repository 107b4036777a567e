"""What the documents say is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from unit_tests.documents import DIAGRAMS, DOCUMENTS, DRAWN, OVERVIEWS, ROOT
from unit_tests.roll import expensive


def test_every_generated_part_is_shown() -> None:
    """No overview or diagram is drawn for nobody."""
    shown = {found[2] for document in DOCUMENTS for found in DRAWN.finditer(document.read_text())}
    assert shown == {*OVERVIEWS, *DIAGRAMS}


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name
)
def test_links_inside_the_repository_lead_somewhere(document: Path) -> None:
    """A relative link names a file that is there, and a heading that is in it."""
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", document.read_text()):
        file = document.parent / target if target else document
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file), f"{target}#{anchor}"


def _anchors(document: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_helm_values_are_those_of_the_documentation() -> None:
    """The file can be read, and the fragment in the text says what it says."""
    values = yaml.safe_load((ROOT / "examples" / "kubernetes" / "values.yaml").read_text())
    (fragment,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "outgrowing.md").read_text(), re.DOTALL)
    resources = yaml.safe_load(fragment)["global"]["workloads"]["resources"]
    assert resources == values["global"]["workloads"]["resources"]


def test_the_expensive_streams_are_selected_by_nobody() -> None:
    """Neither the metadata nor the configured catalog selects them, and the documents say what each costs."""
    metadata = yaml.safe_load((ROOT / "metadata.yaml").read_text())
    catalog = json.loads((ROOT / "integration_tests" / "configured_catalog.json").read_text())
    selected = {stream["stream"]["name"] for stream in catalog["streams"]}

    assert expensive()
    assert selected.isdisjoint(expensive())
    assert expensive().isdisjoint(metadata["data"]["suggestedStreams"]["streams"])
    text = (ROOT / "docs" / "microsoft-graph.md").read_text()
    costs = text.partition("### Performance")[2].partition("### Completeness")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", costs, re.MULTILINE)) == expensive()
