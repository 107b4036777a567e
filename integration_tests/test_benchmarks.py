"""The benchmarks run: each reader of a contest prints the same records, whatever it takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from integration_tests.runner import ROOT


@pytest.mark.parametrize("work", ["mail", "members"])
def test_a_contest_ends(work: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", work], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "| connector |" in run.stdout
