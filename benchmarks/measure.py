"""One process, started, pinned to a core, waited for and accounted for.

Its output goes to a file, which nobody reads meanwhile. On Linux a child's ru_maxrss is never less than what its
parent used at the start, so this process stays small: it imports little and keeps no record.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

Figures = dict[str, float]
"""What one run took and brought, by the names the report gives it."""

ROOT = Path(__file__).parent.parent
RECORD = b'"type":"RECORD"'
_STACK = 2**20
"""Bytes of address space that a thread gets for its stack. By default it is 8 MiB, of which hardly any is ever used,
and all of it counts as data."""


def run(command: Sequence[str], output: Path, cores: Sequence[int], settings: Mapping[str, str]) -> Figures:
    """Run a command of this checkout's on the first of the cores. Ends the benchmark where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    pin = partial(os.sched_setaffinity, 0, cores[:1])
    with output.open("wb") as file:
        busy, started = _busy(cores), time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, cwd=ROOT, preexec_fn=pin
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds, busy = time.monotonic() - started, _busy(cores) - busy
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        with output.open("rb") as lines:
            told = [line.decode()[:500].rstrip() for line in lines if RECORD not in line]
        sys.exit("\n".join([*told[-20:], f"{' '.join(command)} ended with {process.returncode}."]))
    cpu = used.ru_utime + used.ru_stime
    return {"s": seconds, "CPU s": cpu, "peak MB": used.ru_maxrss / 1024, "busy": busy}


@dataclass
class Reading:
    """What a read printed, and what it took. `states` holds the last state of each stream, as a message."""

    exit_code: int = 0
    records: int = 0
    figures: Figures = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, Any] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)
    """What it printed beside messages: an error of Python's, for example."""

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The contents of its messages of a kind: `log` or `trace`."""
        return [message[kind] for message in self.messages if kind in message]

    @property
    def last_words(self) -> str:
        return "\n".join([*map(json.dumps, self.messages[-9:]), *self.rest[-9:]])[-9000:]


def read_within(limit: int, command: Sequence[str], core: int, settings: Mapping[str, str]) -> Reading:
    """Read in a process that may have so many bytes of data, and take what it prints from a pipe, as Airbyte does.

    Linux counts as data what a process may write to and shares with no other, used or not, and refuses what goes
    beyond: https://man7.org/linux/man-pages/man2/getrlimit.2.html. So a process within this limit is within that of a
    container, which counts the pages in use; their peak is `peak MB`, and those of program files are in it.
    """

    def confine() -> None:
        os.sched_setaffinity(0, {core})
        resource.setrlimit(resource.RLIMIT_STACK, (_STACK, resource.getrlimit(resource.RLIMIT_STACK)[1]))
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    reading, started = Reading(), time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=2**20,
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        cwd=ROOT,
        preexec_fn=confine,
    )
    assert process.stdout
    with process.stdout as lines:
        for line in lines:
            if RECORD in line[:20]:
                if not reading.records:
                    reading.figures["first record after s"] = time.monotonic() - started
                reading.records += 1
            else:
                _note(reading, line)
        _, status, used = os.wait4(process.pid, 0)
    reading.exit_code = process.returncode = os.waitstatus_to_exitcode(status)
    reading.figures |= {
        "s": time.monotonic() - started,
        "CPU s": used.ru_utime + used.ru_stime,
        "peak MB": used.ru_maxrss / 1024,
    }
    return reading


def _note(reading: Reading, line: bytes) -> None:
    try:
        message = json.loads(line)
        kind = message["type"]
    except (ValueError, TypeError, KeyError):
        reading.rest.append(line.decode(errors="replace"))
        return
    if kind == "STATE":
        reading.states[message["state"]["stream"]["stream_descriptor"]["name"]] = message["state"]
    else:
        reading.messages.append(message)


def _busy(cores: Collection[int]) -> float:
    """Seconds that these cores have worked for anyone, or were kept from working by the machine's host."""
    busy = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name in {f"cpu{core}" for core in cores}:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, ticks[:8])
            busy += user + nice + system + irq + softirq + steal
    return busy / os.sysconf("SC_CLK_TCK")


def records(output: Path) -> Iterator[bytes]:
    """The lines of an output that are records."""
    with output.open("rb") as lines:
        yield from (line for line in lines if RECORD in line)
