"""Run a simulated tenant until it's told to stop.

python -m simulated_tenant --port 8443 --users 25 --write-config /tmp/tenant
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from dataclasses import fields
from pathlib import Path

from .server import serve
from .size import Size
from .tenant import Tenant


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="simulated_tenant",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8443, help="0 takes a free port")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same tenant")
    parser.add_argument("--latency-ms", type=float, default=0, help="how long each request takes at least")
    parser.add_argument("--throttling", action="store_true", help="enforce Microsoft's published limits")
    parser.add_argument("--no-gzip", action="store_true", help="send bodies uncompressed")
    parser.add_argument("--no-empty-pages", action="store_true", help="no empty pages in the middle of listings")
    parser.add_argument("--write-config", type=Path, metavar="DIR", help="write config.json and ca.pem there")
    for field in fields(Size):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=int, default=field.default, metavar="N", help="size of the tenant"
        )
    chosen = parser.parse_args()

    tenant = Tenant(Size(**{field.name: getattr(chosen, field.name) for field in fields(Size)}), seed=chosen.seed)
    tenant.throttle.on = chosen.throttling
    tenant.traits.empty_pages = not chosen.no_empty_pages
    tenant.requests.keep = False
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if chosen.write_config:
        chosen.write_config.mkdir(parents=True, exist_ok=True)
    with serve(
        tenant, chosen.port, latency=chosen.latency_ms / 1000, gzip=not chosen.no_gzip, folder=chosen.write_config
    ) as server:
        if chosen.write_config:
            (chosen.write_config / "config.json").write_text(json.dumps(server.config(), indent=2) + "\n")
        print(
            f"Simulated tenant with {tenant.size.users} users on https://{server.host} (CA: {server.ca_bundle})",
            flush=True,
        )
        stop.wait()


if __name__ == "__main__":
    main()
