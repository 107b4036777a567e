"""The questions in SQL, each with its answer worked out from the simulated tenant itself."""

from __future__ import annotations

import io
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pytest
from rich.console import Console

from integration_tests.test_tables import rows
from simulated_tenant import Size, Tenant, serve
from simulated_tenant.shapes import Entity
from tables.connector import Connector
from tables.display import Display
from tables.replicate import replicate
from unit_tests.questions import questions

C = TypeVar("C")
QUESTIONS = {question.name: question for question in questions()}
# Names of one site that begin with that of another, third parties' apps, people of each kind.
SIZE = Size(
    users=31, sign_ins=21, guests=6, groups=13, microsoft365_groups=13, service_principals=17, devices=7,
    managed_devices=25,
)  # fmt: skip
NEVER, LATELY = "0001-01-01T00:00:00Z", timedelta(days=30)


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    tenant = Tenant(SIZE)
    guests = [key for key, user in tenant.expected("users") if user["userType"] == "Guest"]
    tenant.edit("users", guests[1], accountEnabled=False)
    for person in (17, 18):
        tenant.edit("users", {"id": tenant.directory.ids["user"][person]}, accountEnabled=False)
    # The next one in the log, whose user has no other entry in it.
    tenant.add("audit_logs_signins", late=timedelta(days=40))
    # Whoever came after the report was made is not in it.
    tenant.edit("users", tenant.add("users"), userType="Guest")
    return tenant


