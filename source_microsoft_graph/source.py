"""The Airbyte source: spec, check, discover and read over the roll of streams."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any, cast

from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    ConfiguredAirbyteCatalog,
    DestinationSyncMode,
    Status,
    SyncMode,
)
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.message import InMemoryMessageRepository, MessageRepository
from airbyte_cdk.sources.streams import NO_CURSOR_STATE_KEY, Stream

from source_microsoft_graph.check.preflight import Preflight
from source_microsoft_graph.check.report import Report
from source_microsoft_graph.config import files
from source_microsoft_graph.config.configuration import Config, trimmed
from source_microsoft_graph.errors import GraphUnavailable, Lack, StreamRefused
from source_microsoft_graph.process import StopRequest
from source_microsoft_graph.read.chunks import Chunk
from source_microsoft_graph.read.reader import ChunkReader
from source_microsoft_graph.redaction import guard_logs, telling_no_secret, told, told_message
from source_microsoft_graph.retries import IMPATIENT
from source_microsoft_graph.streams import STREAMS, extensions
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.sync.context import Sync
from source_microsoft_graph.sync.cursors import Rejected, StreamCursor


class SourceMicrosoftGraph(AbstractSource):
    """Reads a Microsoft 365 tenant through Microsoft Graph v1.0 with application permissions.

    Every stream is read on the CDK's concurrent path: its sequential one keeps a copy of each parent in the state.
    """

    def __init__(self, stop_request: StopRequest | None = None) -> None:
        """A read ends early once `stop_request` is made."""
        self._message_repository: MessageRepository = InMemoryMessageRepository()
        guard_logs()
        self._stop_request = stop_request

    @property
    def message_repository(self) -> MessageRepository:
        return self._message_repository

    # `Config.parse` validates, and names the field at fault, which the CDK's own validation does not.
    check_config_against_spec = False

    @staticmethod
    def read_config(config_path: str) -> MutableMapping[str, Any]:
        return files.read_config(config_path)

    @classmethod
    def read_catalog(cls, catalog_path: str) -> ConfiguredAirbyteCatalog:
        return files.read_catalog(catalog_path)

    @classmethod
    def read_state(cls, state_path: str) -> list[AirbyteStateMessage]:
        return files.read_states(state_path)

    def configure(self, config: Mapping[str, Any], temp_dir: str) -> Mapping[str, Any]:
        """The configuration as the other commands get it. The CDK would write it to a file, secrets included."""
        return cast(Mapping[str, Any], trimmed(config))

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """As the CDK's, with the message as it is instead of in quotes, and there on success too."""
        with telling_no_secret():
            succeeded, message = self.check_connection(logger, config)
        return AirbyteConnectionStatus(status=Status.SUCCEEDED if succeeded else Status.FAILED, message=message)

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, Any]:
        """One readable stream is enough: whoever selects a stream that cannot be read has been told.

        Raises a `config_error` where signing in is refused, and a `transient_error` where nothing answers.
        """
        report = preflight(Config.parse(config), logger)
        message = told(report.summary())
        if report.readable():
            logger.log(logging.INFO if report.readable() == len(STREAMS) else logging.WARNING, message)
            return True, message
        if all(verdict.lack is Lack.ANSWER for verdict in report.verdicts):
            raise GraphUnavailable(message)
        return False, message

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        """What discover shows. A stream that the cloud lacks could only fail, so it is not offered; a catalog that
        selects it all the same is read without it, and that stream fails with the reason."""
        sync = Sync(Config.parse(config), logging.getLogger("airbyte"))
        sync.extensions = extensions.columns_by_target(sync)
        return [stream for stream in _all_streams(sync) if stream.in_cloud]

    def read(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        for item in self.read_chunks(logger, config, catalog, state):
            if isinstance(item, Chunk):
                yield from item.messages()
            else:
                yield item

    def read_chunks(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage | Chunk]:
        """What `read` gives, with the records as chunks of printed lines."""
        with telling_no_secret():
            for item in self._items(logger, config, catalog, state):
                yield item if isinstance(item, Chunk) else told_message(item)

    def _items(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None,
    ) -> Iterator[AirbyteMessage | Chunk]:
        sync = Sync(Config.parse(config), logger)
        wanted = {configured.stream.name: configured.sync_mode for configured in catalog.streams}
        streams = _all_streams(sync)
        if unknown := sorted(wanted.keys() - {stream.name for stream in streams}):
            raise StreamRefused(f"The catalog selects streams this connector does not have: {', '.join(unknown)}.")
        if not wanted:
            return
        # Every stream needs a token: without one there is nothing to start.
        sync.auth.token()
        selected = [stream for stream in streams if stream.name in wanted]
        sync.selected = frozenset(map(type, selected))
        deduplicated = _deduplicated(catalog)
        sync.deduplicated = frozenset(type(stream) for stream in selected if stream.name in deduplicated)
        sync.extensions = _extensions(sync, selected, catalog)
        kept = {each.stream.stream_descriptor.name: each.stream.stream_state for each in state or () if each.stream}
        cursors = {
            stream: _resumed(stream, kept.get(stream.name)) if wanted[stream.name] is SyncMode.incremental else None
            for stream in selected
        }
        reader = ChunkReader(cursors, sync, logger)
        self._message_repository = reader.messages
        if self._stop_request:
            self._stop_request.heard_by(reader.stop)
        try:
            yield from reader.read_chunks()
        finally:
            sync.close()


def _extensions(
    sync: Sync, selected: Sequence[GraphStream], catalog: ConfiguredAirbyteCatalog
) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """The columns of the tenant's extensions, if a stream that is read can have some."""
    targets = {stream.name: stream.extension_target for stream in selected if stream.extension_target}
    if not targets:
        return {}
    known: defaultdict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for configured in catalog.streams:
        if target := targets.get(configured.stream.name):
            known[target] |= extensions.of_catalog(configured.stream.json_schema.get("properties", {}))
    return extensions.columns_by_target(sync, known)


def _deduplicated(catalog: ConfiguredAirbyteCatalog) -> set[str]:
    """The streams of which the catalog says that the destination removes duplicates:
    https://docs.airbyte.com/using-airbyte/core-concepts/sync-modes/full-refresh-overwrite-deduped"""
    mode = DestinationSyncMode.append_dedup
    return {configured.stream.name for configured in catalog.streams if configured.destination_sync_mode is mode}


def _resumed(stream: GraphStream, state: AirbyteStateBlob | None) -> StreamCursor | None:
    """Where an incremental read of the stream starts."""
    cursor, kept = stream.new_cursor(), vars(state) if state else {}
    # A full refresh leaves a mark instead of a state.
    if cursor and kept and NO_CURSOR_STATE_KEY not in kept:
        try:
            cursor.resume(kept)
        except Rejected as rejected:
            stream.logger.warning(f"{stream.name}: the last sync's state is of no use, so all is read: {rejected}.")
    return cursor


def preflight(config: Config, logger: logging.Logger) -> Report:
    """Whether each stream can be read."""
    sync = Sync(config, logger, IMPATIENT)
    try:
        found = Preflight(sync, _all_streams(sync))
        return Report(found.verdicts(), found.roles, config)
    finally:
        sync.close()


def _all_streams(sync: Sync) -> list[GraphStream]:
    return [stream_class(sync) for stream_class in STREAMS]
