"""The user's configuration, read once: a mapping goes in, a frozen `Config` comes out.

Field names, types, bounds, patterns and defaults live in `spec.json`; nothing here repeats them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pendulum
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils import AirbyteTracedException
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from pendulum.parsing.exceptions import ParserError

from source_microsoft_graph.clouds import CLOUDS, Cloud, custom

SPEC: dict[str, Any] = json.loads((Path(__file__).parent / "spec.json").read_text())["connectionSpecification"]


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """App-only sign-in with a shared secret."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """One tenant, how to sign in to it, and how hard to read it.

    `page_size` counts rows, `num_workers` requests under way at once. `start_date` bounds incremental reads
    only: a full refresh reads everything Graph keeps.
    """

    tenant_id: str = field(repr=False)
    credentials: ClientSecret
    cloud: Cloud
    scope: str
    page_size: int
    num_workers: int
    start_date: pendulum.DateTime | None

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Config:
        """Accept credentials nested under `credentials` or flat beside `tenant_id`.

        Raises a `config_error` that names the first field it cannot use.
        """
        raw = trimmed(raw)
        for fault in Draft7Validator(SPEC).iter_errors(raw):
            raise _refusal(*_explain(fault))
        return cls(
            tenant_id=raw["tenant_id"],
            credentials=_credentials(raw),
            cloud=(cloud := _cloud(raw.get("cloud") or {"cloud_type": "global"})),
            scope=_scope(raw.get("scope"), cloud),
            # JSON Schema takes 100.0 for an integer.
            page_size=int(raw.get("page_size", _default("page_size"))),
            num_workers=int(raw.get("num_workers", _default("num_workers"))),
            start_date=_date_time("start_date", raw.get("start_date")),
        )


def trimmed(raw: Any) -> Any:
    """The configuration without the spaces and line breaks that values are pasted with; no value of ours has any."""
    if isinstance(raw, Mapping):
        return {name: trimmed(value) for name, value in raw.items()}
    return raw.strip() if isinstance(raw, str) else raw


def _credentials(raw: Mapping[str, Any]) -> ClientSecret:
    given = raw.get("credentials") or raw
    for name in ("client_id", "client_secret"):
        if not given.get(name):
            raise _refusal(name, "is required, here or in the credentials section")
    return ClientSecret(client_id=given["client_id"], client_secret=given["client_secret"])


def _cloud(raw: Mapping[str, Any]) -> Cloud:
    if raw["cloud_type"] == "custom":
        return custom(login_host=raw["login_host"], graph_host=raw["graph_host"])
    return CLOUDS[raw["cloud_type"]]


def _scope(raw: str | None, cloud: Cloud) -> str:
    """Airbyte's form stores the default it shows, so the default means: whatever the cloud needs."""
    return cloud.scope if raw in (None, _default("scope")) else str(raw)


def _date_time(name: str, raw: str | None) -> pendulum.DateTime | None:
    if raw is None:
        return None
    try:
        return cast(pendulum.DateTime, pendulum.parse(raw))
    except (ParserError, ValueError) as error:
        raise _refusal(name, f"{raw!r} is not a date: {error}") from None


def _default(name: str) -> Any:
    return SPEC["properties"][name]["default"]


def _explain(fault: ValidationError) -> tuple[str, str]:
    """The field at fault and what is wrong with it; a secret's value never appears."""
    path = ".".join(str(part) for part in fault.absolute_path)
    schema: Any = fault.schema
    if fault.validator == "oneOf":
        return _explain_choice(fault, path)
    if fault.validator == "required":
        missing = next(name for name in schema["required"] if name not in _mapping(fault.instance))
        return f"{path}.{missing}".removeprefix("."), "is required"
    if schema.get("airbyte_secret"):
        return path, f"is not {schema.get('pattern_descriptor', 'a text of at least one character')}"
    if fault.validator == "pattern":
        return path, f"{fault.instance!r} is not {schema['pattern_descriptor']}"
    if fault.validator == "type":
        # Whatever stands here by mistake may be a secret.
        return path, f"is not of type {fault.validator_value}"
    return path, fault.message


def _explain_choice(fault: ValidationError, path: str) -> tuple[str, str]:
    """What is wrong with the variant the user chose, or which variants there are."""
    schema: Any = fault.schema
    constants: list[tuple[str, str]] = []
    for number, variant in enumerate(schema["oneOf"]):
        ((name, constant),) = ((k, v["const"]) for k, v in variant["properties"].items() if "const" in v)
        constants.append((name, constant))
        if _mapping(fault.instance).get(name) == constant:
            return _explain(next(inner for inner in fault.context or () if inner.schema_path[0] == number))
    return f"{path}.{constants[0][0]}", f"must be one of {', '.join(constant for _, constant in constants)}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _refusal(name: str, reason: str) -> AirbyteTracedException:
    message = f"Configuration: {name or 'the whole'}: {reason}."
    return AirbyteTracedException(message=message, internal_message=message, failure_type=FailureType.config_error)
