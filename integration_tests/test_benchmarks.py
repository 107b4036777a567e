"""The benchmarks run: each reader of a contest prints the same records, whatever it takes."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from integration_tests.runner import ROOT
from unit_tests.roll import expensive


@pytest.mark.parametrize("work", ["mail", "members"])
def test_a_contest_ends(work: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", work], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "| connector |" in run.stdout


def test_what_expensive_streams_cost_is_counted() -> None:
    """A row for each, with more requests than the stream has owners."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "costs", "--users", "20"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout + run.stderr
    asked = {
        name: int(number.replace(",", "")) for name, number in re.findall(r"^\| (\w+) \| ([\d,]+) ", run.stdout, re.M)
    }
    assert asked.keys() == expensive()
    assert min(asked.values()) > 20
