"""Measure the connector beside what it could be, and print the figures as Markdown.

The simulated tenant has one core to itself, whoever reads it has another; each run is a fresh process against a fresh
tenant, and contenders take turns. All get their answers gzipped. Figures are medians, with the least and the most in
brackets; ratios are those of medians. Twenty GETs in a `$batch` cost the tenant's latency once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.measure import ROOT, Figures, records, run

LATENCY = 0.05
SCRIPTS = Path(sys.executable).parent
FLOOR, CONNECTOR, ONE_READER, LOW_CODE = (
    "floor without the CDK", "connector", "connector, one reader, no batches", "low-code manifest, 20 threads"
)  # fmt: skip
CONTENDERS = {
    FLOOR: [sys.executable, "-m", "benchmarks.floor", "read"],
    CONNECTOR: [str(SCRIPTS / "source-microsoft-graph"), "read"],
    ONE_READER: [sys.executable, "-m", "benchmarks.one_reader", "read"],
    LOW_CODE: [str(SCRIPTS / "source-declarative-manifest"), "read", "--manifest-path", "benchmarks/manifest.yaml"],
}
# As many of each as it takes for one limit of every kind to count.
MID_SIZE = {
    "users": 500, "groups": 300, "microsoft365_groups": 200, "teams": 100, "applications": 200,
    "service_principals": 300, "chats": 1000, "sign_ins": 30_000, "directory_audits": 10_000,
}  # fmt: skip
IMPORT = re.compile(r"^from (airbyte_cdk[\w.]*) import", re.MULTILINE)
NOISE = 0.1
"""The share of a core that other processes may take before the report says so."""


@dataclass(frozen=True)
class Work:
    """A tenant, and what to read of it."""

    streams: Sequence[str]
    size: Mapping[str, int]
    throttling: bool = False


def mail(users: int) -> Work:
    return Work(["mail_messages"], {"users": users, "messages_per_user": 30, "message_bytes": 2048})


def members(groups: int) -> Work:
    return Work(["group_member"], {"users": min(groups, 3000), "groups": groups, "members_per_group": 10})


class Bench:
    """The folder and the cores that all runs share, and what disturbed them."""

    def __init__(self, folder: Path, runs: int, quick: bool) -> None:
        self.folder, self.runs, self.quick = folder, runs, quick
        self.cores = sorted(os.sched_getaffinity(0))[:2]
        self.disturbed: list[float] = []
        self.limits: Figures = {}

    def mail(self) -> str:
        users = 120 if self.quick else 3000
        return self._contest(f"mail: {users:,} mailboxes of 30 messages of 2 kB", mail(users))

    def members(self) -> str:
        groups = 120 if self.quick else 10_000
        return self._contest(f"members: {groups:,} groups of about 10 members", members(groups))

    def memory(self) -> str:
        works = [mail(users) for users in ((67, 667) if self.quick else (3334, 33_334))]
        runs: dict[str, list[Figures]] = defaultdict(list)
        for _ in range(self.runs):
            for work in works:
                figures = self._read(CONNECTOR, work)
                runs[f"connector, {figures['records']:,.0f} messages"].append(figures)
        return _table("memory: ten times the messages", runs, {"ratio of peaks": "peak MB"}, ["peak MB", "CPU s", "s"])

    def throttled(self) -> str:
        streams = json.loads((ROOT / "integration_tests" / "configured_catalog.json").read_text())["streams"]
        size = {name: number // 10 if self.quick else number for name, number in MID_SIZE.items()}
        work = Work([configured["stream"]["name"] for configured in streams], size, throttling=True)
        runs = [self._read(CONNECTOR, work) for _ in range(self.runs)]
        needed = sorted(self.limits.items(), key=lambda limit: -limit[1])
        for figures in runs:
            figures["time ÷ what the limits allow"] = figures["s"] / needed[0][1]
            figures["throttled %"] = 100 * figures["throttled"] / figures["asked of Graph"]
        columns = ["time ÷ what the limits allow", "throttled %", "inside a Retry-After", "knowingly so"]
        columns += ["s", "CPU s", "records", "requests", "asked of Graph"]
        seconds = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in needed[:5] if seconds)
        title = f"throttled: all {len(work.streams)} streams of {size['users']} users under the published limits"
        return f"{_table(title, {CONNECTOR: runs}, {}, columns)}\nWhat single limits allow: {seconds}.\n"

    def startup(self) -> str:
        """Beside an import of all that the connector's modules import from the CDK."""
        sources = [path.read_text() for path in (ROOT / "source_microsoft_graph").rglob("*.py")]
        modules = sorted({module for source in sources for module in IMPORT.findall(source)})
        runs: dict[str, list[Figures]] = {"import of its parts of the CDK": [], "source-microsoft-graph spec": []}
        commands = [sys.executable, "-c", f"import {', '.join(modules)}"], [CONTENDERS[CONNECTOR][0], "spec"]
        for _ in range(self.runs + 2):
            for them, command in zip(runs.values(), commands, strict=True):
                them.append(run(command, self.folder / "output", self.cores, {}))
        return _table("startup", runs, {"time": "s"}, ["s", "CPU s", "peak MB"])

    def _contest(self, title: str, work: Work) -> str:
        """All contenders, by turns. The one reader waits nearly all the time, and always as long, so it runs once."""
        runs: dict[str, list[Figures]] = defaultdict(list)
        output, expected = self.folder / "output", self.folder / "expected"
        for turn in range(self.runs):
            for contender in CONTENDERS:
                if turn and contender == ONE_READER:
                    continue
                runs[contender].append(self._read(contender, work))
                if not expected.exists():
                    shutil.copy(output, expected)
                compare = [sys.executable, "-m", "benchmarks.keys", str(expected), str(output)]
                if subprocess.run(compare, cwd=ROOT, check=False).returncode:
                    sys.exit(f"{contender} did not print the records that the {FLOOR} printed first.")
        expected.unlink()
        columns = ["s", "CPU s", "records per CPU s", "requests", "asked of Graph", "throttled", "peak MB"]
        title = f"{title}, {runs[FLOOR][0]['records']:,.0f} records, {LATENCY * 1000:.0f} ms a request"
        return _table(title, runs, {"time ÷ floor": "s", "CPU ÷ floor": "CPU s"}, [*columns, "tenant's core busy %"])

    def _read(self, contender: str, work: Work) -> Figures:
        config, catalog, output = (self.folder / name for name in ("config.json", "catalog.json", "output"))
        catalog.write_text(json.dumps({"streams": [_configured(name) for name in work.streams]}))
        command = [*CONTENDERS[contender], "--config", str(config), "--catalog", str(catalog)]
        wanted = json.dumps({"size": work.size, "latency": LATENCY, "throttling": work.throttling})
        host = [sys.executable, "-m", "benchmarks.host", str(self.cores[1]), wanted]
        with subprocess.Popen(host, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as tenant:
            assert tenant.stdout
            reach = json.loads(tenant.stdout.readline())
            config.write_text(json.dumps(reach["config"]))
            figures = run(command, output, self.cores, {"REQUESTS_CA_BUNDLE": reach["ca_bundle"]})
            counted = json.loads(tenant.communicate()[0])
        self.limits = counted["shortest"]
        figures |= counted["account"]
        figures["records"] = sum(1 for _ in records(output))
        figures["records per CPU s"] = figures["records"] / figures["CPU s"]
        figures["tenant's core busy %"] = 100 * figures["tenant's CPU s"] / figures["s"]
        self.disturbed.append((figures["busy"] - figures["CPU s"] - figures["tenant's CPU s"]) / figures["s"])
        print(f"{', '.join(work.streams)[:40]}: {contender}: {figures['s']:.1f} s", file=sys.stderr, flush=True)
        return figures


def _configured(name: str) -> dict[str, object]:
    stream = {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    return {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}


def _table(title: str, runs: Mapping[str, Sequence[Figures]], ratios: Mapping[str, str], columns: Sequence[str]) -> str:
    """A row a contender; the ratios are to the first of them."""
    first = next(iter(runs.values()))
    rows = [[title, *ratios, *columns], ["---"] * (1 + len(ratios) + len(columns))]
    for name, them in runs.items():
        shares = [f"{_middle(them, figure) / _middle(first, figure):.2f}" for figure in ratios.values()]
        rows.append([name, *shares, *(_spread(them, figure) for figure in columns)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _middle(runs: Sequence[Figures], figure: str) -> float:
    return median(run[figure] for run in runs)


def _spread(runs: Sequence[Figures], figure: str) -> str:
    values, middle = [run[figure] for run in runs], _middle(runs, figure)
    digits = 0 if middle >= 100 or all(value == int(value) for value in values) else 1 if middle >= 10 else 2
    texts = [f"{value:,.{digits}f}" for value in (middle, min(values), max(values))]
    return texts[0] if texts[1] == texts[2] else f"{texts[0]} ({texts[1]}–{texts[2]})"


def main() -> None:
    works = ("mail", "members", "memory", "throttled", "startup")
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("works", nargs="*", metavar="|".join(works), help="what to measure; everything if left out")
    parser.add_argument("--quick", action="store_true", help="everything small and once, in about a minute")
    parser.add_argument("--runs", type=int, help="runs of each (default: 3, or 1 with --quick)")
    chosen = parser.parse_args()
    if not set(chosen.works) <= set(works):
        parser.error(f"choose from {', '.join(works)}")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("Two cores are needed, one for the tenant and one for the reader.")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), chosen.runs or (1 if chosen.quick else 3), chosen.quick)
        tables = [getattr(bench, work)() for work in works if work in (chosen.works or works)]
    print("\n".join(tables))
    print(
        f"`{' '.join(['python -m benchmarks', *sys.argv[1:]])}`: Python {platform.python_version()}, airbyte-cdk "
        f"{version('airbyte-cdk')}, {bench.runs} run(s) of each, one core for the tenant and one for the reader."
    )
    if (worst := max(bench.disturbed, default=0)) > NOISE:
        usual = median(bench.disturbed)
        print(f"Other processes took up to {worst:.0%} of a core, {usual:.0%} as a median: not a quiet machine.")


if __name__ == "__main__":
    main()
