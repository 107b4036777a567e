"""The user's configuration, read once: a mapping goes in, a frozen `Config` comes out.

Field names, types, bounds, patterns and defaults live in `spec.json`; nothing here repeats them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import pendulum
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils import AirbyteTracedException
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from pendulum.parsing.exceptions import ParserError

from source_microsoft_graph.auth.credentials import Credentials, ManagedIdentity, credentials_of
from source_microsoft_graph.config.clouds import CLOUDS, Cloud, custom
from source_microsoft_graph.redaction import remember, told

SPEC: dict[str, Any] = json.loads((Path(__file__).parents[1] / "spec.json").read_text())["connectionSpecification"]

_LONGEST_CALENDAR = 1_825
"""Days that Graph takes in one view of a calendar: https://learn.microsoft.com/graph/api/user-list-calendarview"""

_LONGEST_LOOKBACK = timedelta(days=366)
"""Entra keeps no log for longer than 30 days: https://learn.microsoft.com/entra/identity/monitoring-health/reference-reports-data-retention"""


@dataclass(frozen=True, slots=True)
class Config:
    """One tenant, how to sign in to it, what of it to read, and how hard.

    `page_size` counts objects, `num_workers` requests under way at once. `start_date` bounds incremental reads only: a
    full refresh reads everything Graph keeps. `lookback_window` is how far before the end of the last read an
    incremental read of a log, or of the export of a user's chats, begins. A view of a calendar has so many days before
    today and after it.
    """

    tenant_id: str = field(repr=False)
    credentials: Credentials
    cloud: Cloud
    scope: str
    user_filter: str | None
    include_users: frozenset[str]
    exclude_users: frozenset[str]
    include_guests: bool
    include_disabled_accounts: bool
    extra_user_properties: frozenset[str]
    directory_extensions: frozenset[str]
    find_directory_extensions: bool
    message_body: str
    immutable_ids: bool
    chat_messages_by: str
    start_date: pendulum.DateTime | None
    lookback_window: timedelta
    calendar_days_back: int
    calendar_days_ahead: int
    page_size: int
    num_workers: int

    @property
    def authority(self) -> str:
        """Where the tenant's tokens are issued."""
        return f"https://{self.cloud.login_host}/{self.tenant_id}"

    @property
    def unwanted_user_properties(self) -> frozenset[str]:
        """Those that are read only if the configuration says so, and are not to be read."""
        return frozenset(SPEC["properties"]["extra_user_properties"]["items"]["enum"]) - self.extra_user_properties

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Config:
        """Accept credentials nested under `credentials` or flat beside `tenant_id`.

        Raises a `config_error` that names the first field it cannot use, and never its value. What is secret in the
        configuration is not printed from now on, wherever in it it stands.
        """
        raw = trimmed(raw)
        for name, value in _values(raw):
            if name in _SECRET:
                # Every tenant of Microsoft's has a domain that ends in onmicrosoft.com.
                remember(value, in_parts=name != "tenant_id")
        for path, advice in _unknown(raw):
            raise _refusal(path, f"there is no such field{advice}")
        for fault in Draft7Validator(SPEC).iter_errors(raw):
            raise _refusal(*explain(fault))
        given = {name: _default(name) for name in SPEC["properties"]} | dict(raw)
        cloud = _cloud(given["cloud"] or {"cloud_type": "global"})
        credentials = _credentials(given)
        include, exclude = _users(given["include_users"]), _users(given["exclude_users"])
        if include & exclude:
            number = next(number for number, name in enumerate(given["exclude_users"], 1) if name.lower() in include)
            raise _refusal("exclude_users", f"its entry {number} stands in include_users too")
        # Today is a day of the view as well.
        if given["calendar_days_back"] + given["calendar_days_ahead"] >= _LONGEST_CALENDAR:
            raise _refusal("calendar_days_ahead", f"makes more than {_LONGEST_CALENDAR:,} days with calendar_days_back")
        return cls(
            tenant_id=given["tenant_id"],
            credentials=credentials,
            cloud=cloud,
            scope=_scope(given["scope"], cloud, credentials),
            user_filter=given["user_filter"] or None,
            include_users=include,
            exclude_users=exclude,
            include_guests=given["include_guests"],
            include_disabled_accounts=given["include_disabled_accounts"],
            extra_user_properties=frozenset(given["extra_user_properties"]),
            directory_extensions=frozenset(given["directory_extensions"] or ()),
            find_directory_extensions=given["find_directory_extensions"],
            message_body=given["message_body"],
            immutable_ids=given["immutable_ids"],
            chat_messages_by=given["chat_messages_by"],
            start_date=_date_time("start_date", given["start_date"]),
            lookback_window=_duration(given["lookback_window"]),
            # JSON Schema takes 100.0 for an integer.
            calendar_days_back=int(given["calendar_days_back"]),
            calendar_days_ahead=int(given["calendar_days_ahead"]),
            page_size=int(given["page_size"]),
            num_workers=int(given["num_workers"]),
        )


