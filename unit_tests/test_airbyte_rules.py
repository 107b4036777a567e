"""What Airbyte's own checks demand of a connector that it publishes, as far as files in this repository can meet it.

https://docs.airbyte.com/contributing-to-airbyte/resources/qa-checks lists them. One is not met: a published Python
connector has no Dockerfile, because Airbyte's tools build its image. Here it is the Dockerfile that does.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

from source_microsoft_graph.config.configuration import SPEC
from unit_tests.documents import ROOT

METADATA: dict[str, Any] = yaml.safe_load((ROOT / "metadata.yaml").read_text())["data"]
NAME: str = METADATA["name"]
PAGE = (ROOT / "docs" / "microsoft-graph.md").read_text()

OWN, OPTIONAL = "…", "?"
OUTLINE = f"""
{NAME}
Prerequisites
Setup guide
Set up {NAME}
?For Airbyte Cloud:
?For Airbyte Open Source:
…
?Set up the {NAME} connector in Airbyte
?For Airbyte Cloud:
?For Airbyte Open Source:
…
Supported sync modes
Supported Streams
…
?Performance considerations
?Data type map
?Limitations & Troubleshooting
…
?Tutorials
Changelog
""".split("\n")[1:-1]
"""The headings of a connector's page in their order, down to the fourth level. Those with a question mark may be
missing, and at the dots a connector may have headings of its own."""

CREDENTIALS = ("account", "auth", "credentials", "access", "client")
"""Words of which the prerequisites have to use one."""

TEXTS = {
    NAME: f"""
<HideInUI>

This page contains the setup guide and reference information for the [{NAME}](LINK) source connector.

</HideInUI>
""",
    "For Airbyte Cloud:": f"""
1. [Log into your Airbyte Cloud](LINK) account.
2. Click Sources and then click + New source.
3. On the Set up the source page, select {NAME} from the Source type dropdown.
4. Enter a name for the {NAME} connector.
""",
    "For Airbyte Open Source:": """
1. Navigate to the Airbyte Open Source dashboard.
""",
    "Supported sync modes": f"""
The {NAME} source connector supports the following [sync modes](LINK):
""",
    "Changelog": """
<details>
  <summary>Expand to review</summary>
""",
}
"""How these sections begin."""


def outline() -> str:
    """A regular expression for the headings of a page, one a line."""
    known = [line.removeprefix(OPTIONAL) for line in OUTLINE if line != OWN]
    own = f"(?:(?!(?:{'|'.join(map(re.escape, known))})\n).*\n)*"
    parts = []
    for line in OUTLINE:
        heading = f"(?:{re.escape(line.removeprefix(OPTIONAL))}\n)"
        parts.append(own if line == OWN else f"{heading}?" if line.startswith(OPTIONAL) else heading)
    return "".join(parts)


def sections() -> dict[str, str]:
    """What stands below each heading of the page, up to the next one."""
    _, *parts = re.split(r"^#{1,4} (.+)\n", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_the_page_has_airbytes_outline() -> None:
    assert re.fullmatch(outline(), "".join(f"{heading}\n" for heading in sections()))


@pytest.mark.parametrize("heading", TEXTS)
def test_sections_begin_as_airbytes_do(heading: str) -> None:
    text = re.sub(r"\]\(https://[^)]+\)", "](LINK)", sections()[heading])
    assert text.startswith(TEXTS[heading])


def test_the_prerequisites_name_what_has_to_be_filled_in() -> None:
    """The titles of the required fields, and credentials."""
    text = sections()["Prerequisites"].lower()
    assert [name for name in SPEC["required"] if SPEC["properties"][name]["title"].lower() not in text] == []
    assert any(word in text for word in CREDENTIALS)


def test_the_changelog_has_this_version() -> None:
    assert f"| {METADATA['dockerImageTag']} |" in sections()["Changelog"]


def test_nothing_is_asked_of_a_host_without_tls() -> None:
    """Where something that has to begin with http:// is no request, the line says why."""
    files = subprocess.check_output(["git", "-C", str(ROOT), "ls-files", "-z"], text=True).split("\0")
    unchecked = re.compile(r"^$|^(unit_tests|integration_tests)/|\.svg$")
    lines = [
        (name, line)
        for name in files
        if not unchecked.search(name) and (ROOT / name).is_file()
        for line in (ROOT / name).read_text(encoding="utf-8").lower().splitlines()
        if "http://" in line.replace("http://localhost", "").replace("http://json-schema.org", "")
    ]
    assert [each for each in lines if "# ignore-https-check" not in each[1]] == []


def test_the_metadata_is_complete() -> None:
    """Licence, version, packaging, hosts, suggested streams, tags and the suites that a published connector has."""
    poetry = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["poetry"]
    assert METADATA["license"].upper() in ("MIT", "ELV2")
    assert METADATA["license"] == poetry["license"]
    assert METADATA["dockerImageTag"] == poetry["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", METADATA["dockerImageTag"])
    assert (ROOT / "poetry.lock").is_file()
    assert not (ROOT / "setup.py").exists()
    assert METADATA["icon"] == "icon.svg"
    assert METADATA["remoteRegistries"]["pypi"]["enabled"] is True
    assert METADATA["connectorBuildOptions"]["baseImage"].startswith("docker.io/airbyte/python-connector-base:")
    assert METADATA["allowedHosts"]["hosts"]
    assert METADATA["suggestedStreams"]["streams"]
    assert [tag for tag in METADATA["tags"] if tag.startswith("language:")] == ["language:python"]
    assert all(":" in tag for tag in METADATA["tags"])
    assert {suite["suite"] for suite in METADATA["connectorTestSuitesOptions"]} >= {"unitTests", "acceptanceTests"}
