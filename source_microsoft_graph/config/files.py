"""The files a command is given: configuration, catalog and state, read or refused in one sentence.

https://docs.airbyte.com/platform/understanding-airbyte/airbyte-protocol
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airbyte_cdk.models import (
    AirbyteStateMessage,
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
    FailureType,
)
from airbyte_cdk.utils import AirbyteTracedException
from jsonschema import Draft7Validator

from source_microsoft_graph.config.configuration import explain
from source_microsoft_graph.redaction import told

_NAMED = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "minLength": 1}}}
_SYNC_MODE = {"enum": ["full_refresh", "incremental"]}
_TEXTS = {"type": "array", "items": {"type": "string"}}

_CATALOG = {
    "type": "object",
    "required": ["streams"],
    "properties": {
        "streams": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["stream", "sync_mode", "destination_sync_mode"],
                "properties": {
                    "stream": {
                        **_NAMED,
                        "required": ["name", "json_schema", "supported_sync_modes"],
                        "properties": {
                            **_NAMED["properties"],  # type: ignore[dict-item]
                            "json_schema": {"type": "object"},
                            "supported_sync_modes": {"type": "array", "items": _SYNC_MODE},
                        },
                    },
                    "sync_mode": _SYNC_MODE,
                    "destination_sync_mode": {
                        "enum": ["append", "overwrite", "append_dedup", "overwrite_dedup", "update", "soft_delete"]
                    },
                    "cursor_field": {**_TEXTS, "type": ["array", "null"]},
                    "primary_key": {"type": ["array", "null"], "items": _TEXTS},
                },
            },
        }
    },
}

_STATES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["type", "stream"],
        "properties": {
            "type": {"enum": ["STREAM"]},
            "stream": {
                "type": "object",
                "required": ["stream_descriptor"],
                "properties": {"stream_descriptor": _NAMED, "stream_state": {"type": ["object", "null"]}},
            },
        },
    },
}


def read_config(path: str) -> dict[str, Any]:
    """The configuration as it stands in the file; `Config.parse` says what is wrong inside it."""
    return _object("configuration", path)


def read_catalog(path: str) -> ConfiguredAirbyteCatalog:
    """What to read. Raises a `config_error` for what is no configured catalog."""
    catalog = _object("catalog", path)
    if catalog.get("type") == "CATALOG":
        raise _refusal("catalog", path, "is what discover prints: choose streams, and a sync_mode for each")
    _hold_against(_CATALOG, catalog, "catalog", path)
    try:
        return ConfiguredAirbyteCatalogSerializer.load(catalog)
    except Exception:
        # The serializer tells what it found instead, which is anything.
        raise _refusal("catalog", path, "is not a configured catalog of the Airbyte protocol") from None


def read_states(path: str | None) -> list[AirbyteStateMessage]:
    """The states of the last sync, one for each stream; none without a file, or if it holds nothing."""
    states = _json("state", path) if path else None
    if states in (None, {}, []):
        return []
    if isinstance(states, Mapping):
        raise _refusal("state", str(path), "holds one object, the form of old versions of Airbyte: it has to be a list")
    _hold_against(_STATES, states, "state", str(path))
    try:
        return [AirbyteStateMessageSerializer.load(state) for state in states]
    except Exception:
        raise _refusal("state", str(path), "is not a list of states of the Airbyte protocol") from None


def _hold_against(schema: Mapping[str, Any], content: Any, kind: str, path: str) -> None:
    for fault in Draft7Validator(schema).iter_errors(content):
        field, demand = explain(fault)
        raise _refusal(kind, path, f"is not right. {field or 'The whole'}: {demand}")


def _object(kind: str, path: str) -> dict[str, Any]:
    content = _json(kind, path)
    if not isinstance(content, dict):
        raise _refusal(kind, path, "holds no JSON object")
    return content


def _json(kind: str, path: str) -> Any:
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except IsADirectoryError:
        raise _refusal(kind, path, "is a folder") from None
    except FileNotFoundError:
        raise _refusal(kind, path, "does not exist") from None
    except UnicodeDecodeError:
        raise _refusal(kind, path, "is no text in UTF-8") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no file has such a name"
        raise _refusal(kind, path, f"cannot be read: {why}") from None
    if not text.strip():
        raise _refusal(kind, path, "is empty")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _refusal(kind, path, f"holds no JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _refusal(kind, path, "holds JSON that is nested too deeply") from None
    except ValueError:
        raise _refusal(kind, path, "holds a number with too many digits") from None


def _refusal(kind: str, path: str, trouble: str) -> AirbyteTracedException:
    """The `config_error` that names the file. What stands where a name should be may be the content itself."""
    name = path if len(path) <= 255 and "{" not in path else "that was named"
    message = told(f"The {kind} file {name} {trouble}.")
    return AirbyteTracedException(message=message, internal_message=message, failure_type=FailureType.config_error)
