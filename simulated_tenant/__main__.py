"""Run a simulated tenant until Ctrl-C, with files for the tools that are to read it."""

from __future__ import annotations

import argparse
import errno
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from .faults import ALWAYS, DELIVERIES, EDITS, Fault
from .handout import FILES, Unclaimable, claimed, exports, write
from .problems import KNOWN
from .server import LOCALHOST, Server, serve
from .size import Size, Traits
from .tenant import GRANTS, Tenant

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "secrets" / "simulated_tenant"
CATALOG = ROOT / "integration_tests" / "configured_catalog.json"

_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_KIND = re.compile(r"(\w+?)(?:x(\d+))?")


def main() -> int:
    # They wait until the tenant is up, and reach no thread but this one.
    signal.pthread_sigmask(signal.SIG_BLOCK, _END)
    chosen = arguments()
    tenant = _tenant(chosen)
    try:
        with (
            claimed(chosen.folder),
            serve(
                tenant,
                chosen.port,
                latency=chosen.latency_ms / 1000,
                gzip=not chosen.no_gzip,
                folder=chosen.folder,
                name=chosen.host,
            ) as server,
        ):
            write(server, chosen.folder, CATALOG)
            print("\n".join(_introduction(server, chosen.folder)), flush=True)
            signal.sigwait(_END)
    except Unclaimable as trouble:
        print(trouble, file=sys.stderr)
        return 1
    except OSError as trouble:
        if trouble.errno != errno.EADDRINUSE:
            raise
        print(
            f"Port {chosen.port} is taken by another program. Choose one with --port; 0 takes a free one.",
            file=sys.stderr,
        )
        return 1
    print(f"\nThe simulated tenant has ended, and its files in {_shown(chosen.folder)} are gone.")
    return 0


def _tenant(chosen: argparse.Namespace) -> Tenant:
    size = Size(**{field.name: getattr(chosen, field.name) for field in fields(Size)})
    traits = Traits(**{field.name: getattr(chosen, field.name) for field in fields(Traits)})
    tenant = Tenant(size, seed=chosen.seed, traits=traits, grants=set(GRANTS) - set(chosen.without))
    tenant.throttle.on = chosen.throttling
    tenant.requests.keep = False
    for fault in chosen.fault:
        tenant.faults.add(fault)
    return tenant


def _introduction(server: Server, folder: Path) -> Iterator[str]:
    shown = _shown(folder)
    yield f"A simulated tenant with {server.tenant.size.users} users answers at https://{server.host} until Ctrl-C."
    yield ""
    yield f"In {shown}, for as long as it runs:"
    width = max(map(len, FILES))
    yield from (f"  {name:{width}}  {what}" for name, what in FILES.items())
    yield ""
    yield "In another terminal, in this directory:"
    yield from (f"  {line}" for line in exports(server))
    yield f"  .venv/bin/source-microsoft-graph check --config {shown}/config.json"
    yield f"  .venv/bin/source-microsoft-graph read --config {shown}/config.json --catalog {shown}/catalog.json"
    yield ""
    yield "Airbyte's acceptance tests, if this directory is called source-microsoft-graph:"
    yield "  .venv/bin/airbyte-cdk connector test --pytest-arg=-m --pytest-arg='not image_tests'"
    yield ""
    yield "docs/running.md has Airbyte's other acceptance suite, PyAirbyte, containers, and Airbyte itself."


def _shown(folder: Path) -> str:
    return os.path.relpath(folder)


def _fault(kind: str, match: str) -> Fault:
    """The fault of two words such as `503x3 users`. Raises ValueError where they are none."""
    found = _KIND.fullmatch(kind)
    word, times = found.groups() if found else (kind, None)
    try:
        re.compile(match)
    except re.error as error:
        raise ValueError(f"{match!r} is no regular expression: {error}.") from None
    often = float(times) if times else ALWAYS
    if re.fullmatch(r"[45]\d\d", word):
        return Fault(match, status=int(word), times=often)
    if word in KNOWN:
        return Fault(match, problem=word, times=often)
    if word in (*DELIVERIES, *EDITS):
        return Fault(match, word, times=often)
    raise ValueError(f"{kind!r} is no kind of fault.")


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What is chosen by these words, or by those of the command line."""
    parser = argparse.ArgumentParser(prog="dev.py tenant", usage="dev.py tenant [OPTION ...]", description=__doc__)
    parser.add_argument("--port", type=int, default=8443, help="0 takes a free one (default: 8443)")
    parser.add_argument(
        "--host",
        default=LOCALHOST,
        help="the name or address by which containers or other machines reach this machine, such as 172.17.0.1; "
        "unless it is given, nobody but this machine does",
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where the files are written (default: secrets/simulated_tenant)"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same tenant (default: 1)")
    parser.add_argument("--latency-ms", type=float, default=0, help="how long each request takes at least")
    parser.add_argument("--no-gzip", action="store_true", help="send bodies uncompressed")
    parser.add_argument("--throttling", action="store_true", help="enforce Microsoft's published limits")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="PERMISSION",
        choices=sorted(GRANTS),
        help="a permission that the app has not, such as Mail.Read; may be repeated",
    )
    parser.add_argument(
        "--fault",
        action="append",
        nargs=2,
        default=[],
        metavar=("KIND", "REQUESTS"),
        help="what goes wrong, and with which requests, as a regular expression for 'GET /v1.0/users?$top=5'. KIND is "
        f"a status (503), one of {', '.join((*DELIVERIES, *EDITS))}, or one of the names in "
        "simulated_tenant/problems.py; 503x3 strikes three times and no more. May be repeated",
    )
    size = parser.add_argument_group("how much it holds")
    for field in fields(Size):
        size.add_argument(f"--{field.name.replace('_', '-')}", type=int, default=field.default, metavar="N")
    traits = parser.add_argument_group("what it is like", "The comments in simulated_tenant/size.py say more.")
    for field in fields(Traits):
        name = field.name.replace("_", "-")
        if field.default is True:
            traits.add_argument(f"--no-{name}", dest=field.name, action="store_false")
        elif field.default is False:
            traits.add_argument(f"--{name}", action="store_true")
        else:
            traits.add_argument(f"--{name}", type=float, default=field.default, metavar="N")
    chosen = parser.parse_args(words)
    try:
        chosen.fault = [_fault(*words) for words in chosen.fault]
    except ValueError as error:
        parser.error(f"--fault: {error}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
