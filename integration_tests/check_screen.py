"""What `check` shows on a terminal, from a real run against a tenant that lacks a permission and a licence."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from integration_tests.runner import ConsoleScript
from simulated_tenant.server import Server, serve
from simulated_tenant.tenant import GRANTS, Tenant, Traits

FILE = Path(__file__).with_name("check_on_a_terminal.txt")


@contextmanager
def lacking_tenant() -> Iterator[Server]:
    """A tenant that has not granted Policy.Read.All and has no Entra ID P1 licence."""
    tenant = Tenant(grants=set(GRANTS) - {"Policy.Read.All"}, traits=Traits(premium=False))
    with serve(tenant) as server:
        yield server


def on_a_terminal(server: Server, folder: Path, config: Mapping[str, Any], **environment: str) -> tuple[int, str]:
    """The exit code of a check, and what it writes to a terminal of 100 columns."""
    (folder / "config.json").write_text(json.dumps(config))
    console, terminal = pty.openpty()
    with subprocess.Popen(
        [*ConsoleScript(Path(server.ca_bundle))._command(folder), "check", "--config", str(folder / "config.json")],
        env={**os.environ, "REQUESTS_CA_BUNDLE": server.ca_bundle, "COLUMNS": "100", "TERM": "xterm", **environment},
        stdout=terminal,
        stderr=subprocess.STDOUT,
    ) as process:
        os.close(terminal)
        shown = b""
        try:
            while part := os.read(console, 65536):
                shown += part
        except OSError:  # How Linux says that the other end of a terminal was closed.
            pass
        os.close(console)
    # A layout fills the cells of a table with blanks, which nobody sees.
    lines = [line.rstrip() for line in shown.decode().replace("\r\n", "\n").splitlines()]
    return process.returncode, "\n".join(lines)


def current() -> str:
    """What the file ought to hold: the screen, with placeholders for what differs from run to run."""
    with tempfile.TemporaryDirectory() as folder, lacking_tenant() as server:
        code, shown = on_a_terminal(server, Path(folder), server.config(), NO_COLOR="1")
        if code:
            raise RuntimeError(f"The check failed with exit code {code}:\n{shown}")
        screen = shown.strip() + "\n"
        return screen.replace(Tenant.client_id, "{client_id}").replace(server.host, "{host}")
