"""Log messages with data beside their text.

The protocol lets a log message have more fields than `level`, `message` and `stack_trace`: its schema says
`additionalProperties: true`, so Airbyte and PyAirbyte take a message with further fields and leave them aside. The
CDK's formatter writes level and message alone.
https://github.com/airbytehq/airbyte-protocol/blob/main/protocol-models/src/main/resources/airbyte_protocol/v0/airbyte_protocol.yaml
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import orjson
from airbyte_cdk.logger import AirbyteLogFormatter

_ATTRIBUTE = "airbyte_log_fields"


def with_fields(**fields: Any) -> Mapping[str, Any]:
    """The argument `extra` of a logger's method that puts fields into the message.

    The CDK hides secrets in the text only, so a field holds nothing that comes from the configuration or from Graph.
    """
    return {_ATTRIBUTE: fields}


class LogFormatter(AirbyteLogFormatter):
    """The CDK's formatter, with the fields given by `with_fields`. Python ignores them where another formatter is
    used. Debug messages have a form of their own in the CDK, which has all of `extra` already."""

    def format(self, record: logging.LogRecord) -> str:
        line, fields = super().format(record), getattr(record, _ATTRIBUTE, None)
        if fields is None or record.levelno <= logging.DEBUG:
            return line
        message = orjson.loads(line)
        message["log"] |= fields
        return orjson.dumps(message).decode()


def use_log_formatter() -> None:
    """Let the handlers that the CDK set up print the fields."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, AirbyteLogFormatter):
            handler.setFormatter(LogFormatter())
