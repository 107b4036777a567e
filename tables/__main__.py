"""`python -m tables`, which `python3 dev.py run` starts: reads a tenant into tables of a DuckDB file."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from simulated_tenant import Tenant, serve
from tables.connector import Connector
from tables.display import Display
from tables.queries import OUTPUT, ROOT
from tables.replicate import replicate

SECRETS = ROOT / "secrets" / "config.json"


def main() -> int:
    arguments = _arguments()
    display = Display(Console(highlight=False))
    simulated = arguments.simulated or not SECRETS.exists()
    # Two files, so that users of the simulated tenant never appear among those of a real one.
    file = arguments.database or OUTPUT / ("simulated_tenant.duckdb" if simulated else "microsoft_graph.duckdb")
    tenant = "a simulated tenant" if simulated else f"the tenant of {os.path.relpath(SECRETS)}"
    because = f", since there is no {os.path.relpath(SECRETS)}" if simulated and not arguments.simulated else ""
    display.line(f"Reading {tenant} into {os.path.relpath(file)}{because}.")
    with _simulated() if simulated else _real() as connector:
        return replicate(connector, file, arguments.streams, incremental=arguments.incremental, display=display)


@contextmanager
def _real() -> Iterator[Connector]:
    """The connector with the credentials of `secrets/config.json`."""
    yield Connector(SECRETS, os.environ)


@contextmanager
def _simulated() -> Iterator[Connector]:
    """The connector with a simulated tenant, which is served for as long as the block runs."""
    with tempfile.TemporaryDirectory() as folder, serve(Tenant()) as server:
        config = Path(folder) / "config.json"
        config.write_text(json.dumps(server.config()))
        yield Connector(config, {**os.environ, "REQUESTS_CA_BUNDLE": server.ca_bundle})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py run", description="Read a tenant into tables of a DuckDB file.")
    parser.add_argument(
        "--streams",
        type=lambda text: text.split(","),
        default=[],
        help="names with commas between them (default: all but those that cost many requests)",
    )
    parser.add_argument(
        "--incremental", action="store_true", help="read only what changed since the last run with this option"
    )
    parser.add_argument("--database", type=Path, help="the DuckDB file (default: one in output)")
    parser.add_argument("--simulated", action="store_true", help="read the simulated tenant, even with credentials")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Interrupted, so nothing was loaded.", file=sys.stderr)
        sys.exit(130)
