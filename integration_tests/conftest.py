from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml
from airbyte_cdk.test.models.scenario import ConnectorTestScenario, ScenarioCommand

from integration_tests import configured_catalog
from integration_tests.runner import ROOT, ConsoleScript, Image, Runner, engine_trouble
from simulated_tenant import handout
from simulated_tenant.server import Server, serve
from simulated_tenant.tenant import Tenant

STANDARD_TESTS: Mapping[str, ScenarioCommand] = {
    "test_config_matches_spec": "spec",
    "test_check": "check",
    "test_discover": "discover",
    "test_basic_read": "read",
    "test_fail_read_with_bad_catalog": "read",
}
"""The standard tests that take a scenario, and the command each runs."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drop the standard tests that have nothing to do here.

    Those of an image run one that Airbyte's tools build from what they download; ours has its own in test_image.py.
    The others run for each scenario, though acceptance-test-config.yml asks for few of these pairs; the rest would
    only skip.
    """
    items[:] = [item for item in items if not item.get_closest_marker("image_tests") and _is_asked_for(item)]


def _is_asked_for(item: pytest.Item) -> bool:
    parameters = getattr(item, "callspec", None)
    scenario = parameters.params.get("scenario") if parameters else None
    if not isinstance(scenario, ConnectorTestScenario):
        return True
    return scenario.runs(STANDARD_TESTS[item.name.partition("[")[0]])


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The simulated tenant that tests read but never change."""
    with serve(Tenant()) as server:
        yield server


@pytest.fixture
def tenant() -> Tenant:
    """A tenant of one test's own, to be changed at will."""
    return Tenant()


@pytest.fixture
def own_server(tenant: Tenant) -> Iterator[Server]:
    with serve(tenant) as server:
        yield server


@pytest.fixture(scope="session")
def config(server: Server) -> dict[str, Any]:
    return dict(server.config())


@pytest.fixture(scope="session")
def wrong_secret(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration that is sound but for the value of its client secret; in the nested form, for a change."""
    return handout.with_wrong_secret(config)


@pytest.fixture(scope="session")
def console(server: Server) -> Runner:
    return ConsoleScript(Path(server.ca_bundle))


def cannot_run(why: str) -> NoReturn:
    """Skip what needs something that is not here; in CI fail, so that no test is left out."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def image(server: Server) -> Image:
    """The container image."""
    if trouble := engine_trouble():
        cannot_run(f"The image's tests need a container engine: {trouble}")
    return Image.build(Path(server.ca_bundle))


@pytest.fixture(scope="session", params=["console", pytest.param("image", marks=pytest.mark.image)])
def runner(request: pytest.FixtureRequest) -> Runner:
    """The connector, first as the console script and then as the image."""
    found: Runner = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def streams(console: Runner, config: dict[str, Any]) -> list[dict[str, Any]]:
    """The streams of the discovered catalog."""
    found: list[dict[str, Any]] = console.discover(config).succeeded().only("CATALOG")["streams"]
    return found


@pytest.fixture(scope="session")
def metadata() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "metadata.yaml").read_text())["data"]
    return found


@pytest.fixture(scope="session")
def handed_out(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository as Airbyte's suites see it, with the files of `python3 dev.py tenant` in place.

    The suites look below the root of the repository, where a person's own tenant may have its files.
    """
    root = tmp_path_factory.mktemp("repository") / "source-microsoft-graph"
    root.mkdir()
    for name in ("acceptance-test-config.yml", "integration_tests", "metadata.yaml", "source_microsoft_graph"):
        (root / name).symlink_to(ROOT / name)
    folder = root / "secrets" / "simulated_tenant"
    folder.mkdir(parents=True)
    handout.write(server, folder, configured_catalog.FILE)
    return root
