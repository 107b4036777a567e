"""Airbyte's standard tests, as acceptance-test-config.yml configures them, against the simulated tenant."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from airbyte_cdk.test.standard_tests import SourceTestSuiteBase

from integration_tests.runner import ROOT
from simulated_tenant.server import Server
from source_microsoft_graph import SourceMicrosoftGraph


class TestSuite(SourceTestSuiteBase):
    connector = SourceMicrosoftGraph
    root: ClassVar[Path] = ROOT

    @classmethod
    def get_connector_root_dir(cls) -> Path:
        return cls.root

    @pytest.fixture(autouse=True)
    def _with_the_simulated_tenant(self, server: Server, handed_out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(TestSuite, "root", handed_out)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_bundle)
