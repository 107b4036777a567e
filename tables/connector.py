"""The connector as a process: the Airbyte protocol's commands, and the lines that it prints."""

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
_BUFFER_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Connector:
    """A program with the Airbyte protocol's commands, its configuration file and its environment variables."""

    config: Path
    environment: Mapping[str, str] = field(repr=False)
    command: Sequence[str] = SCRIPT

    def discover(self) -> list[Message]:
        """The streams of its catalog. Exits with its error messages if it prints no catalog."""
        command = [*self.command, "discover", "--config", str(self.config)]
        completed = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, text=True, check=False)
        messages = [json.loads(line) for line in completed.stdout.splitlines() if line.startswith("{")]
        for message in messages:
            if message["type"] == "CATALOG":
                return list(message["catalog"]["streams"])
        errors = [message["trace"]["error"]["message"] for message in messages if message["type"] == "TRACE"]
        sys.exit("\n".join(errors) or f"{command[0]} discover printed no catalog.")

    @contextmanager
    def read(self, catalog: Message, state: Sequence[Message]) -> Iterator[subprocess.Popen[bytes]]:
        """The process of a read. Its standard error is joined to its standard output. It ends if the block fails."""
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
                bufsize=_BUFFER_BYTES,
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
    """The lines of a process of `Connector.read`."""
    assert process.stdout is not None
    return process.stdout