@pytest.fixture(scope="module")
def file(tenant: Tenant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables that any question needs, made by the main command."""
    folder = tmp_path_factory.mktemp("questions")
    config, found = folder / "config.json", folder / "tenant.duckdb"
    streams = {name for question in QUESTIONS.values() for name in question.streams}
    with serve(tenant) as server:
        config.write_text(json.dumps(server.config()))
        connector = Connector(config, {**os.environ, "REQUESTS_CA_BUNDLE": server.ca_bundle})
        display = Display(Console(file=io.StringIO()))
        assert replicate(connector, found, sorted(streams), incremental=False, display=display) == 0
    return found


@pytest.fixture
def tables(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def answer(tables: duckdb.DuckDBPyConnection, question: str, *columns: str) -> list[tuple[Any, ...]]:
    found = rows(tables, QUESTIONS[question].file.read_text())
    return [tuple(row[column] for column in columns) for row in found]


def meeting(candidates: Iterable[C], conditions: Mapping[str, Callable[[C], bool]]) -> list[C]:
    """The candidates that meet all conditions. Each condition is failed by somebody who meets all others, so that a
    query that lacks it gives another answer."""
    found, failed = [], set()
    for candidate in candidates:
        fails = [name for name, holds in conditions.items() if not holds(candidate)]
        if not fails:
            found.append(candidate)
        elif len(fails) == 1:
            failed.update(fails)
    assert failed == set(conditions)
    assert found
    return found


def ago(time: str) -> timedelta:
    """How long ago this time of Graph's is."""
    return datetime.now(UTC) - datetime.fromisoformat(time)


def test_every_question_is_tested() -> None:
    tested = {name.removeprefix("test_") for name in globals()}
    assert QUESTIONS.keys() <= tested


def inactive_licensed_users(tenant: Tenant) -> list[tuple[Any, ...]]:
    signed_in = {
        entity["userId"]
        for _, entity in tenant.expected("audit_logs_signins")
        if ago(entity["createdDateTime"]) < LATELY
    }
    users = [entity for _, entity in tenant.expected("users")]
    return sorted(
        (user["userPrincipalName"], len(user["assignedLicenses"]))
        for user in users
        if user["accountEnabled"] and user["assignedLicenses"] and user["id"] not in signed_in
    )


def groups_without_owners(tenant: Tenant) -> list[tuple[Any, ...]]:
    owned = {keys["group_id"] for keys, _ in tenant.expected("group_owner")}
    members = [keys["group_id"] for keys, _ in tenant.expected("group_member")]
    groups = [entity for _, entity in tenant.expected("groups")]
    found = [(group["displayName"], members.count(group["id"])) for group in groups if group["id"] not in owned]
    return sorted(found, key=lambda group: (-group[1], group[0]))


def guests_with_directory_roles(tenant: Tenant) -> list[tuple[Any, ...]]:
    guests = {user["id"]: user for _, user in tenant.expected("users") if user["userType"] == "Guest"}
    roles = {role["id"]: role["displayName"] for _, role in tenant.expected("directory_roles")}
    members: dict[str, set[str]] = {}
    for keys, member in tenant.expected("group_member"):
        members.setdefault(keys["group_id"], set()).add(member["id"])
    found = set()
    for keys, holder in tenant.expected("directory_role_member"):
        role = roles[keys["role_id"]]
        if holder["id"] in guests:
            found.add((guests[holder["id"]]["userPrincipalName"], role, None))
        for guest in members.get(holder["id"], set()) & set(guests):
            found.add((guests[guest]["userPrincipalName"], role, holder["displayName"]))
    return sorted(found, key=lambda row: tuple(map(str, row)))


def sign_ins_outside_policy(tenant: Tenant) -> list[tuple[Any, ...]]:
    counts: dict[tuple[Any, ...], list[str]] = {}
    for _, sign_in in tenant.expected("audit_logs_signins"):
        if sign_in["conditionalAccessStatus"] == "notApplied" and sign_in["status"]["errorCode"] == 0:
            counts.setdefault((sign_in["appDisplayName"], sign_in["clientAppUsed"]), []).append(sign_in["userId"])
    return sorted(((*app, len(users), len(set(users))) for app, users in counts.items()), key=str)


def largest_drives(tenant: Tenant) -> list[tuple[Any, ...]]:
    drives = [drive for _, drive in tenant.expected("drives") if (drive["quota"] or {}).get("used") is not None]
    drives.sort(key=lambda drive: (-drive["quota"]["used"], drive["id"]))
    return [(drive["webUrl"], round(drive["quota"]["used"] / 1e9, 1)) for drive in drives[:10]]


def test_inactive_licensed_users(tables: duckdb.DuckDBPyConnection, tenant: Tenant) -> None:
    """Some of them never signed in, and some did so long ago."""
    found = answer(tables, "inactive_licensed_users", "user_principal_name", "licences")
    assert sorted(found) == inactive_licensed_users(tenant) != []
    last = [when for (when,) in answer(tables, "inactive_licensed_users", "last_sign_in")]
    assert {when is None for when in last} == {True, False}
    assert last == sorted(last, key=lambda when: (when is not None, when))


def test_groups_without_owners(tables: duckdb.DuckDBPyConnection, tenant: Tenant) -> None:
    found = answer(tables, "groups_without_owners", "display_name", "members")
    assert found == groups_without_owners(tenant) != []


def test_guests_with_directory_roles(tables: duckdb.DuckDBPyConnection, tenant: Tenant) -> None:
    """Of both kinds: in their own right, and through a group."""
    found = answer(tables, "guests_with_directory_roles", "user_principal_name", "role", "through_group")
    assert sorted(found, key=lambda row: tuple(map(str, row))) == guests_with_directory_roles(tenant)
    assert {group is None for _, _, group in found} == {True, False}


def test_sign_ins_outside_policy(tables: duckdb.DuckDBPyConnection, tenant: Tenant) -> None:
    found = answer(tables, "sign_ins_outside_policy", "app_display_name", "client_app_used", "sign_ins", "users")
    assert sorted(found, key=str) == sign_ins_outside_policy(tenant) != []
    counts = [sign_ins for _, _, sign_ins, _ in found]
    assert counts == sorted(counts, reverse=True)


def test_largest_drives(tables: duckdb.DuckDBPyConnection, tenant: Tenant) -> None:
    assert answer(tables, "largest_drives", "web_url", "gigabytes") == largest_drives(tenant) != []


POWERFUL = {
    "RoleManagement.ReadWrite.Directory", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All",
    "Mail.ReadWrite", "Global Administrator", "Application Administrator",
}  # fmt: skip


def privileges(tenant: Tenant, *, everywhere: bool) -> Mapping[str, set[str]]:
    """What apps may do, by the app's id: their permissions, and roles that they or their groups have."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    roles_of = {app["id"]: app["appRoles"] or () for _, app in tenant.expected("service_principals")}
    for keys, assignment in tenant.expected("app_role_assignments"):
        names = {role["id"]: role["value"] for role in roles_of[keys["service_principal_id"]]}
        found[assignment["principalId"]].add(names.get(assignment["appRoleId"], ""))
    members: defaultdict[str, set[str]] = defaultdict(set)
    for keys, member in tenant.expected("group_member"):
        members[keys["group_id"]].add(member["id"])
    names = {role["id"]: role["displayName"] for _, role in tenant.expected("role_definitions")}
    for _, assignment in tenant.expected("role_assignments"):
        if assignment["directoryScopeId"] == "/" or not everywhere:
            for holder in {assignment["principalId"], *members[assignment["principalId"]]}:
                found[holder].add(names[assignment["roleDefinitionId"]])
    return {app: its & POWERFUL for app, its in found.items()}


def test_privileged_apps_without_owners(tables: duckdb.DuckDBPyConnection, tenant: Tenant) -> None:
    held, limited = privileges(tenant, everywhere=True), privileges(tenant, everywhere=False)
    registered = {app["appId"]: app["id"] for _, app in tenant.expected("applications")}
    owned_apps = {keys["service_principal_id"] for keys, _ in tenant.expected("service_principal_owner")}
    owned_registrations = {keys["application_id"] for keys, _ in tenant.expected("application_owner")}

    found = meeting(
        [app for _, app in tenant.expected("service_principals")],
        {
            "is powerful": lambda app: bool(held.get(app["id"])),
            "has no owner": lambda app: app["id"] not in owned_apps,
            "has no owner where it is registered": lambda app: registered.get(app["appId"]) not in owned_registrations,
        },
    )

    columns = "app_id", "privileges", "is_registered_here", "is_enabled"
    assert sorted(answer(tables, "privileged_apps_without_owners", *columns)) == sorted(
        (app["appId"], ", ".join(sorted(held[app["id"]])), app["appId"] in registered, app["accountEnabled"])
        for app in found
    )
    assert {app["appId"] in registered for app in found} == {True, False}
    # One has its role through a group alone, and one has one in an administrative unit alone.
    assert any(held[app["id"]] == {"Application Administrator"} for app in found)
    unowned = {app["id"] for _, app in tenant.expected("service_principals")} - owned_apps
    assert any(limited.get(app) and not held.get(app) for app in unowned)


def test_guests_without_mfa(tables: duckdb.DuckDBPyConnection, tenant: Tenant) -> None:
    report = {keys["id"]: row for keys, row in tenant.expected("user_registration_details")}

    found = meeting(
        [user for _, user in tenant.expected("users")],
        {
            "is a guest": lambda user: user["userType"] == "Guest",
            "may sign in": lambda user: user["accountEnabled"],
            "has no MFA": lambda user: not report.get(user["id"], {}).get("isMfaRegistered"),
        },
    )

    columns = "user_principal_name", "is_reported", "methods"
    assert sorted(answer(tables, "guests_without_mfa", *columns), key=str) == sorted(
        (
            (user["userPrincipalName"], user["id"] in report, ", ".join(report[user["id"]]["methodsRegistered"]))
            if user["id"] in report
            else (user["userPrincipalName"], False, None)
            for user in found
        ),
        key=str,
    )
    # A mail address is no second factor, and whoever is new is not in the report.
    assert {user["id"] in report for user in found} == {True, False}
    assert any(report.get(user["id"], {}).get("methodsRegistered") == ["email"] for user in found)


def test_stale_devices_of_active_people(tables: duckdb.DuckDBPyConnection, tenant: Tenant) -> None:
    stale = timedelta(days=90)
    people = {user["id"]: user for _, user in tenant.expected("users")}
    seen = {device["deviceId"]: device["approximateLastSignInDateTime"] for _, device in tenant.expected("devices")}
    active = {
        entry["userId"]
        for _, entry in tenant.expected("audit_logs_signins")
        if entry["status"]["errorCode"] == 0 and ago(entry["createdDateTime"]) < LATELY
    }

    found = meeting(
        [device for _, device in tenant.expected("managed_devices")],
        {
            "its person may sign in": lambda device: people.get(device["userId"], {}).get("accountEnabled", False),
            "its person is active": lambda device: device["userId"] in active,
            "Intune has not heard of it": lambda device: ago(device["lastSyncDateTime"]) > stale,
            "Entra has not seen it": lambda device: ago(seen.get(device["azureADDeviceId"], NEVER)) > stale,
            "it is not new": lambda device: ago(device["enrolledDateTime"]) > stale,
        },
    )

    columns = "device_name", "user_principal_name"
    assert sorted(answer(tables, "stale_devices_of_active_people", *columns)) == sorted(
        (device["deviceName"], people[device["userId"]]["userPrincipalName"]) for device in found
    )
    assert {device["azureADDeviceId"] in seen for device in found} == {True, False}


def test_unused_licences(tables: duckdb.DuckDBPyConnection, tenant: Tenant) -> None:
    held: defaultdict[str, list[bool]] = defaultdict(list)
    for _, user in tenant.expected("users"):
        for licence in user["assignedLicenses"]:
            held[licence["skuId"]].append(user["accountEnabled"])

    def unassigned(sku: Entity) -> int:
        return max(0, sku["prepaidUnits"]["enabled"] - sku["consumedUnits"])

    def of_disabled(sku: Entity) -> int:
        return min(held[sku["skuId"]].count(False), sku["prepaidUnits"]["enabled"])

    products = [sku for _, sku in tenant.expected("subscribed_skus")]
    assert all(sku["consumedUnits"] == len(held[sku["skuId"]]) for sku in products)

    found = meeting(
        products,
        {
            "is a user's": lambda sku: sku["appliesTo"] == "User",
            "is not free": lambda sku: sku["skuPartNumber"] != "FLOW_FREE",
            "is not all in use": lambda sku: unassigned(sku) + of_disabled(sku) > 0,
        },
    )

    columns = "product", "paid", "assigned", "unassigned", "of_disabled_accounts", "expired", "suspended"
    assert sorted(answer(tables, "unused_licences", *columns)) == sorted(
        (
            sku["skuPartNumber"], sku["prepaidUnits"]["enabled"], sku["consumedUnits"], unassigned(sku),
            of_disabled(sku), sku["prepaidUnits"]["warning"], sku["prepaidUnits"]["suspended"],
        )
        for sku in found
    )  # fmt: skip
    # One is in for either reason alone. Where more are assigned than are paid, and where none is paid, none is unused.
    assert any(unassigned(sku) == 0 for sku in found)
    assert any(of_disabled(sku) < unassigned(sku) for sku in found)
    assert any(sku["prepaidUnits"]["enabled"] < sku["consumedUnits"] and not of_disabled(sku) for sku in products)


def test_sites_shared_with_anyone(tables: duckdb.DuckDBPyConnection, tenant: Tenant) -> None:
    addresses = {tenant.files.find_site(site["id"]): site["webUrl"] for _, site in tenant.expected("sites")}
    shared = list(tenant.expected("drive_item_permissions"))

    found = meeting(
        shared,
        {
            "has a link": lambda it: it[1]["link"] is not None,
            "is for anyone": lambda it: it[1]["link"] is None or it[1]["link"]["scope"] == "anonymous",
            "has not expired": lambda it: (
                it[1]["expirationDateTime"] in (None, NEVER) or ago(it[1]["expirationDateTime"]) < timedelta()
            ),
        },
    )

    links: defaultdict[str, dict[str, Entity]] = defaultdict(dict)
    items: defaultdict[str, set[str]] = defaultdict(set)
    for keys, permission in found:
        drive = tenant.files.find_drive(keys["drive_id"])
        assert drive
        links[addresses[drive[:2]]][permission["shareId"]] = permission
        items[addresses[drive[:2]]].add(keys["item_id"])
    columns = "web_url", "links", "may_edit", "for_ever", "without_password", "items", "is_onedrive"
    assert sorted(answer(tables, "sites_shared_with_anyone", *columns)) == sorted(
        (
            address,
            len(its),
            sum(link["link"]["type"] == "edit" for link in its.values()),
            sum(link["expirationDateTime"] in (None, NEVER) for link in its.values()),
            sum(not link["hasPassword"] for link in its.values()),
            len(items[address]),
            "-my." in address,
        )
        for address, its in links.items()
    )
    # A link may be listed for several items, a site's address may begin with another's, and not every site is in.
    assert any(len(items[address]) > len(its) for address, its in links.items())
    assert any(other != address and other.startswith(address) for address in links for other in links)
    assert links.keys() < set(addresses.values())
