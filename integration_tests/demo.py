"""The connector at work: `python -m integration_tests.demo [--streams users,groups] [--output FOLDER]`.

Reads the tenant of `secrets/config.json`, or a simulated one where that file is missing, through the console script,
writes one JSON-lines file a stream and prints what came of each stream.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from integration_tests.simulated_tenant.server import serve
from integration_tests.simulated_tenant.tenant import Tenant

ROOT = Path(__file__).parent.parent
SECRETS = ROOT / "secrets" / "config.json"
SKIPPED = re.compile(r"(\w+): (\d+) skipped in all\. (.+)")
REFRESH_SECONDS = 0.2


def main() -> int:
    arguments = _arguments()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config, environment = stack.enter_context(_tenant(folder, arguments.simulated))
        catalog = _catalog(config, environment, arguments.streams)
        catalog_file = folder / "catalog.json"
        catalog_file.write_text(json.dumps(catalog))
        arguments.output.mkdir(parents=True, exist_ok=True)
        report = Report([configured["stream"]["name"] for configured in catalog["streams"]], arguments.output)
        code = report.follow(_connector("read", config, environment, "--catalog", str(catalog_file)))
    print(report.table())
    print(f"\n{report.records:,} records in {report.seconds:.1f} s, one file a stream in {_short(arguments.output)}/")
    if report.errors:
        print("\nWhat failed:")
        print("\n".join(f"  {message}" for message in report.errors))
    return code


class Report:
    """What a read said: records written out as they come, statuses, skipped objects, errors."""

    def __init__(self, streams: list[str], output: Path) -> None:
        self.streams = streams
        self.errors: list[str] = []
        self.seconds = 0.0
        self._output = output
        self._counts: Counter[str] = Counter()
        self._status = dict.fromkeys(streams, "not started")
        self._skipped: dict[str, Counter[str]] = {name: Counter() for name in streams}
        self._shown = 0.0

    @property
    def records(self) -> int:
        return self._counts.total()

    def follow(self, process: subprocess.Popen[str]) -> int:
        started = time.monotonic()
        with ExitStack() as stack:
            files = {
                name: stack.enter_context((self._output / f"{name}.jsonl").open("w", encoding="utf-8"))
                for name in self.streams
            }
            for line in process.stdout or ():
                if line.startswith("{"):
                    self._take(json.loads(line), files)
                    self.seconds = time.monotonic() - started
                    self._show()
        if sys.stdout.isatty():
            print("\r\033[K", end="")
        return process.wait()

    def _take(self, message: Mapping[str, Any], files: Mapping[str, TextIO]) -> None:
        match message:
            case {"type": "RECORD", "record": {"stream": stream, "data": data}}:
                self._counts[stream] += 1
                files[stream].write(json.dumps(data, ensure_ascii=False) + "\n")
            case {
                "type": "TRACE",
                "trace": {"stream_status": {"stream_descriptor": {"name": stream}, "status": status}},
            }:
                self._status[stream] = status.lower()
            case {"type": "TRACE", "trace": {"error": {"message": text, "stream_descriptor": {"name": _}}}}:
                self.errors.append(text)
            case {"type": "TRACE", "trace": {"error": {"message": text}}} if not self.errors:
                self.errors.append(text)
            case {"type": "LOG", "log": {"message": text}} if found := SKIPPED.fullmatch(text):
                self._skipped[found[1]][found[3]] += int(found[2])

    def _show(self) -> None:
        """One line that is written over, on a terminal alone."""
        if sys.stdout.isatty() and self.seconds - self._shown > REFRESH_SECONDS:
            self._shown = self.seconds
            reading = [name for name, status in self._status.items() if status in ("started", "running")]
            line = f"{self.records:,} records, {self.records / self.seconds:,.0f}/s, reading {', '.join(reading)}"
            print(f"\r\033[K{line[: os.get_terminal_size().columns - 1]}", end="", flush=True)

    def table(self) -> str:
        lines = [f"{'stream':<28} {'records':>9} {'skipped':>9}  status"]
        for name in self.streams:
            skipped = sum(self._skipped[name].values())
            lines.append(f"{name:<28} {self._counts[name]:>9,} {skipped or '':>9}  {self._status[name]}")
        reasons = sorted({reason for reasons in self._skipped.values() for reason in reasons})
        lines += ["", "Skipped objects:"] * bool(reasons)
        for reason in reasons:
            lines.append(f"  {reason}")
            found = {name: counts[reason] for name, counts in self._skipped.items() if counts[reason]}
            lines.append(f"    {', '.join(f'{count} in {name}' for name, count in found.items())}")
        return "\n".join(lines)


@contextmanager
def _tenant(folder: Path, simulated: bool) -> Iterator[tuple[Path, dict[str, str]]]:
    """The configuration to read with, and the environment that trusts the tenant's certificate."""
    if SECRETS.exists() and not simulated:
        print(f"Reading the tenant of {_short(SECRETS)}.", flush=True)
        yield SECRETS, dict(os.environ)
        return
    because = "As you wish" if simulated else f"No {_short(SECRETS)}"
    print(f"{because}, so this reads a simulated tenant.", flush=True)
    with serve(Tenant()) as server:
        config = folder / "config.json"
        config.write_text(json.dumps(server.config()))
        yield config, {**os.environ, "REQUESTS_CA_BUNDLE": server.ca_bundle}


def _catalog(config: Path, environment: dict[str, str], wanted: list[str]) -> dict[str, Any]:
    """Every stream the connector discovers, or the wanted ones, as full refreshes."""
    process = _connector("discover", config, environment)
    output = process.communicate()[0]
    messages = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    catalog = next((message["catalog"] for message in messages if message["type"] == "CATALOG"), None)
    if catalog is None:
        sys.exit("\n".join(message["trace"]["error"]["message"] for message in messages if message["type"] == "TRACE"))
    offered = {stream["name"]: stream for stream in catalog["streams"]}
    if unknown := sorted(set(wanted) - set(offered)):
        sys.exit(f"No such stream: {', '.join(unknown)}. There are {', '.join(offered)}.")
    streams = [offered[name] for name in wanted or offered]
    return {
        "streams": [
            {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"} for stream in streams
        ]
    }


def _connector(verb: str, config: Path, environment: dict[str, str], *more: str) -> subprocess.Popen[str]:
    script = Path(sys.executable).with_name("source-microsoft-graph")
    command = [str(script), verb, "--config", str(config), *more]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8")


def _short(path: Path) -> str:
    return os.path.relpath(path)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py run", description="Read a tenant into JSON-lines files.")
    parser.add_argument(
        "--streams", type=lambda text: text.split(","), default=[], help="names with commas; every stream if left out"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "output", help="folder for the files (default: output)")
    parser.add_argument("--simulated", action="store_true", help="read the simulated tenant, credentials or not")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
