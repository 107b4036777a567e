"""The connector as a program: what it is asked, and the lines it answers with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

Message = dict[str, Any]

SCRIPT = (str(Path(sys.executable).with_name("source-microsoft-graph")),)
_READ_AHEAD = 1024 * 1024


@dataclass(frozen=True)
class Connector:
    """A program that speaks the Airbyte protocol, and the configuration it is given."""

    config: Path
    environment: Mapping[str, str] = field(repr=False)
    command: Sequence[str] = SCRIPT

    def discover(self) -> list[Message]:
        """The streams it offers. Ends this program where it refuses to tell."""
        command = [*self.command, "discover", "--config", str(self.config)]
        done = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, text=True, check=False)
        messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        for message in messages:
            if message["type"] == "CATALOG":
                return list(message["catalog"]["streams"])
        errors = [message["trace"]["error"]["message"] for message in messages if message["type"] == "TRACE"]
        sys.exit("\n".join(errors) or f"{command[0]} discover told no catalog.")

    @contextmanager
    def read(self, catalog: Message, state: Sequence[Message]) -> Iterator[subprocess.Popen[bytes]]:
        """The running program; whatever it prints comes through its standard output."""
        with TemporaryDirectory() as name:
            files = {"catalog": catalog, **({"state": list(state)} if state else {})}
            command = [*self.command, "read", "--config", str(self.config)]
            for option, content in files.items():
                file = Path(name) / f"{option}.json"
                file.write_text(json.dumps(content))
                command += [f"--{option}", str(file)]
            with subprocess.Popen(
                command,
                env=self.environment,
                bufsize=_READ_AHEAD,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as process:
                try:
                    yield process
                except BaseException:
                    process.terminate()
                    raise


def output_of(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout
