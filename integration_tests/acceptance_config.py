"""The configuration of Airbyte's original acceptance suite: that of the CDK's suite and what the CDK's refuses.

The original suite demands `expect_records` at high strictness. The CDK's, which took its place, ends at that word and
reads one file only, at the root of the repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from integration_tests.runner import ROOT

OF_THE_CDK = ROOT / "acceptance-test-config.yml"
FILE = Path(__file__).with_name("acceptance") / "acceptance-test-config.yml"
IMAGE = "airbyte/source-microsoft-graph:simulated"
"""The connector's image with trust in the simulated tenant, as the Dockerfile among the tenant's files makes it."""

_HEAD = (
    "# Made from ../../acceptance-test-config.yml by `python3 dev.py generate`. docs/running.md says how it is used.\n"
)


def current() -> str:
    """What the file ought to hold."""
    config: dict[str, Any] = yaml.safe_load(OF_THE_CDK.read_text(encoding="utf-8"))
    config = {"connector_image": IMAGE, "base_path": ".", **{k: v for k, v in config.items() if k != "connector_image"}}
    for test in config["acceptance_tests"]["basic_read"]["tests"]:
        folder = Path(test["config_path"]).parent
        test["expect_records"] = {"path": str(folder / "expected_records.jsonl")}
    return _HEAD + yaml.safe_dump(config, sort_keys=False, width=116)
