"""Airbyte's standard tests, as acceptance-test-config.yml configures them, against the simulated tenant."""

from __future__ import annotations

import pytest
from airbyte_cdk.test.standard_tests import SourceTestSuiteBase

from simulated_tenant.server import Server
from source_microsoft_graph import SourceMicrosoftGraph


@pytest.mark.usefixtures("configurations")
class TestSuite(SourceTestSuiteBase):
    connector = SourceMicrosoftGraph

    @pytest.fixture(autouse=True)
    def _trust_the_simulated_tenant(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_bundle))
