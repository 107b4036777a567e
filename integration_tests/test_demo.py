"""The README's main command, as somebody sees it who runs it for the first time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from integration_tests.runner import ROOT


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "integration_tests.demo", "--simulated", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_it_reads_and_tells(tmp_path: Path) -> None:
    """A line a stream with records and skipped objects, the reasons below, and a file a stream."""
    done = run("--streams", "users,team_member", "--output", str(tmp_path))

    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[1].split() == ["stream", "records", "skipped", "status"]
    assert [line.split() for line in lines[2:4]] == [
        ["users", "25", "complete"],
        ["team_member", "41", "1", "complete"],
    ]
    assert "Skipped objects:" in lines
    assert "    1 in team_member" in lines
    assert lines[-1].startswith("66 records in ")
    users = [json.loads(line) for line in (tmp_path / "users.jsonl").read_text().splitlines()]
    assert len({user["id"] for user in users}) == 25
    assert {user["user_type"] for user in users} == {"Member", "Guest"}


def test_a_stream_there_is_not_is_told(tmp_path: Path) -> None:
    """A misspelt stream is answered with those there are."""
    done = run("--streams", "user", "--output", str(tmp_path))

    assert done.returncode == 1
    assert "No such stream: user. There are users, applications," in done.stderr
