"""One process, started, pinned to a core, waited for and accounted for.

Its output goes to a file, which nobody reads meanwhile. On Linux a child's ru_maxrss is never less than what its
parent used at the start, so this process stays small: it imports little and keeps no record.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

Figures = dict[str, float]
"""What one run took and brought, by the names the report gives it."""

ROOT = Path(__file__).parent.parent
RECORD = b'"type":"RECORD"'


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
