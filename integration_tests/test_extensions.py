"""Directory extensions and schema extensions: found, typed, read, renamed, removed, and loaded into tables."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from integration_tests.runner import ConsoleScript, Message, Output
from integration_tests.test_incremental import an_earlier_tenant, read, state_of
from integration_tests.test_whole_tenant import records, statuses
from simulated_tenant import Size, Tenant, serve
from simulated_tenant.server import Server
from source_microsoft_graph.sync.cursors import UPDATED_AT
from tables.connector import Connector
from tables.display import Display
from tables.replicate import replicate

FINDS = {"find_directory_extensions": True}
COURSES = "contoso_courses"
STREAMS = ("users", "groups", "devices", "applications", "administrative_units", "organization")


@pytest.fixture
def tenant() -> Tenant:
    """One whose app may find every extension."""
    tenant = an_earlier_tenant()
    tenant.grants.add("Directory.Read.All")
    return tenant


@pytest.fixture
def server(tenant: Tenant) -> Iterator[Server]:
    with serve(tenant) as server:
        yield server


def discovered(server: Server, **config: Any) -> list[Message]:
    output = ConsoleScript(Path(server.ca_bundle)).discover(server.config() | config)
    streams: list[Message] = output.succeeded().only("CATALOG")["streams"]
    return streams


def own_columns(streams: list[Message], name: str) -> dict[str, Any]:
    """The columns of a stream that no schema of the connector has."""
    (stream,) = [stream for stream in streams if stream["name"] == name]
    return {column: it for column, it in stream["json_schema"]["properties"].items() if it.get("select") == "extension"}


def warnings(output: Output) -> list[str]:
    """All but that the tenant's clock is behind this machine's."""
    said = [log["message"] for log in output.of("LOG") if log["level"] == "WARN"]
    return [message for message in said if not message.startswith("The clock of Graph")]


def rows(output: Output, stream: str) -> list[dict[str, Any]]:
    assert statuses(output)[stream] == "COMPLETE"
    return records(output)[stream]


def test_nothing_is_looked_for_by_default(tenant: Tenant, server: Server) -> None:
    name = tenant.extensions.add("costCenter")
    streams = discovered(server)
    assert not own_columns(streams, "users")
    assert all(name not in row for row in rows(read(server, streams, "users"), "users"))


@pytest.mark.parametrize("grants", [("Directory.Read.All",), ("Application.Read.All",), ()], ids=lambda it: "".join(it))
def test_found_and_typed(tenant: Tenant, server: Server, grants: tuple[str, ...]) -> None:
    """By whichever permission the token has; without one each of them is named, and the streams stay as they are."""
    extensions = tenant.extensions
    kinds = {kind: extensions.add(f"an{kind}", kind) for kind in KINDS}
    many = extensions.add("many", "String", "Group", "Device", multiple=True)
    of_app = extensions.add("ofApp", "Boolean", "Application", application=3)
    of_unit, of_tenant = (
        extensions.add("ofUnit", "Integer", "AdministrativeUnit"),
        extensions.add("of", "String", "Organization"),
    )
    extensions.add_schema(COURSES, {"courseId": "Integer", "courseName": "String"}, "User", "Group")
    extensions.add_schema("fabrikam_other", {"a": "String"}, owner="00000000-1111-2222-3333-444444444444")
    tenant.grants = {"User.Read.All", "Group.Read.All", "Device.Read.All", *grants}

    output = ConsoleScript(Path(server.ca_bundle)).discover(server.config() | FINDS).succeeded()
    streams = output.only("CATALOG")["streams"]

    found = {name: own_columns(streams, name) for name in STREAMS}
    said = "\n".join(warnings(output))
    if not grants:
        assert not any(found.values())
        assert "Directory.Read.All" in said
        assert "Application.Read.All" in said
        return
    for kind, name in kinds.items():
        assert found["users"][name].items() >= KINDS[kind].items()
    items = {"type": ["null", "string"]}
    assert found["devices"] == {many: {"type": ["null", "array"], "items": items, "select": "extension"}}
    assert found["applications"].keys() == {of_app}
    assert found["administrative_units"] == {of_unit: {"type": ["null", "integer"], "select": "extension"}}
    assert found["organization"].keys() == {of_tenant}
    if grants == ("Application.Read.All",):
        course = found["users"][COURSES]
        assert course["type"] == ["null", "object"]
        assert course["properties"] == {"courseId": {"type": ["null", "integer"]}, "courseName": items}
        assert found["groups"].keys() == {many, COURSES}
        assert "Only the extensions of apps that are registered in this tenant are found" in said
        assert "fabrikam_other" not in found["users"]
    else:
        assert "schema extensions" in said
        assert "Application.Read.All" in said


_TIME = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
KINDS: dict[str, dict[str, Any]] = {
    "String": {"type": ["null", "string"]},
    "Integer": {"type": ["null", "integer"]},
    "LargeInteger": {"type": ["null", "integer"]},
    "Boolean": {"type": ["null", "boolean"]},
    "DateTime": _TIME,
    "Binary": {"type": ["null", "string"]},
}


def test_loaded_by_the_main_command(tenant: Tenant, server: Server, tmp_path: Path) -> None:
    """Two names that differ in case and underscores alone are two columns; what is in a schema extension keeps its
    names."""
    extensions = tenant.extensions
    camel, snake = extensions.add("costCenter"), extensions.add("cost_center", "Integer")
    capital, time = extensions.add("Education_ObjectType"), extensions.add("hiredAt", "DateTime")
    extensions.add_schema(COURSES, {"courseId": "Integer"})
    config, file = tmp_path / "config.json", tmp_path / "tenant.duckdb"
    config.write_text(json.dumps(server.config() | FINDS))
    connector = Connector(config, {**os.environ, "REQUESTS_CA_BUNDLE": str(server.ca_bundle)})
    display = Display(Console(file=io.StringIO()))

    assert replicate(connector, file, ["users"], incremental=False, display=display) == 0

    with duckdb.connect(str(file), read_only=True) as connection:
        found = connection.sql(f'select id, "{camel}", "{snake}", "{capital}", "{time}", {COURSES} from users')
        kinds = list(map(str, found.types))
        table = {row[0]: row[1:] for row in found.fetchall()}
    assert kinds[1:] == ["VARCHAR", "BIGINT", "VARCHAR", "TIMESTAMP", "JSON"]
    identifiers = tenant.directory.ids["user"]
    assert len(table) == tenant.size.users
    values = table[identifiers[2]]
    assert values[:3] == (f"{camel} 2", 1, f"{capital} 2")
    assert str(values[3]) == "2012-01-31 23:00:00"
    assert json.loads(values[4]) == {"courseId": 1}
    assert table[identifiers[4]] == (None,) * 5


def test_named_by_the_configuration(tenant: Tenant, server: Server) -> None:
    """They need no permission more, and are read as whatever they are."""
    name = tenant.extensions.add("level", "Integer")
    config = {"directory_extensions": [name, COURSES]}
    tenant.extensions.add_schema(COURSES, {"courseId": "Integer"})
    tenant.grants = {"User.Read.All"}
    streams = discovered(server, **config)
    found = {row["id"]: row for row in rows(read(server, streams, "users", **config), "users")}
    row = found[tenant.directory.ids["user"][3]]
    assert (row[name], row[COURSES]) == (2, {"courseId": 2})


@pytest.mark.parametrize("refuses", [True, False])
def test_one_that_is_refused_takes_nothing_along(tenant: Tenant, server: Server, refuses: bool) -> None:
    """The other extension and every other property are still read, in a full refresh and incrementally."""
    tenant.traits.refuses_unknown_extensions = refuses
    kept, gone = tenant.extensions.add("kept"), tenant.extensions.add("gone")
    config = {"directory_extensions": [kept, gone]}
    streams = discovered(server, **config)
    tenant.extensions.remove(gone)
    for incremental in (False, True):
        runner = ConsoleScript(Path(server.ca_bundle))
        mode = {"sync_mode": "incremental" if incremental else "full_refresh"}
        (stream,) = [stream for stream in streams if stream["name"] == "users"]
        catalog = {"streams": [{"stream": stream, "destination_sync_mode": "append", **mode}]}
        output = runner.read(server.config() | config, catalog).succeeded()
        found = {row["id"]: row for row in rows(output, "users")}
        assert len(found) == tenant.size.users
        row = found[tenant.directory.ids["user"][3]]
        assert row[kept] == f"{kept} 3"
        assert gone not in row
        # A property that only $select returns, and only some tenants list.
        assert any("employee_org_data" in row for row in found.values())
        said = [warning for warning in warnings(output) if gone in warning]
        assert len(said) == refuses
        assert all(kept not in warning.partition("HTTP")[0] for warning in said)


def test_changes_are_read_with_extensions(tenant: Tenant, server: Server) -> None:
    name = tenant.extensions.add("costCenter", "String", "User", "Group")
    streams = discovered(server, **FINDS)
    first = read(server, streams, "users", "groups", **FINDS).succeeded()
    assert sum(name in row for row in rows(first, "users")) == tenant.size.users - tenant.size.users // 5
    tenant.advance(hours=1)
    changed = {"id": tenant.directory.ids["user"][2]}
    tenant.edit("users", changed)
    second = read(server, streams, "users", "groups", state=state_of(first), **FINDS).succeeded()
    (row,) = rows(second, "users")
    assert (row["id"], row[name]) == (changed["id"], f"{name} 2")
    assert not warnings(second)


@pytest.mark.parametrize("grants", [("Application.Read.All",), ()], ids=lambda it: "".join(it))
def test_found_where_graph_lists_none_of_the_whole_tenant(grants: tuple[str, ...]) -> None:
    """In a large tenant, those of registered apps; without the permission for it, it is said and nothing is gone."""
    tenant = Tenant(Size(service_principals=1001))
    name = tenant.extensions.add("costCenter")
    with serve(tenant) as server:
        streams = discovered(server, **FINDS)
        assert own_columns(streams, "users").keys() == {name}
        tenant.grants = {"User.Read.All", "Directory.Read.All", *grants}
        tenant.revoke_tokens()
        output = read(server, streams, "users", **FINDS).succeeded()

    assert any(name in row for row in rows(output, "users"))
    said = " ".join(warnings(output))
    assert "no such extensions" not in said
    assert ("more than 1,000 service principals" in said) is (not grants)


def test_units_and_the_tenant_have_some_too(tenant: Tenant, server: Server) -> None:
    """Everything else of them is read as it is without extensions, incrementally too."""
    names = "administrative_units", "organization"
    plain = read(server, discovered(server), *names).succeeded()
    extensions = tenant.extensions
    level = extensions.add("level", "Integer", "AdministrativeUnit", "Organization")
    extensions.add_schema(COURSES, {"courseId": "Integer"}, "AdministrativeUnit", "Organization")
    streams = discovered(server, **FINDS)

    first = read(server, streams, *names, **FINDS).succeeded()
    tenant.advance(hours=1)
    changed = {"id": tenant.directory.ids["administrativeUnit"][2]}
    tenant.edit("administrative_units", changed)
    second = read(server, streams, *names, state=state_of(first), **FINDS).succeeded()

    for name in names:
        for row, before in zip(by_id(first, name), by_id(plain, name), strict=True):
            own = {column: row.get(column) for column in (level, COURSES)}
            assert {**row, **own} == {**before, **own, **times(row)}
    assert [row.get(level) for row in by_id(first, "organization")] == [-1]
    units = {row["id"]: row for row in rows(first, "administrative_units")}
    assert (units[changed["id"]][level], units[changed["id"]][COURSES]) == (1, {"courseId": 1})
    (row,) = rows(second, "administrative_units")
    assert (row["id"], row[level], row[COURSES]) == (changed["id"], 1, {"courseId": 1})
    assert not warnings(second)


def by_id(output: Output, stream: str) -> list[dict[str, Any]]:
    return sorted(rows(output, stream), key=lambda row: str(row["id"]))


def times(row: dict[str, Any]) -> dict[str, Any]:
    """When a row was read, where it says so."""
    return {column: value for column, value in row.items() if column == UPDATED_AT}


@pytest.mark.parametrize("refuses", [True, False])
def test_renamed_between_two_syncs(tenant: Tenant, server: Server, refuses: bool) -> None:
    """The new name is read, the old one is said to be gone, and all rows are read again, which is said once."""
    tenant.traits.refuses_unknown_extensions = refuses
    kept, old = tenant.extensions.add("kept"), tenant.extensions.add("old")
    streams = discovered(server, **FINDS)
    first = read(server, streams, "users", **FINDS).succeeded()
    tenant.advance(hours=1)
    tenant.extensions.remove(old)
    new = tenant.extensions.add("new")

    second = read(server, streams, "users", state=state_of(first), **FINDS).succeeded()

    found = {row["id"]: row for row in rows(second, "users")}
    assert len(found) == tenant.size.users
    row = found[tenant.directory.ids["user"][1]]
    assert (row[kept], row[new]) == (f"{kept} 1", f"{new} 1")
    assert old not in row
    said = warnings(second)
    assert len([warning for warning in said if old in warning]) == 1
    assert len([warning for warning in said if "so all is read" in warning]) == 1
    tenant.advance(hours=1)
    third = read(server, discovered(server, **FINDS), "users", state=state_of(first, second), **FINDS).succeeded()
    assert not warnings(third)


def test_the_catalog_counts_where_nothing_can_be_found(tenant: Tenant, server: Server) -> None:
    """A permission that is lost takes no column with it, and nothing is read again. A catalog that was stored may have
    lost the mark of the column."""
    name = tenant.extensions.add("costCenter")
    streams = discovered(server, **FINDS)
    for column in own_columns(streams, "users").values():
        del column["select"]
    first = read(server, streams, "users", **FINDS).succeeded()
    tenant.advance(hours=1)
    tenant.grants = {"User.Read.All"}
    tenant.revoke_tokens()
    changed = {"id": tenant.directory.ids["user"][2]}
    tenant.edit("users", changed)
    second = read(server, streams, "users", state=state_of(first), **FINDS).succeeded()
    (row,) = rows(second, "users")
    assert row[name] == f"{name} 2"
    said = " ".join(warnings(second))
    assert "Directory.Read.All" in said
    assert "so all is read" not in said


def test_what_cannot_be_told_is_not_gone(tenant: Tenant, server: Server) -> None:
    """With Application.Read.All alone, Graph tells of registered apps: an extension of another tenant's app may be
    there, and one of a registered app that is not told of is gone. A schema extension that is named is read, whoever
    owns it."""
    foreign, removed = f"extension_{'ab' * 16}_costCenter", tenant.extensions.add("removed")
    owned = tenant.extensions.add_schema("fabrikam_other", {"a": "Integer"}, owner=foreign)
    tenant.extensions.remove(removed)
    tenant.grants = {"User.Read.All", "Application.Read.All"}
    config = {**FINDS, "directory_extensions": [foreign, removed, owned, "fabrikam_none"]}

    output = ConsoleScript(Path(server.ca_bundle)).discover(server.config() | config).succeeded()

    columns = own_columns(output.only("CATALOG")["streams"], "users")
    assert columns.keys() == {foreign, owned}
    assert columns[owned]["properties"] == {"a": {"type": ["null", "integer"]}}
    (said,) = [warning for warning in warnings(output) if "no such extensions" in warning]
    assert f"{removed}, fabrikam_none." in said
