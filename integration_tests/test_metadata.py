"""What Airbyte's registry is told about the connector, held against the connector itself."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
import yaml

from integration_tests.runner import ROOT, Message
from source_microsoft_graph.config.clouds import CLOUDS


def test_metadata_is_valid() -> None:
    models = pytest.importorskip(
        "airbyte_connector_models.metadata.v0.connector_metadata_definition_v0",
        reason="Airbyte's metadata models do not install on Python 3.13",
    )
    models.ConnectorMetadataDefinitionV0.model_validate(yaml.safe_load((ROOT / "metadata.yaml").read_text()))


def test_it_names_the_version_and_licence_of_the_package(metadata: dict[str, Any]) -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["poetry"]
    assert metadata["dockerImageTag"] == package["version"]
    assert metadata["license"] == package["license"]
    assert metadata["documentationUrl"] == package["documentation"]
    assert metadata["remoteRegistries"]["pypi"]["packageName"] == package["name"]


def test_it_names_what_the_dockerfile_builds(metadata: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    labels = dict(re.findall(r'(io\.airbyte\.\w+)="([^"]*)"', dockerfile))
    assert labels == {
        "io.airbyte.name": metadata["dockerRepository"],
        "io.airbyte.version": metadata["dockerImageTag"],
    }
    assert f"ARG BASE_IMAGE={metadata['connectorBuildOptions']['baseImage']}\n" in dockerfile


def test_it_allows_the_hosts_of_every_cloud(metadata: dict[str, Any]) -> None:
    hosts = {host for cloud in CLOUDS.values() for host in (cloud.login_host, cloud.graph_host)}
    custom = {"${cloud.login_host}", "${cloud.graph_host}"}
    assert set(metadata["allowedHosts"]["hosts"]) == hosts | custom


def test_it_suggests_streams_that_exist(metadata: dict[str, Any], streams: list[Message]) -> None:
    assert set(metadata["suggestedStreams"]["streams"]) <= {stream["name"] for stream in streams}


def test_the_icon_is_a_picture(metadata: dict[str, Any]) -> None:
    assert ElementTree.parse(ROOT / metadata["icon"]).getroot().tag == "{http://www.w3.org/2000/svg}svg"
