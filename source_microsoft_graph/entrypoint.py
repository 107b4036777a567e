"""The commands, from arguments to what is printed: those of the protocol, and a report of the connector's own."""

from __future__ import annotations

import logging
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from types import SimpleNamespace
from typing import Any, TextIO, cast

import airbyte_cdk.entrypoint
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.logger import PRINT_BUFFER
from airbyte_cdk.models import AirbyteMessage, ConnectorSpecification, FailureType
from airbyte_cdk.sources.connector_state_manager import HashableStreamDescriptor
from airbyte_cdk.utils import AirbyteTracedException

from source_microsoft_graph.check.report import wrapped
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.config.files import read_config
from source_microsoft_graph.errors import GraphError
from source_microsoft_graph.logs import use_log_formatter
from source_microsoft_graph.process import StopRequest
from source_microsoft_graph.read.chunks import Chunk
from source_microsoft_graph.redaction import guard_logs, guard_streams, told
from source_microsoft_graph.source import SourceMicrosoftGraph, preflight


class _Entrypoint(AirbyteEntrypoint):
    """The CDK's, with four differences: a bad configuration is refused by the name of its field in `check` too, what
    ends a check is told once, records are printed in chunks, and `redaction` alone keeps secrets out of messages."""

    def __init__(self, source: SourceMicrosoftGraph) -> None:
        super().__init__(source)
        self._source = source
        self.exit_code = 0

    @staticmethod
    def validate_connection(source_spec: ConnectorSpecification, config: Mapping[str, Any]) -> None:
        Config.parse(config)

    @staticmethod
    def set_up_secret_filter(config: Mapping[str, Any], connection_specification: Mapping[str, Any]) -> None:
        """`Config.parse` remembers what is secret. The CDK would replace a secret of one letter in every message, and
        in the names of a message's fields."""

    def check(self, source_spec: ConnectorSpecification, config: Mapping[str, Any]) -> Iterable[AirbyteMessage]:
        # The CDK yields the error as a TRACE before it raises it. Raised on, it would be logged and traced once more.
        try:
            yield from super().check(source_spec, config)
        except GraphError:
            self.exit_code = 1

    def read(
        self, source_spec: ConnectorSpecification, config: Mapping[str, Any], catalog: Any, state: list[Any]
    ) -> Iterable[AirbyteMessage]:
        self.set_up_secret_filter(config, source_spec.connectionSpecification)
        records: defaultdict[HashableStreamDescriptor, float] = defaultdict(float)
        for item in self._source.read_chunks(self.logger, config, catalog, state):
            if isinstance(item, Chunk):
                records[HashableStreamDescriptor(name=item.stream)] += item.records
                _print(item.lines)
                self._memory_monitor.check_memory_usage()
            else:
                yield self.handle_record_counts(item, records)
        for message in self._emit_queued_messages(self.source):
            yield self.handle_record_counts(message, records)


def _print(lines: bytes) -> None:
    """Write lines as they are: the CDK's buffer would decode them, join them as text and encode them again."""
    output = cast(TextIO, sys.__stdout__).buffer
    with PRINT_BUFFER.lock:
        PRINT_BUFFER.flush()
        output.write(lines)
        output.flush()


def launch(args: list[str], stop_request: StopRequest) -> int:
    """Run a command of the protocol and print its messages. Gives the exit code."""
    guard_streams()
    if args[:1] == ["report"]:
        # Each import makes every command start later.
        from source_microsoft_graph.field_report import command

        stop_request.is_protocol = False
        return command.run(args[1:])
    if args and args[0] in ("-h", "--help"):
        return _show_help()
    parsed = AirbyteEntrypoint.parse_args(args)
    # Airbyte reads messages from a pipe; whoever has a terminal there has come to look for themselves.
    if parsed.command == "check" and sys.stdout.isatty():
        return show_check(parsed.config)
    use_log_formatter()
    _make_no_directory()
    entrypoint = _Entrypoint(SourceMicrosoftGraph(stop_request))
    with PRINT_BUFFER:
        try:
            if not parsed.command:
                raise _refused("Name a command: spec, check, discover, read or report.")
            for message in entrypoint.run(parsed):
                # One write for a line and its end: a log of another thread could come between two.
                PRINT_BUFFER.write(f"{message}\n")
        except AirbyteTracedException as trouble:
            if trouble.failure_type is not FailureType.config_error or isinstance(trouble, GraphError):
                raise
            # Somebody has to correct a file: the trace says which, and where in the code it was found helps nobody.
            trouble.emit_message()
            return 1
    return entrypoint.exit_code


def _show_help() -> int:
    """The CDK's, and the command that is the connector's own."""
    from source_microsoft_graph.field_report import command

    with suppress(SystemExit):
        AirbyteEntrypoint.parse_args(["--help"])
    print(f"\nbeside the commands of the protocol:\n  report                {command.HELP}")
    return 0


def _make_no_directory() -> None:
    """The CDK makes a temporary directory for each command, and where there is no room for one it raises. It is for a
    cache of requests, which this connector does not have."""
    airbyte_cdk.entrypoint.tempfile = SimpleNamespace(TemporaryDirectory=lambda **_: nullcontext(""))  # type: ignore[assignment]


def _refused(message: str) -> AirbyteTracedException:
    return AirbyteTracedException(message=message, internal_message=message, failure_type=FailureType.config_error)


def show_check(config_file: str) -> int:
    """The check as a table; the exit code is 1 where nothing can be read."""
    from rich.console import Console

    logging.getLogger("airbyte").setLevel(logging.CRITICAL)
    guard_logs()
    # With NO_COLOR, rich leaves bold and dim text; without a colour system it writes text alone: https://no-color.org
    console = Console(color_system=None if os.environ.get("NO_COLOR") else "auto", highlight=False)
    try:
        report = preflight(Config.parse(read_config(config_file)), logging.getLogger("airbyte"))
    except AirbyteTracedException as trouble:
        print("\n".join(wrapped(told(str(trouble.message)), console.width)))
        return 1
    console.print()
    report.show(console)
    console.print()
    return 0 if report.readable() else 1
