"""A report of a tenant finds each way in which it differs from what the connector assumes, and tells nothing of it."""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from integration_tests.network import Network
from integration_tests.runner import ROOT, Runner
from simulated_tenant.catalogue import CATALOGUE, Catalogue
from simulated_tenant.collection import Call, Collection, Paging
from simulated_tenant.entities import Entities
from simulated_tenant.faults import ALWAYS, Fault
from simulated_tenant.tenant import GRANTS, Size, Tenant, Traits
from simulated_tenant.workloads.usage.collections import USAGE
from source_microsoft_graph.entrypoint import launch
from source_microsoft_graph.field_report.plan import MOST_REQUESTS
from source_microsoft_graph.process import StopRequest
from unit_tests.conftest import Clock
from unit_tests.roll import PUBLISHED

LOGIN, GRAPH = "login.microsoftonline.com", "graph.microsoft.com"
CONFIG = {"tenant_id": Tenant.tenant_id, "client_id": Tenant.client_id, "client_secret": Tenant.client_secret}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock.of_syncs(monkeypatch)


@dataclass(frozen=True)
class Told:
    """What a report came to."""

    code: int
    report: str
    talk: str

    @property
    def differences(self) -> list[tuple[str, ...]]:
        """The cells of each row of what differs: stream, declaration, what was assumed and what was found."""
        part = self.report.partition("## What differs")[2].partition("## First pages")[0]
        rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| `")]
        return [tuple(cell.strip() for cell in row) for row in rows]

    def row(self, section: str, name: str) -> str:
        """The line of a stream in a section."""
        part = self.report.partition(f"## {section}")[2].partition("\n## ")[0]
        return next(line for line in part.splitlines() if line.startswith(f"| `{name}`"))


def reported(tenant: Tenant, tmp_path: Path, *arguments: str, answer: str = "", host: str = GRAPH, **more: Any) -> Told:
    """Run the command in this process, with an answer to its question."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**CONFIG, **more}))
    stdout, stderr = io.StringIO(), io.StringIO()
    login = "login.microsoftonline.us" if host.endswith(".us") else LOGIN
    with (
        Network({login: tenant, host: tenant}) as network,
        pytest.MonkeyPatch.context() as patched,
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        patched.setattr(sys, "stdin", io.StringIO(answer))
        patched.setattr("source_microsoft_graph.entrypoint.guard_streams", lambda: None)
        code = launch(["report", "--config", str(file), *arguments], StopRequest())
    assert network.hosts_given_a_token <= {host}
    return Told(code, stdout.getvalue(), stderr.getvalue())


# A tenant as the connector assumes it.


def test_an_unaltered_tenant_differs_in_nothing(tmp_path: Path) -> None:
    """Every stream has its row, each of them served, and the requests are counted and bounded."""
    told = reported(Tenant(), tmp_path, "--yes")

    assert told.code == 0
    assert told.differences == []
    assert "Nothing: Graph did what the connector assumes." in told.report
    for name in PUBLISHED:
        assert told.row("First pages", name).split(" | ")[1] == "200"
    (requests,) = re.findall(r"Done: (\d+) requests", told.talk)
    assert int(requests) < MOST_REQUESTS
    assert len(told.report) < 65_536


def test_every_limit_is_kept(tmp_path: Path, no_waiting: Clock) -> None:
    """With the published limits in force nothing is throttled, and the tenant counts as many requests as the report."""
    start = time.time() - no_waiting.now()
    tenant = Tenant(clock=lambda: start + no_waiting.now())
    tenant.throttle.on = True

    told = reported(tenant, tmp_path, "--yes")

    assert told.differences == []
    assert tenant.throttle.throttled == 0
    assert "x-ms-resource-unit" in told.row("Limits", "DIRECTORY")


# What may differ.


def altered(path: str, **changes: Any) -> Catalogue:
    """Graph with another declaration of the collection at a path."""
    endpoints = [
        replace(each, **changes) if each.path == path and isinstance(each, Collection) else each
        for each in CATALOGUE.endpoints
    ]
    return Catalogue(endpoints, CATALOGUE.not_simulated)


def collection(path: str) -> Collection:
    return next(each for each in CATALOGUE.collections if each.path == path)


def edit(match: str, change: Callable[[dict[str, str], dict[str, Any]], None]) -> Fault:
    return Fault(match, kind="edit", change=change, times=ALWAYS)


def objects(match: str, change: Callable[[dict[str, Any]], object]) -> Fault:
    """A change to each object of a page."""

    def each(headers: dict[str, str], body: dict[str, Any]) -> None:
        for entity in body["value"]:
            change(entity)

    return edit(match, each)


def without_the_first(headers: dict[str, str], body: dict[str, Any]) -> None:
    del body["value"][:1]


def without_apps(headers: dict[str, str], body: dict[str, Any]) -> None:
    body["value"] = [each for each in body["value"] if not each["@odata.type"].endswith("servicePrincipal")]


def everything(call: Call, collection: Collection, entities: Entities) -> Entities:
    """As of a list that ignores its filter."""
    return entities


@dataclass(frozen=True)
class Way:
    """One way in which a tenant differs, and what the report has to say of it: for each difference its stream, and what
    stands in its declaration and in what was found."""

    name: str
    expected: tuple[tuple[str, str, str], ...]
    faults: tuple[Fault, ...] = ()
    tenant: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    host: str = GRAPH


NO_HOLES = Traits(empty_pages=False)
REFUSES_LATEST = replace(collection("/groups").tracking, latest=False)  # type: ignore[type-var]
SOON = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)

WAYS = (
    Way(
        "a property that no schema knows",
        (("audit_logs_signins", "schemas/audit_logs_signins.json", "`riskNarrative` has no column: string (up to 8"),),
        (objects("/auditLogs/signIns", lambda each: each.update(riskNarrative="low")),),
    ),
    Way(
        "a declared property that is missing",
        (("users", "`select` in `schemas/users.json`", "never sent: jobTitle"),),
        (objects(r"/v1.0/users\?", lambda each: each.pop("jobTitle", None)),),
    ),
    Way(
        "a cursor that is missing",
        (("managed_devices", "`cursor_field` of `ManagedDevices`", "no object has it"),),
        (objects("/managedDevices", lambda each: each.pop("lastSyncDateTime")),),
    ),
    Way(
        "a property of another type",
        (("domains", "schemas/domains.json", "string (up to 8 characters), 3 times"),),
        (objects("/domains", lambda each: each.update(isRoot="yes")),),
    ),
    Way(
        "a time in another form",
        (("directory_roles", "schemas/directory_roles.json", "string (up to 32 characters), 6 times"),),
        (objects(r"/directoryRoles(\?|$)", lambda each: each.update(deletedDateTime="27.11.2026 10:00")),),
    ),
    Way(
        "a name that `$select` may not have",
        (("users", "`select` in `schemas/users.json`", "it refuses employeeOrgData: 501 `NotImplemented`"),),
        (Fault(r"GET /v1.0/users\?.*employeeOrgData", problem="not_in_a_list", times=ALWAYS),),
        config={"extra_user_properties": ["employeeOrgData"]},
    ),
    Way(
        "two names that `$select` may not have",
        tuple(
            (name, f"`select` in `schemas/{name}.json`", "it refuses infoCatalogs, theme: 400")
            for name in ("groups", "teams")
        ),
        (Fault(r"/v1.0/groups\?.*(theme|infoCatalogs)", status=400, code="BadRequest", times=ALWAYS),),
    ),
    Way(
        "smaller pages than were asked for",
        (("groups", "`page_size` of `Groups`", "it serves 2, page after page"),),
        tenant={"catalogue": altered("/groups", paging=Paging(2, 999, maxima={"id": 2}))},
    ),
    Way(
        "larger pages than are asked for",
        (("security_incidents", "`page_size` of `SecurityIncidents`", "it served 51"),),
        tenant={
            "catalogue": altered("/security/incidents", paging=Paging(50, 1000)),
            "size": Size(incidents=140),
        },
    ),
    Way(
        "a page size that is refused",
        (("conditional_access_policies", "`page_size` of `ConditionalAccessPolicies`", "400 `BadRequest`"),),
        (
            Fault(
                r"/conditionalAccess/policies\?.*\$top",
                status=400,
                code="BadRequest",
                message="Query option 'Top' is not allowed.",
                times=ALWAYS,
            ),
        ),
    ),
    Way(
        "a page size that is refused in new words",
        (("applications", "`CATALOGUE`", "400 `PageTooLarge`"),),
        (Fault(r"/applications\?.*\$top=1000", status=400, code="PageTooLarge", times=ALWAYS),),
    ),
    Way(
        "page links to another host",
        (("devices", "`graph_host` of the cloud", "to another one: #"),),
        (Fault(r"/v1.0/devices\?.*\$top=999", kind="foreign_link", times=ALWAYS),),
    ),
    Way(
        "page links that are refused",
        (("audit_logs_directory", "page links", "400 `Directory_ExpiredPageToken`"),),
        (Fault(r"/directoryAudits\?.*skiptoken", problem="page_token_expired", times=ALWAYS),),
    ),
    Way(
        "a permission that does not suffice",
        (("named_locations", "`permissions` of `NamedLocations`", "403 `AccessDenied`"),),
        (Fault("/namedLocations", problem="policies_denied", times=ALWAYS),),
    ),
    Way(
        "a permission that opens no mailbox",
        (("contacts", "`permissions` of `Contacts`", "403 `ErrorAccessDenied`"),),
        (Fault("/users/[^/]+/contacts", problem="mailbox_out_of_scope", times=ALWAYS),),
    ),
    Way(
        "a permission that is not needed",
        (("domains", "`permissions` of `Domains`", "does"),),
        tenant={
            "grants": set(GRANTS) - {"Domain.Read.All"},
            "catalogue": altered("/domains", permissions=("Domain.Read.All", "User.Read.All")),
        },
    ),
    Way(
        "a refusal that nobody knows",
        (("subscribed_skus", "`CATALOGUE`", "400 `LicenceServiceMoved`: “The … is not available"),),
        (
            Fault(
                "/subscribedSkus",
                status=400,
                code="LicenceServiceMoved",
                message="The 'Fabrikam' is not available 4711.",
                times=ALWAYS,
            ),
        ),
    ),
    Way(
        "no batches",
        (("every child stream", "`batch_size`", "404"),),
        (Fault(r"POST /v1.0/\$batch", status=404, times=ALWAYS),),
    ),
    Way(
        "no `latest` token",
        tuple(
            (f"{name}", "`cursor_field` of", "400 `BadRequest`")
            for name in ("groups", "group_member (MemberChanges)", "group_owner (OwnerChanges)")
        ),
        tenant={"catalogue": altered("/groups", tracking=REFUSES_LATEST)},
    ),
    Way(
        "a `latest` that brings no token",
        (("applications", "`cursor_field` of `Applications`", "no token came"),),
        (edit("/applications/delta", lambda headers, body: body.pop("@odata.deltaLink")),),
    ),
    Way(
        "a token that is refused at once",
        (("devices", "`cursor_field` of `Devices`", "410 `syncStateNotFound`"),),
        (Fault(r"/devices/delta\?.*deltatoken=(?!latest)", problem="sync_state_not_found", times=ALWAYS),),
    ),
    Way(
        "changes that are told of ids alone",
        (("applications", "`cursor_field` of `Applications`", "for `id` alone it does"),),
        (Fault(r"/applications/delta\?.*select=.*displayName", problem="not_in_a_list", times=ALWAYS),),
    ),
    Way(
        "a filter that is refused",
        (("contacts", "`changed_since` of `Contacts`", "400 `ErrorInvalidUrlQueryFilter`"),),
        tenant={"traits": Traits(contacts_by_time=False)},
    ),
    Way(
        "a time that is no token",
        tuple((name, "`changed_since` of", "400 `invalidRequest`") for name in ("drive_items", "site_drive_items")),
        tenant={"traits": Traits(timestamp_tokens=False)},
    ),
    Way(
        "a filter that is ignored",
        (("risk_detections", "`changed_since` of `RiskDetections`", "older objects: "),),
        tenant={"catalogue": altered("/identityProtection/riskDetections", arrange=everything)},
    ),
    Way(
        "a skewed clock",
        (("every incremental stream", "`CLOCK_DIFFERENCE`", "seconds ahead of this machine's"),),
        tenant={"clock": lambda: time.time() + 3_600},
    ),
    Way(
        "throttling with a date",
        (("every stream of security", "`Service.SECURITY`", "Retry-After: HTTP date (1)"),),
        (Fault("/security/alerts_v2", status=429, headers={"Retry-After": SOON}),),
    ),
    Way(
        "an export that lacks a message",
        (("chat_messages", "`export_class` of `ChatMessages`", "it lacks 1 of 6 messages in 3 chats: "),),
        (edit("/chats/getAllMessages", without_the_first),),
    ),
    Way(
        "chats that lack a message",
        (("chat_messages", "`path_template` of `ChatMessages`", "it lacks "),) * 2,
        (edit(r"/chats/[^/]+/messages", without_the_first),),
    ),
    Way(
        "apps among the members of groups",
        tuple(
            (name, f"`app_relation` of `{kind}`", "apps in the list: ")
            for name, kind in (("group_member", "GroupMember"), ("group_owner", "GroupOwner"))
        ),
        tenant={"traits": Traits(members_include_apps=True, empty_pages=False)},
    ),
    Way(
        "owners that are apps and hidden",
        (("application_owner", "`path_template` of `ApplicationOwner`", "apps that are not in it: 1 of 1"),),
        (edit("/applications/[^/]+/owners", without_apps),),
    ),
    Way(
        "folders that the delta query leaves out",
        (("mail_folders", "`path_template` of `MailFolders`", "objects by list alone: 1"),),
        (edit("/mailFolders/delta", without_the_first),),
        tenant={"traits": NO_HOLES},
    ),
    Way(
        "sites that the list leaves out",
        (("sites", "`path_template` of `Sites`", "objects by delta query alone: "),),
        (objects("/sites/delta", lambda each: each.update(id=f"{each['id']}0")),),
        tenant={"traits": NO_HOLES},
    ),
    Way(
        "an empty list that no tenant has",
        (("organization", "`never_empty` of `Organization`", "Graph lists none"),),
        (edit("/v1.0/organization", without_the_first),),
    ),
    Way(
        "a list shorter than its count",
        (("oauth2_permission_grants", "`query` of `Oauth2PermissionGrants`", "it counts 12 and lists 11"),),
        (edit(r"/oauth2PermissionGrants\?.*\$top=999", without_the_first),),
        tenant={"traits": NO_HOLES},
    ),
    Way(
        "objects without an id",
        (("role_definitions", "`primary_key` of `RoleDefinitions`", "objects without one: 12"),),
        (objects("/roleDefinitions", lambda each: each.pop("id")),),
    ),
    Way(
        "an id that stands for two objects",
        (("role_assignments", "`primary_key` of `RoleAssignments`", "ids that stand for different ones on a page: 1"),),
        (objects(r"/roleAssignments\?", lambda each: each.update(id="the-one")),),
    ),
    Way(
        "a page that is none",
        (("named_locations", "`path_template` of `NamedLocations`", "200"),),
        (Fault("/namedLocations", kind="not_json", times=ALWAYS),),
    ),
    Way(
        "a path that ends soon",
        (("directory_role_templates", "`path_template` of `DirectoryRoleTemplates`", "Sunset"),),
        (
            edit(
                "/directoryRoleTemplates", lambda headers, body: headers.update(Sunset="Fri, 01 Jan 2027 00:00:00 GMT")
            ),
        ),
    ),
    Way(
        "a cloud that has what it lacked",
        (("report_email_activity", "`lacks` in `config/clouds.py`", "it serves a page"),),
        tenant={"catalogue": altered("/reports/getEmailActivityUserDetail", workload=replace(USAGE, lacking_in=()))},
        config={"cloud": {"cloud_type": "us_government_l4"}},
        host="graph.microsoft.us",
    ),
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_each_difference_is_found(way: Way, tmp_path: Path) -> None:
    """It, and nothing else."""
    tenant = Tenant(**way.tenant)
    for fault in way.faults:
        tenant.faults.add(replace(fault))

    told = reported(tenant, tmp_path, "--yes", host=way.host, **way.config)

    assert told.code == 0
    assert len(told.differences) == len(way.expected), told.differences
    for (stream, declaration, _, found), expected in zip(told.differences, way.expected, strict=True):
        assert stream == f"`{expected[0]}`"
        assert expected[1] in declaration
        assert expected[2] in found


def test_the_documents_show_a_report(tmp_path: Path) -> None:
    """Each line that they show is one of a report of such a tenant."""
    (shown,) = re.findall(r"```markdown\n(.*?)```", (ROOT / "docs" / "running.md").read_text(), re.DOTALL)
    names = ("an export that lacks a message", "a property that no schema knows", "smaller pages than were asked for")
    ways = [way for way in WAYS if way.name in names]
    tenant = Tenant(**{name: value for way in ways for name, value in way.tenant.items()})
    for fault in (fault for way in ways for fault in way.faults):
        tenant.faults.add(replace(fault))

    report = reported(tenant, tmp_path, "--yes").report

    assert len(ways) == len(names)
    assert len(shown.splitlines()) == 2 + len(names)
    for line in shown.splitlines():
        assert line in report.splitlines()


# What it tells of refusals.


def test_missing_permissions_and_licences_are_rows(tmp_path: Path) -> None:
    """They are the tenant's own affair, so they stand below and differ from nothing."""
    tenant = Tenant(grants=set(GRANTS) - {"Chat.Read.All"}, traits=Traits(premium=False, intune=False))

    told = reported(tenant, tmp_path, "--yes")

    assert told.differences == []
    section = "Licences, permissions and other refusals"
    assert "permission missing | It takes Chat.Read.All (at least Chat.ReadBasic.All)." in told.row(section, "chats")
    assert "| licence missing | " in told.row(section, "audit_logs_signins")
    assert "| licence missing | " in told.row(section, "managed_devices")
    assert "nothing was found that it could belong to" in told.row("First pages", "chat_messages")


def test_an_owner_that_has_nothing_is_followed_by_another(tmp_path: Path) -> None:
    """The first user asked may have no mailbox."""
    tenant = Tenant()
    tenant.faults.add(Fault(r"/users/[^/]+/messages\?", problem="mailbox_inactive", times=1))

    told = reported(tenant, tmp_path, "--yes")

    assert told.differences == []
    *_, tries = told.row("First pages", "mail_messages").strip("| ").split(" | ")
    assert int(tries) > 1


def test_a_property_of_one_row_names_its_shape_alone(tmp_path: Path) -> None:
    """What a tenant names itself is hashed: a list column, an extension, a name that is no word of Microsoft's."""
    tenant = Tenant()
    names = {"Kundennummer Zürich": "4711", "ext7x1_payroll": {"iban": "CH93"}, "salary_of_adele": 1, "x20260101": ""}
    tenant.faults.add(objects("/auditLogs/signIns", lambda each: each.update(names)))

    told = reported(tenant, tmp_path, "--yes")

    assert len(told.differences) == 2
    assert all(re.search(r"^`#[0-9a-f]{8}` has no column: ", found) for *_, found in told.differences)
    assert "extensions of the tenant's own" in told.report
    assert not any(word in told.report for word in ("Kunden", "4711", "ext7x1", "payroll", "iban", "salary", "x2026"))


