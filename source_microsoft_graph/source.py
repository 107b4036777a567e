"""The Airbyte source: spec, check, discover and read over the roll of streams."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, cast

from airbyte_cdk.models import AirbyteMessage, AirbyteStateMessage, ConfiguredAirbyteCatalog
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.message import InMemoryMessageRepository, MessageRepository
from airbyte_cdk.sources.streams import Stream

from source_microsoft_graph.config import Config, trimmed
from source_microsoft_graph.errors import StreamRefused
from source_microsoft_graph.output import Chunk
from source_microsoft_graph.reader import ChunkReader
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.sync import Sync


class SourceMicrosoftGraph(AbstractSource):
    """Reads a Microsoft 365 tenant through Microsoft Graph v1.0 with application permissions.

    Every stream is read on the CDK's concurrent path: its sequential one keeps a copy of each parent in the state.
    """

    def __init__(self) -> None:
        self._message_repository: MessageRepository = InMemoryMessageRepository()

    @property
    def message_repository(self) -> MessageRepository:
        return self._message_repository

    # `Config.parse` validates, and names the field at fault, which the CDK's own validation does not.
    check_config_against_spec = False

    def configure(self, config: Mapping[str, Any], temp_dir: str) -> Mapping[str, Any]:
        """The configuration as the other commands get it. The CDK would write it to a file, secrets included."""
        return cast(Mapping[str, Any], trimmed(config))

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, Any]:
        """Sign in, say which streams lack which permission, and prove one real request.

        Raises a `config_error` where nothing can be read.
        """
        sync = Sync(Config.parse(config), logger)
        roles = sync.auth.roles
        streams = [stream_class(sync) for stream_class in STREAMS]
        lacking = {stream.name: stream.lacking(roles) for stream in streams}
        for name, permissions in lacking.items():
            if permissions:
                logger.warning(f"{name} cannot be read: grant the app {', '.join(permissions)}.")
        refusals = []
        for stream in sorted(streams, key=lambda stream: bool(lacking[stream.name])):
            if stream.of_one_object:
                continue
            try:
                stream.probe()
            except StreamRefused as refusal:
                refusals.append(str(refusal))
            else:
                covered = sum(not permissions for permissions in lacking.values())
                logger.info(f"{stream.name} answers; the app's permissions cover {covered} of {len(streams)} streams.")
                return True, None
        raise StreamRefused(f"No stream can be read. {refusals[0]}")

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        sync = Sync(Config.parse(config), logging.getLogger("airbyte"))
        return [stream_class(sync) for stream_class in STREAMS]

    def read(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        for item in self.read_chunks(logger, config, catalog):
            if isinstance(item, Chunk):
                yield from item.messages()
            else:
                yield item

    def read_chunks(
        self, logger: logging.Logger, config: Mapping[str, Any], catalog: ConfiguredAirbyteCatalog
    ) -> Iterator[AirbyteMessage | Chunk]:
        """What `read` gives, with the records as chunks of printed lines."""
        sync = Sync(Config.parse(config), logger)
        wanted = {configured.stream.name for configured in catalog.streams}
        streams = [stream_class(sync) for stream_class in STREAMS]
        if unknown := sorted(wanted - {stream.name for stream in streams}):
            raise StreamRefused(f"The catalog selects streams this connector does not have: {', '.join(unknown)}.")
        if not wanted:
            return
        # Every stream needs a token: without one there is nothing to start.
        sync.auth.token()
        selected = [stream for stream in streams if stream.name in wanted]
        sync.selected = frozenset(map(type, selected))
        reader = ChunkReader(selected, sync.config.num_workers, logger)
        self._message_repository = reader.messages
        try:
            yield from reader.read_chunks()
        finally:
            sync.close()
