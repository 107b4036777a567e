"""A PostgreSQL cluster in a temporary folder, from the binaries that Debian's package `postgresql` brings."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PASSWORD = "simulated"
_PATIENCE = 30


def binaries() -> Path | None:
    """The newest version's folder. Debian puts it where no PATH leads."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(versions, key=lambda file: int(file.parts[-3]), default=None)
    found = newest or shutil.which("postgres")
    return Path(found).resolve().parent if found else None


class Cluster:
    """A running server on a port of this machine."""

    def __init__(self, bin_folder: Path, port: int) -> None:
        self._bin, self._port = bin_folder, port
        self.address = f"postgresql://postgres:{_PASSWORD}@127.0.0.1:{port}/postgres"

    def rows(self, query: str) -> list[list[str]]:
        """What a query finds, as psql writes it."""
        command = [str(self._bin / "psql"), "--no-psqlrc", "--csv", "--tuples-only", "--command", query, self.address]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [line.split(",") for line in done.stdout.splitlines()]

    def is_ready(self) -> bool:
        command = [str(self._bin / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self._port}"]
        return subprocess.run(command, check=False).returncode == 0


@contextmanager
def cluster(bin_folder: Path) -> Iterator[Cluster]:
    """PostgreSQL refuses to run as root, so root's runs as the user that Debian's package makes."""
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="postgres-") as name, socket.socket() as probe:
        folder, password = Path(name), Path(name) / "password"
        password.write_text(_PASSWORD)
        if user:
            for path in (folder, password):
                shutil.chown(path, user, user)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()

        def start(*command: str) -> subprocess.Popen[str]:
            return subprocess.Popen(
                [str(bin_folder / command[0]), *command[1:]],
                cwd=folder,
                user=user,
                group=user,
                extra_groups=[] if user else None,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )

        data = str(folder / "data")
        made = start(
            "initdb", f"--pgdata={data}", "--username=postgres", "--auth=scram-sha-256", f"--pwfile={password}",
            "--encoding=UTF8", "--no-sync",
        )  # fmt: skip
        output, _ = made.communicate()
        assert made.returncode == 0, output
        settings = [
            f"-cunix_socket_directories={name}",
            "-clisten_addresses=127.0.0.1",
            f"-cport={port}",
            "-cfsync=off",
        ]
        server = start("postgres", "-D", data, *settings, "-clogging_collector=off", "-clog_destination=stderr")
        try:
            found, deadline = Cluster(bin_folder, port), time.monotonic() + _PATIENCE
            while not found.is_ready():
                assert server.poll() is None, server.communicate()[0]
                assert time.monotonic() < deadline, "PostgreSQL did not start."
                time.sleep(0.1)
            yield found
        finally:
            # Its fast shutdown, which does not wait for clients.
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=_PATIENCE)
