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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.large import LIMIT, WORKS, Ending, LargeWork, table_of
from benchmarks.measure import ROOT, Figures, read_within, records, run
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.window import WindowStream
from unit_tests.roll import every_stream

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
TRACKED = [stream for stream in every_stream() if stream.cursor_field and stream.service is not Service.CHAT_MESSAGES]
INCREMENTAL = [stream.name for stream in TRACKED]
USAGE_REPORTS = {stream.name for stream in every_stream() if stream.service is Service.USAGE_REPORTS}
SERVICES = ("directory", "outlook", "files", "audit")
NOISE = 0.1
"""The share of a core that other processes may take before the report says so."""


@dataclass(frozen=True)
class Work:
    """A tenant, and what to read of it."""

    streams: Sequence[str]
    size: Mapping[str, int]
    throttling: bool = False
    counting: bool = False


def mail(users: int) -> Work:
    return Work(["mail_messages"], {"users": users, "messages_per_user": 30, "message_bytes": 2048})


def members(groups: int) -> Work:
    size = {"users": min(groups, 3000), "groups": groups, "members_per_group": 10, "service_principals": 0}
    return Work(["group_member"], size)


class Bench:
    """The folder and the cores that all runs share, and what disturbed them."""

    def __init__(self, folder: Path, runs: int, chosen: argparse.Namespace) -> None:
        """`chosen` holds the arguments of the command line."""
        self.folder, self.runs, self.quick = folder, runs, chosen.quick
        self.users: int | None = chosen.users
        self.lines: list[int] = chosen.lines
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
        """Without the usage reports: fourteen requests in ten minutes would be all that is measured."""
        streams = json.loads((ROOT / "integration_tests" / "configured_catalog.json").read_text())["streams"]
        size = {name: number // 10 if self.quick else number for name, number in MID_SIZE.items()}
        names = [configured["stream"]["name"] for configured in streams]
        work = Work([name for name in names if name not in USAGE_REPORTS], size, throttling=True)
        runs = [self._read(CONNECTOR, work) for _ in range(self.runs)]
        needed = sorted(self.limits.items(), key=lambda limit: -limit[1])
        for figures in runs:
            figures["time ÷ what the limits allow"] = figures["s"] / needed[0][1]
            figures["throttled %"] = 100 * figures["throttled"] / figures["asked of Graph"]
        columns = ["time ÷ what the limits allow", "throttled %", "inside a Retry-After", "knowingly so"]
        columns += ["s", "CPU s", "records", "requests", "asked of Graph"]
        seconds = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in needed[:5] if seconds)
        share = f"{len(work.streams)} of {len(names)} streams"
        title = f"throttled: {share} of {size['users']} users under the published limits"
        return f"{_table(title, {CONNECTOR: runs}, {}, columns)}\nWhat single limits allow: {seconds}.\n"

    def incremental(self) -> str:
        """A full refresh beside what an incremental sync takes after an hour in which one object in a hundred changed.

        Chat messages are left out: each chat has to be asked either way, at the pace that Graph allows. Contacts are in
        the default folder; each other folder of a mailbox takes two requests a sync, whatever has changed.
        """
        users = 200 if self.quick else 10_000
        size = {
            "users": users, "groups": users // 5, "applications": users // 50, "service_principals": users // 20,
            "messages_per_user": 30, "events_per_user": 12, "items_per_drive": 42, "contact_folders": 0, "chats": 0,
            "sign_ins": 2 * users, "directory_audits": users,
        }  # fmt: skip
        names = "config.json", "catalog.json", "state.json", "output"
        config, catalog, state, output = (self.folder / name for name in names)
        state.write_text("[]")
        command = [*CONTENDERS[CONNECTOR], "--config", str(config), "--catalog", str(catalog), "--state", str(state)]
        nothing = {"streams": [], "every": 1}
        changes = {"streams": [each.name for each in TRACKED if not isinstance(each, WindowStream)], "every": 100}
        runs: dict[str, list[Figures]] = {"full": []}
        asked = [f"asked of {service}" for service in SERVICES]
        with self._tenant({"size": size, "latency": LATENCY, "throttling": False}) as (tenant, reach):
            config.write_text(json.dumps(reach["config"]))
            for title, then in (("first incremental", changes), ("incremental", nothing), ("full", nothing)):
                mode = "full_refresh" if title == "full" else "incremental"
                catalog.write_text(json.dumps({"streams": [_configured(name, mode) for name in INCREMENTAL]}))
                figures = run(command, output, self.cores, {"REQUESTS_CA_BUNDLE": reach["ca_bundle"]})
                told = _change(tenant, then)
                figures |= {name: told.get(name, 0.0) for name in asked} | _states(output, state)
                figures["records"] = sum(1 for _ in records(output))
                figures["tenant's core busy %"] = 100 * told["tenant's CPU s"] / figures["s"]
                runs[title] = [figures]
                print(f"incremental: {title}: {figures['s']:.1f} s", file=sys.stderr, flush=True)
            tenant.communicate()
        columns = ["s", "CPU s", "tenant's core busy %", "records", *asked, "state kB", "states ÷ records %"]
        return _table(f"incremental: {users:,} users, one object in a hundred changed", runs, {"time": "s"}, columns)

    def teams(self) -> str:
        """Chat messages of N users and 10 N chats after an hour in which one in a hundred changed, by chat and by
        export, under the published limits. The first sync of each way reads the full history."""
        users = self.users or (100 if self.quick else 1000)
        size = {
            "users": users, "chats": 10 * users, "messages_per_chat": 10, "messages_in_longest_chat": 10,
            "groups": 0, "applications": 0, "service_principals": 1, "devices": 0,
        }  # fmt: skip
        config, catalog, state, output = (
            self.folder / name for name in ("config.json", "catalog.json", "state", "out")
        )
        catalog.write_text(json.dumps({"streams": [_configured("chat_messages", "incremental")]}))
        command = [*CONTENDERS[CONNECTOR], "--config", str(config), "--catalog", str(catalog), "--state", str(state)]
        runs: dict[str, list[Figures]] = {}
        for way in ("chat", "user_export"):
            wanted = {"size": size, "latency": LATENCY, "throttling": True}
            state.write_text("[]")
            with self._tenant(wanted) as (tenant, reach):
                config.write_text(json.dumps({**reach["config"], "chat_messages_by": way, "lookback_window": "PT0S"}))
                for title, every in (("first", 100), ("incremental", 0)):
                    figures = run(command, output, self.cores, {"REQUESTS_CA_BUNDLE": reach["ca_bundle"]})
                    if every:
                        told = _change(tenant, {"streams": ["chat_messages"], "every": every})
                    else:
                        told = json.loads(tenant.communicate()[0])["account"]
                    figures |= {"tenant's CPU s": told["tenant's CPU s"]} | _states(output, state)
                    figures["records"] = sum(1 for _ in records(output))
                    runs[f"{title}, by {way}"] = [figures]
                    print(f"teams: {title}, by {way}: {figures['s']:.1f} s", file=sys.stderr, flush=True)
        columns = ["s", "CPU s", "tenant's CPU s", "records", "peak MB", "state kB"]
        title = f"teams: {users:,} users, {10 * users:,} chats, one message in a hundred changed, published limits"
        by_chat, by_export = (runs[f"incremental, by {way}"] for way in ("chat", "user_export"))
        ratio = _middle(by_export, "s") / _middle(by_chat, "s")
        return f"{_table(title, runs, {}, columns)}\nIncremental, by export ÷ by chat: {ratio:.3f} of the time.\n"

    def costs(self) -> str:
        """What each stream that nothing selects by default asks of Graph, its parents included, and the minutes that
        the slowest of the published limits takes for it."""
        users = self.users or (100 if self.quick else 1000)
        size = {
            "users": users, "groups": users * 3 // 10, "microsoft365_groups": users * 3 // 10, "teams": users // 5,
            "other_sites": users * 3 // 10, "lists_per_site": 10, "items_per_list": 20, "items_per_drive": 100,
            "messages_per_user": 50,
        }  # fmt: skip
        runs: dict[str, list[Figures]] = {}
        for name in [stream.name for stream in every_stream() if stream.expensive]:
            figures = self._read(CONNECTOR, Work([name], size, counting=True))
            figures["minutes that the limits take"] = max(self.limits.values()) / 60
            runs[name] = [figures]
        shape = ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in size.items())
        return _table(f"costs: {shape}", runs, {}, ["asked of Graph", "minutes that the limits take", "records"])

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

    def large(self) -> str:
        """What needs memory, each work in a process that may have as much as Airbyte gives. Ends the benchmark where
        one does not end as it has to."""
        chosen = [work for number, work in enumerate(WORKS, 1) if number in self.lines or not self.lines]
        endings = [ending for work in chosen for ending in self._endings_of(work)]
        table = table_of(endings)
        if wrong := [ending.title for ending in endings if ending.is_wrong]:
            sys.exit(f"{table}\nThese did not end as they have to: {'; '.join(wrong)}.")
        return table

    def _endings_of(self, work: LargeWork) -> Iterator[Ending]:
        """One for each sync."""
        size = {**work.size, **work.quick} if self.quick else work.size
        config, catalog, state = (self.folder / name for name in ("config.json", "catalog.json", "state.json"))
        catalog.write_text(
            json.dumps({"streams": [_configured(name, work.mode, work.destination) for name in work.streams]})
        )
        state.write_text("[]")
        command = [*CONTENDERS[CONNECTOR], "--config", str(config), "--catalog", str(catalog), "--state", str(state)]
        wanted = {"size": size, "latency": LATENCY, "throttling": False, "faults": work.faults}
        with self._tenant({**wanted, "mail_bytes": work.mail_bytes}) as (tenant, reach):
            config.write_text(json.dumps({**reach["config"], **work.settings}))
            for sync in range(work.syncs):
                reading = read_within(LIMIT, command, self.cores[0], {"REQUESTS_CA_BUNDLE": reach["ca_bundle"]})
                state.write_text(json.dumps([*reading.states.values()]))
                ending = Ending(work, reading, sync, 0 if sync else work.rows(size))
                print(f"large: {ending}", file=sys.stderr, flush=True)
                yield ending
            tenant.communicate()

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
        wanted = {
            "size": work.size, "latency": 0 if work.counting else LATENCY, "throttling": work.throttling,
            "counting": work.counting,
        }  # fmt: skip
        with self._tenant(wanted) as (tenant, reach):
            # The others ask for Outlook's usual ids.
            config.write_text(json.dumps({**reach["config"], "immutable_ids": False}))
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

    @contextmanager
    def _tenant(self, wanted: Mapping[str, object]) -> Iterator[tuple[subprocess.Popen[str], Mapping[str, Any]]]:
        """A tenant on its own core, and how to reach it."""
        host = [sys.executable, "-m", "benchmarks.host", str(self.cores[1]), json.dumps(wanted)]
        with subprocess.Popen(host, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as tenant:
            assert tenant.stdout
            yield tenant, json.loads(tenant.stdout.readline())


def _change(tenant: subprocess.Popen[str], changes: Mapping[str, object]) -> Figures:
    """Have the tenant change, and tell what was asked of its services since the last time."""
    assert tenant.stdin
    assert tenant.stdout
    print(json.dumps(changes), file=tenant.stdin, flush=True)
    told: Figures = json.loads(tenant.stdout.readline())
    return told


def _states(output: Path, last: Path) -> Figures:
    """Keep the last state of each stream, and weigh all of them."""
    states, weight, rows = {}, 0, 0
    with output.open("rb") as lines:
        for line in lines:
            if b'"STATE"' in line[:20]:
                weight += len(line)
                state = json.loads(line)["state"]
                states[state["stream"]["stream_descriptor"]["name"]] = {
                    "type": state["type"],
                    "stream": state["stream"],
                }
            rows += len(line) * (b'"RECORD"' in line[:20])
    last.write_text(json.dumps([*states.values()]))
    return {"state kB": last.stat().st_size / 1000, "states ÷ records %": 100 * weight / max(rows, 1)}


def _configured(name: str, mode: str = "full_refresh", destination: str = "overwrite") -> dict[str, object]:
    stream = {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"]}
    return {"stream": stream, "sync_mode": mode, "destination_sync_mode": destination}


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
    works = ("mail", "members", "memory", "throttled", "incremental", "teams", "costs", "large", "startup")
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("works", nargs="*", metavar="|".join(works), help="what to measure; everything if left out")
    parser.add_argument("--quick", action="store_true", help="everything small and once, in a few minutes")
    parser.add_argument("--runs", type=int, help="runs of each (default: 3, or 1 with --quick)")
    parser.add_argument("--users", type=int, help="users of the tenant in `teams` and `costs`")
    parser.add_argument("--lines", type=int, nargs="+", default=[], help="which works of `large`, from 1 on")
    chosen = parser.parse_args()
    if not set(chosen.works) <= set(works):
        parser.error(f"choose from {', '.join(works)}")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("Two cores are needed, one for the tenant and one for the reader.")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), chosen.runs or (1 if chosen.quick else 3), chosen)
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