def trimmed(raw: Any) -> Any:
    """The configuration without the spaces and line breaks that values are pasted with; no value of ours has any."""
    if isinstance(raw, Mapping):
        return {name: trimmed(value) for name, value in raw.items()}
    if isinstance(raw, list):
        return [trimmed(value) for value in raw]
    return raw.strip() if isinstance(raw, str) else raw


def _cloud(raw: Mapping[str, Any]) -> Cloud:
    if raw["cloud_type"] == "custom":
        return custom(login_host=raw["login_host"], graph_host=raw["graph_host"])
    return CLOUDS[raw["cloud_type"]]


def _credentials(raw: Mapping[str, Any]) -> Credentials:
    """As the section of the form has them, or the client secret that stands beside the tenant ID."""
    section = raw["credentials"]
    if not section:
        for name in ("client_id", "client_secret"):
            if not raw[name]:
                raise _refusal(name, "is required, here or in the credentials section")
        section = {name: raw[name] for name in ("client_id", "client_secret")} | {"auth_type": "client_secret"}
    try:
        return credentials_of(section)
    except ValueError as fault:
        raise _refusal("credentials", str(fault)) from None


def _scope(raw: str | None, cloud: Cloud, credentials: Credentials) -> str:
    """Airbyte's form stores the default it shows, so the default means: whatever the cloud needs.

    A managed identity may reach far more than Graph, and whoever writes the configuration need not be who may use it.
    """
    if raw in (None, _default("scope"), cloud.scope):
        return cloud.scope
    if isinstance(credentials, ManagedIdentity):
        raise _refusal("scope", "can only be Microsoft Graph's with a managed identity: leave it out")
    return str(raw)


def _users(names: Iterable[str] | None) -> frozenset[str]:
    """IDs and principal names as they are compared: Graph knows them in any case."""
    return frozenset(name.lower() for name in names or ())


def _duration(raw: str) -> timedelta:
    try:
        duration = timedelta(seconds=cast(pendulum.Duration, pendulum.parse(raw)).total_seconds())
    except (ParserError, ValueError, OverflowError):
        duration = timedelta.max
    if duration > _LONGEST_LOOKBACK:
        raise _refusal("lookback_window", f"is not {_described('lookback_window')}")
    return duration


def _date_time(name: str, raw: str | None) -> pendulum.DateTime | None:
    if raw is None:
        return None
    try:
        return cast(pendulum.DateTime, pendulum.parse(raw))
    except (ParserError, ValueError):
        raise _refusal(name, f"is not a date there is, as {_described(name)}") from None


def _default(name: str) -> Any:
    return SPEC["properties"][name].get("default")


def _described(name: str) -> str:
    return str(SPEC["properties"][name]["pattern_descriptor"])


def _values(raw: Any) -> Iterator[tuple[str, Any]]:
    """Every field of the configuration by its name, whatever it stands in."""
    if isinstance(raw, Mapping):
        for name, value in raw.items():
            yield name, value
            yield from _values(value)
    elif isinstance(raw, list):
        for value in raw:
            yield from _values(value)


