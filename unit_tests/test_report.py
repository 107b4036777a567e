"""The check as a table, on terminals of several widths."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.console import Console

from source_microsoft_graph.check.preflight import Verdict
from source_microsoft_graph.check.report import Report
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.errors import Lack
from unit_tests.graph_api import CONFIG

LINK = "(https://learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent)"
VERDICTS = [
    Verdict("users", None, "User.Read.All"),
    Verdict("directory_roles", None, "RoleManagement.Read.Directory"),
    Verdict("drives", None, "Files.Read.All; drives of sites without a group take Sites.Read.All"),
    Verdict("conditional_access_policies", Lack.PERMISSION, "Policy.Read.All", permissions=("Policy.Read.All",)),
    Verdict("audit_logs_signins", Lack.LICENCE, "Sign-in logs need a licence.", f"Get one. {LINK}"),
]


def shown(width: int) -> list[str]:
    """The lines on a terminal of so many columns, without the blanks at their ends."""
    console = Console(file=io.StringIO(), width=width, highlight=False, force_terminal=True, color_system=None)
    Report(VERDICTS, frozenset({"User.Read.All"}), Config.parse(CONFIG)).show(console)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_line_fits_the_terminal(width: int) -> None:
    """Only a link may be longer: a part of one cannot be clicked."""
    assert [line for line in shown(width) if len(line) > width and line.strip() != LINK] == []
    assert sum(line.strip().endswith(LINK) for line in shown(width)) == 2


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_nothing_is_cut_off(width: int) -> None:
    """Every word of every verdict is there, at any width."""
    words = " ".join(shown(width)).split()
    for verdict in VERDICTS:
        for word in f"{verdict.stream} {verdict.word} {verdict.detail}".split():
            assert word in words


def test_details_stand_beside_or_below() -> None:
    """In a column of their own where there is one, and in a second line where there is not."""
    assert "✗ conditional_access_policies  permission missing  Policy.Read.All" in shown(80)
    narrow = shown(60)
    below = narrow.index("✗ conditional_access_policies  permission missing") + 1
    assert narrow[below] == "  Policy.Read.All"


def test_a_command_that_shows_nothing_does_not_import_rich() -> None:
    """Airbyte starts a process for each command, and each import delays it."""
    code = "import sys, source_microsoft_graph.entrypoint; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
