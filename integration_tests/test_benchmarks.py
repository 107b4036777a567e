"""The benchmarks run: each reader of a contest prints the same records, and what needs memory ends as it has to."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from benchmarks.large import WORKS
from benchmarks.measure import read_within
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


def test_what_needs_memory_ends_as_it_has_to() -> None:
    """Each work of a small tenant, within the memory that Airbyte gives: the benchmark fails where one is not read."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "large"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr
    table = [line for line in run.stdout.splitlines() if line.startswith("|")]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[2:]]
    endings = {line[0]: line[2:4] for line in lines}
    assert len(endings) == sum(work.syncs for work in WORKS)
    assert endings["one OneDrive of 2,000,000 items"] == ["0", "whole"]
    assert endings["one mail of 150 MB among others"] == ["0", "whole, 1 skipped"]
    assert endings["a page without an end"] == ["1", "mail_messages incomplete"]
    assert max(float(line[4]) for line in lines) < 400


@pytest.mark.parametrize("limit", [128 * 2**20, 16 * 2**20])
def test_a_limit_is_one(limit: int) -> None:
    """A process that needs more does not get it."""
    taking = f"taken = bytearray({limit}); print('taken')"

    within = read_within(4 * limit, [sys.executable, "-c", taking], 0, {})
    beyond = read_within(limit, [sys.executable, "-c", taking], 0, {})

    assert (within.exit_code, within.rest) == (0, ["taken\n"])
    assert (beyond.exit_code, beyond.rest[-1]) == (1, "MemoryError\n")
    assert limit / 2**20 < within.figures["peak MB"]
