"""The extract of Microsoft's published types."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulated_tenant import graph_types
from simulated_tenant.catalogue import STREAM_TYPES

METADATA = """<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="microsoft.graph" Alias="graph">
  <EntityType Name="entity" Abstract="true"><Property Name="id" Type="Edm.String"/></EntityType>
  <EntityType Name="alert" BaseType="graph.entity"><Property Name="title" Type="Edm.String"/></EntityType>
  <EntityType Name="other" BaseType="graph.entity"><Property Name="title" Type="Edm.String"/></EntityType>
</Schema>
<Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="microsoft.graph.security" Alias="self">
  <EnumType Name="level"><Member Name="low" Value="0"/></EnumType>
  <ComplexType Name="evidence"><Property Name="level" Type="self.level"/></ComplexType>
  <ComplexType Name="fileEvidence" BaseType="self.evidence"><Property Name="path" Type="Edm.String"/></ComplexType>
  <EntityType Name="alert" BaseType="graph.entity">
    <Property Name="evidence" Type="Collection(self.evidence)"/>
    <NavigationProperty Name="others" Type="Collection(graph.other)"/>
  </EntityType>
</Schema></edmx:DataServices></edmx:Edmx>"""


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    file = tmp_path / "METADATA.xml"
    file.write_text(METADATA)
    return file


def test_an_extract_holds_what_can_occur_inside_its_roots(metadata: Path) -> None:
    """Names of two namespaces are kept apart, and what derives from a complex type comes with it."""
    extract = graph_types.build(metadata, ["security.alert"])
    assert list(extract["types"]) == ["entity", "security.alert", "security.evidence", "security.fileEvidence"]
    assert extract["enums"] == {"security.level": ["low"]}
    assert extract["types"]["security.alert"]["properties"] == {"evidence": ["security.evidence"]}
    assert extract["types"]["entity"].get("abstract")


def test_an_extract_is_extended_by_a_type(metadata: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it was asked for before stays in it, and is written down in it."""
    file = tmp_path / "types.json"
    monkeypatch.setattr(graph_types, "DATA_FILE", file)
    monkeypatch.setattr(graph_types, "load", lambda: graph_types.build(metadata, ["alert"]))
    monkeypatch.setattr("sys.argv", ["graph_types", str(metadata), "#microsoft.graph.security.alert"])
    assert graph_types.main() == 0
    extract = json.loads(file.read_text())
    assert extract["roots"] == ["alert", "security.alert"]
    assert {"alert", "security.alert", "security.fileEvidence"} <= set(extract["types"])


def test_an_extract_of_a_type_that_is_not_published_is_refused(
    metadata: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(graph_types, "DATA_FILE", tmp_path / "types.json")
    monkeypatch.setattr(graph_types, "load", lambda: graph_types.build(metadata, ["alert"]))
    monkeypatch.setattr("sys.argv", ["graph_types", str(metadata), "allert"])
    assert graph_types.main() == 1
    assert "does not publish these types: allert" in capsys.readouterr().err
    assert not (tmp_path / "types.json").exists()


def test_the_extract_is_whole() -> None:
    """It holds its roots, and of every property the type; what is neither a type nor an enum is OData's own."""
    types = graph_types.load()["types"]
    assert set(graph_types.load()["roots"]) | set(STREAM_TYPES.values()) <= set(types)
    kinds = {
        kind if isinstance(kind, str) else kind[0] for one in types.values() for kind in one["properties"].values()
    }
    elsewhere = {kind for kind in kinds if not graph_types.is_type(kind) and graph_types.enum_members(kind) is None}
    assert all(kind[:1].isupper() for kind in elsewhere), elsewhere