# Nothing personal.


def texts(value: Any) -> Iterator[str]:
    """Every text in a value, the names of properties aside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)


def is_told(text: str, report: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", report) is not None


GOSSIP = (
    "The mailbox of Adele Vance <adele.vance@contoso.com> at https://contoso.sharepoint.com/sites/payroll could not be "
    "found: user.3@contoso.onmicrosoft.com, 'Zürich', tenant 8f6b3a52-0d0f-4a53-9f0f-6a1c5a4f2b7e."
)


def test_nothing_of_the_tenant_is_told(tmp_path: Path) -> None:
    """No value of any object, none of a refusal's words that is not Microsoft's, and no part of the sign-in: what is
    told is told of a tenant that shows nothing as well."""
    tenant = Tenant(size=Size(users=12), traits=Traits(members_include_apps=True))
    values = {text for name in PUBLISHED for of in tenant.expected(name) for text in texts(of) if len(text) > 2}
    for match in ("/contacts", "/subscribedSkus", "getAllMessages", "/domains", "/groups/delta"):
        tenant.faults.add(Fault(match, status=400, code="adele.vance@contoso.com", message=GOSSIP, times=ALWAYS))
    tenant.faults.add(edit("/chats/[^/]+/messages", without_the_first))
    tenant.faults.add(Fault(r"/v1.0/devices\?", kind="foreign_link", times=ALWAYS))
    tenant.faults.add(
        objects("/v1.0/sites", lambda each: each.update({"Ümlaut": each["webUrl"], "isRoot": "Fabrikam"}))
    )

    told = reported(tenant, tmp_path, "--yes")

    assert len(told.differences) > 5
    plain = reported(Tenant(grants=()), tmp_path, "--yes").report
    assert len(values) > 5_000
    leaks = {text for text in values if is_told(text, told.report + told.talk) and not is_told(text, plain)}
    # What remains are members of enumerations in one word, which are names of properties as well, and a heading.
    assert {text for text in leaks if not re.fullmatch("[a-z]+", text)} <= {"User"}
    for secret in (tenant.tenant_id, tenant.client_id, tenant.client_secret, tenant.domain, "contoso", "evil.example"):
        assert secret not in told.report + told.talk
    assert not re.search(r"adele|vance|zürich|payroll|sharepoint\.com|fabrikam|ümlaut", told.report, re.IGNORECASE)
    assert "8f6b3a52" not in told.report


def test_hashes_of_two_reports_have_nothing_in_common(tmp_path: Path) -> None:
    """So no hash can be looked up, nor a guess be tried on another report."""
    hashes = [set(re.findall(r"#[0-9a-f]{8}", reported(Tenant(), tmp_path, "--yes").report)) for _ in range(2)]

    assert all(hashes)
    assert not hashes[0] & hashes[1]


# Consent, and trouble.


@pytest.mark.parametrize("answer", ["", "n\n", "\n", "of course not\n"])
def test_nothing_is_asked_without_consent(answer: str, tmp_path: Path) -> None:
    """Not even a token."""
    tenant = Tenant()

    told = reported(tenant, tmp_path, answer=answer)

    assert (told.code, told.report) == (1, "")
    assert told.talk.endswith("Nothing was asked. With --yes there is no question.\n")
    assert list(tenant.requests) == []


def test_consent_is_a_yes(tmp_path: Path) -> None:
    """What will be asked stands before the question."""
    told = reported(Tenant(), tmp_path, answer="Yes\n")

    assert told.code == 0
    assert told.talk.index("the first page of each stream") < told.talk.index("Ask now? [y/N]")
    assert told.report.startswith("# Field report of source-microsoft-graph ")


def test_a_refused_sign_in_ends_at_once(tmp_path: Path) -> None:
    """With the message that every command has."""
    tenant = Tenant()

    told = reported(tenant, tmp_path, "--yes", client_secret="not~This~Secret")

    assert (told.code, told.report) == (1, "")
    assert "Sign-in failed. The client secret is wrong. Use the secret's value, not its ID." in told.talk
    assert "not~This~Secret" not in told.talk
    assert not [seen for seen in tenant.requests if seen.path.startswith("/v1.0/")]


def test_a_refused_token_ends_at_once(tmp_path: Path) -> None:
    """Graph does not take a token that Entra gave."""
    tenant = Tenant()
    tenant.faults.add(Fault("/v1.0/", status=401, times=ALWAYS))

    told = reported(tenant, tmp_path, "--yes")

    assert (told.code, told.report) == (1, "")
    assert "Graph does not accept the access token." in told.talk
    assert len([seen for seen in tenant.requests if seen.path.startswith("/v1.0/")]) == 2


def test_the_help_names_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    """Beside those of the protocol, which stay as they are."""
    assert launch(["--help"], StopRequest()) == 0

    shown = capfd.readouterr().out
    assert "{spec,check,discover,read}" in shown
    assert re.search(r"^  report +asks a tenant", shown, re.MULTILINE)


def test_a_wrong_configuration_is_refused(tmp_path: Path) -> None:
    told = reported(Tenant(), tmp_path, "--yes", page_size="many")

    assert (told.code, told.report) == (1, "")
    assert "Configuration: page_size: is not of type integer." in told.talk


def test_a_connection_that_is_lost_leaves_a_report(tmp_path: Path) -> None:
    """Of what was seen by then."""
    tenant = Tenant()
    tenant.faults.add(Fault("/v1.0/", kind="reset", after=30, times=ALWAYS))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Network, "_send", _with_resets(Network._send))
        told = reported(tenant, tmp_path, "--yes")

    assert told.code == 0
    assert "**The connection was lost (GraphUnreachable), so the report is not whole.**" in told.report
    assert told.row("First pages", "users").split(" | ")[1] == "200"
    assert "nothing answers any more" in told.report


def _with_resets(send: Callable[..., requests.Response]) -> Callable[..., requests.Response]:
    """A network in this process has no connections to reset, so the tenant says when."""

    def sent(network: Network, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        response = send(network, request, **more)
        tenant = network.hosts[GRAPH]
        if any(fault.kind == "reset" and fault.struck for fault in tenant.faults.waiting):
            raise requests.ConnectionError("Connection reset by peer", request=request)
        return response

    return sent


@pytest.mark.parametrize(
    "content", ['{"value": {"a": 1}}', '{"value": [1, null, "x", {"id": 5}]}', "[]", '{"value": [{}]}']
)
def test_odd_pages_end_nothing(content: str, tmp_path: Path) -> None:
    """Whatever Graph sends in the place of every page, there is a report."""
    tenant = Tenant()

    def replaced(headers: dict[str, str], body: Any) -> None:
        odd = json.loads(content)
        body.clear()
        body.update(odd if isinstance(odd, dict) else {"odd": odd})

    tenant.faults.add(edit(r"/v1.0/(?!\$batch)", replaced))

    told = reported(tenant, tmp_path, "--yes")

    assert told.code == 0
    assert "## First pages" in told.report
    assert told.differences


def test_the_number_of_requests_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that would take more says that it is not whole."""
    monkeypatch.setattr("source_microsoft_graph.field_report.inquiry.MOST_REQUESTS", 100)
    tenant = Tenant()

    told = reported(tenant, tmp_path, "--yes")

    assert "some of its questions were not asked" in told.report
    assert "not asked: there were enough requests" in told.report
    (requests,) = re.findall(r"Done: (\d+) requests", told.talk)
    assert 50 < int(requests) <= 100


# As a program.


def test_standard_output_has_the_report_alone(runner: Runner, config: Mapping[str, Any]) -> None:
    """Of the console script, and of the image: what is said while it is made goes to standard error."""
    done = runner.report(config)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# Field report of source-microsoft-graph ")
    assert "Nothing: Graph did what the connector assumes." in done.stdout
    assert "First pages …" in done.stderr
    assert "{" not in done.stdout
