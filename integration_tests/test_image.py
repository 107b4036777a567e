"""The container image: what it says of itself, what is in it, and that it reads as the console script does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from integration_tests import configured_catalog
from integration_tests.runner import Image, Message, Runner
from simulated_tenant.server import Server

pytestmark = pytest.mark.image


def test_its_labels_name_the_connector(image: Image, metadata: dict[str, Any]) -> None:
    labels = image.inspect()["Config"]["Labels"]
    assert labels["io.airbyte.name"] == metadata["dockerRepository"]
    assert labels["io.airbyte.version"] == metadata["dockerImageTag"]


def test_airbyte_finds_its_entry_point(image: Image) -> None:
    """Airbyte starts what this variable says, inside a shell of its own."""
    settings = image.inspect()["Config"]
    variables = dict(variable.split("=", 1) for variable in settings["Env"])
    assert variables["AIRBYTE_ENTRYPOINT"] == " ".join(settings["Entrypoint"])


def test_it_runs_as_the_user_airbyte(image: Image) -> None:
    assert image.shell("id -un") == "airbyte\n"


def test_it_is_small(image: Image) -> None:
    """Base and all, unpacked."""
    assert image.inspect()["Size"] < 400_000_000


def test_it_holds_no_build_tools(image: Image) -> None:
    """No installer, no cache and no build tree come along, and every module is compiled."""
    home = image.shell('dirname "$(dirname "$AIRBYTE_ENTRYPOINT")"').strip()
    assert image.shell(f"ls -d /build /tools /root/.cache {home}/bin/pip* 2> /dev/null || true") == ""
    modules, compiled = image.shell(f"find {home} -name '*.py' | wc -l; find {home} -name '*.pyc' | wc -l").split()
    assert modules == compiled


def test_it_reads_what_the_console_script_reads(
    image: Image, console: Runner, config: dict[str, Any], streams: list[Message]
) -> None:
    catalog = configured_catalog.select(streams, "full_refresh")
    assert image.read(config, catalog).succeeded().counts == console.read(config, catalog).succeeded().counts


def test_it_reads_a_simulated_tenant(image: Image, server: Server, handed_out: Path) -> None:
    """The Dockerfile among the tenant's files makes an image that trusts the tenant, and needs a configuration only."""
    folder = handed_out / "secrets" / "simulated_tenant"
    shutil.copyfile(server.ca_bundle, folder / "ca.pem")
    assert image.derived("airbyte/source-microsoft-graph:simulated", folder).check(server.config()).succeeded()