def _sections() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The fields of the form by the section they stand in; those of all variants of a choice are one section."""
    yield "", SPEC["properties"]
    for name, choice in SPEC["properties"].items():
        if "oneOf" in choice:
            yield name, {each: at for variant in choice["oneOf"] for each, at in variant["properties"].items()}


_FIELDS = dict(_sections())
_SECRET = {
    name for section in _FIELDS.values() for name, described in section.items() if described.get("airbyte_secret")
}


def _unknown(raw: Any) -> Iterator[tuple[str, str]]:
    """The fields that the form does not have, each with the one that was meant if that can be told.

    Airbyte and its CDK add fields whose names begin with an underscore, such as `__injected_declarative_manifest`.
    """
    for section, known in _FIELDS.items():
        given = _mapping(_mapping(raw).get(section) if section else raw)
        for name in given:
            if name not in known and not name.startswith("_"):
                path = told(f"{section}.{name}".removeprefix("."))
                yield f"{path[:60]}…" if len(path) > 60 else path, _advice(name, section)


def _advice(name: str, section: str) -> str:
    """Which field was meant: the one of the nearest name, first of those in the same section."""
    for where in sorted(_FIELDS, key=lambda where: where != section):
        if near := get_close_matches(name.lower(), _FIELDS[where], n=1, cutoff=0.7):
            return f"; the nearest is {f'{where}.{near[0]}'.removeprefix('.')}"
    return ""


def explain(fault: ValidationError) -> tuple[str, str]:
    """The field at fault and what it has to be. What stands there never appears: it may be a secret by mistake."""
    path = ".".join(str(part) for part in fault.absolute_path)
    schema: Any = fault.schema
    if fault.validator == "oneOf":
        return _explain_choice(fault, path)
    if fault.validator == "required":
        missing = next(name for name in schema["required"] if name not in _mapping(fault.instance))
        return f"{path}.{missing}".removeprefix("."), "is required"
    if descriptor := schema.get("pattern_descriptor"):
        return path, f"is not {descriptor}"
    if schema.get("airbyte_secret"):
        return path, "is not a text of at least one character"
    return path, _DEMANDS[str(fault.validator)](fault.validator_value)


_DEMANDS: Mapping[str, Callable[[Any], str]] = {
    "type": lambda kind: f"is not of type {kind if isinstance(kind, str) else ' or '.join(kind)}",
    "enum": lambda choices: f"must be one of {', '.join(map(str, choices))}",
    "const": lambda constant: f"must be {constant}",
    "minimum": lambda least: f"must be at least {least}",
    "maximum": lambda most: f"must be at most {most}",
    "minLength": lambda least: f"must have at least {least} characters",
    "minItems": lambda least: f"must have at least {least} entries",
    "uniqueItems": lambda _: "names something twice",
}
"""What a rule of JSON Schema demands, in words; the rules are those of the form, and of the files beside it."""


def _explain_choice(fault: ValidationError, path: str) -> tuple[str, str]:
    """What is wrong with the variant the user chose, or which variants there are."""
    schema: Any = fault.schema
    constants: list[tuple[str, str]] = []
    for number, variant in enumerate(schema["oneOf"]):
        ((name, constant),) = ((k, v["const"]) for k, v in variant["properties"].items() if "const" in v)
        constants.append((name, constant))
        if _mapping(fault.instance).get(name) == constant:
            return explain(next(inner for inner in fault.context or () if inner.schema_path[0] == number))
    return f"{path}.{constants[0][0]}", f"must be one of {', '.join(constant for _, constant in constants)}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _refusal(name: str, reason: str) -> AirbyteTracedException:
    """The `config_error` that refuses a field for this reason."""
    message = f"Configuration: {name or 'the whole'}: {reason}."
    return AirbyteTracedException(message=message, internal_message=message, failure_type=FailureType.config_error)
