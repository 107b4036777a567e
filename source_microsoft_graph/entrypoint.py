"""The protocol's commands, from arguments to printed messages."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TextIO, cast

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.logger import PRINT_BUFFER
from airbyte_cdk.models import AirbyteMessage, ConnectorSpecification, FailureType
from airbyte_cdk.sources.connector_state_manager import HashableStreamDescriptor
from airbyte_cdk.utils import AirbyteTracedException

from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.config.files import read_config
from source_microsoft_graph.errors import GraphError
from source_microsoft_graph.read.chunks import Chunk
from source_microsoft_graph.redaction import guard_logs, guard_streams, told
from source_microsoft_graph.source import SourceMicrosoftGraph, preflight


class _Entrypoint(AirbyteEntrypoint):
    """The CDK's, with three differences: a bad configuration is refused by the name of its field in `check` too,
    records are printed in chunks, and secrets are the business of `redaction`."""

    def __init__(self, source: SourceMicrosoftGraph) -> None:
        super().__init__(source)
        self._source = source

    @staticmethod
    def validate_connection(source_spec: ConnectorSpecification, config: Mapping[str, Any]) -> None:
        Config.parse(config)

    @staticmethod
    def set_up_secret_filter(config: Mapping[str, Any], connection_specification: Mapping[str, Any]) -> None:
        """`Config.parse` remembers what is secret. The CDK would replace a secret of one letter in every message, and
        in the names of a message's fields."""

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


def launch(args: list[str]) -> int:
    """Run a command of the protocol and print its messages. Gives the exit code."""
    guard_streams()
    parsed = AirbyteEntrypoint.parse_args(args)
    # Airbyte reads messages from a pipe; whoever has a terminal there has come to look for themselves.
    if parsed.command == "check" and sys.stdout.isatty():
        return show_check(parsed.config)
    entrypoint = _Entrypoint(SourceMicrosoftGraph())
    with PRINT_BUFFER:
        try:
            if not parsed.command:
                raise _refused("Name a command: spec, check, discover or read.")
            for message in entrypoint.run(parsed):
                # One write for a line and its end: a log of another thread could come between two.
                PRINT_BUFFER.write(f"{message}\n")
        except AirbyteTracedException as trouble:
            if trouble.failure_type is not FailureType.config_error or isinstance(trouble, GraphError):
                raise
            # Somebody has to correct a file: the trace says which, and where in the code it was found helps nobody.
            trouble.emit_message()
            return 1
    return 0


def _refused(message: str) -> AirbyteTracedException:
    return AirbyteTracedException(message=message, internal_message=message, failure_type=FailureType.config_error)


def show_check(config_file: str) -> int:
    """The check as a table; the exit code is 1 where nothing can be read."""
    logging.getLogger("airbyte").setLevel(logging.CRITICAL)
    guard_logs()
    width, colours = shutil.get_terminal_size().columns, "NO_COLOR" not in os.environ
    try:
        report = preflight(Config.parse(read_config(config_file)), logging.getLogger("airbyte"))
    except AirbyteTracedException as trouble:
        message = told(str(trouble.message))
        print("\n".join(textwrap.wrap(message, width, break_long_words=False, break_on_hyphens=False)))
        return 1
    print(f"\n{report.table(width, colours)}\n")
    return 0 if report.readable() else 1
