"""The simulated tenant keeps the rules of Microsoft Graph v1.0 and of the Entra token endpoint."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msal
import pytest
import requests

from integration_tests.reader import ROOT, TEAMS, Reader, assert_reads_what_is_expected, refusal, user
from simulated_tenant import Fault, Reply, Request, Server, Size, Tenant, Traits, additions, graph_types, serve
from simulated_tenant.catalogue import CATALOGUE, STREAM_TYPES
from simulated_tenant.problems import KNOWN
from simulated_tenant.workloads.directory.collections import DIRECTORY
from simulated_tenant.workloads.directory.contents import VISIBLE_BY

TODAY = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def tenant() -> Tenant:
    """A tenant in which no time passes but what the test lets pass."""
    return Tenant(today=TODAY, clock=TODAY.timestamp)


@pytest.fixture
def reader(tenant: Tenant) -> Reader:
    return Reader(tenant)


@pytest.fixture
def shell() -> Iterator[Server]:
    """A server of its own for the test, which may change its tenant."""
    with serve(Tenant()) as server:
        yield server


# --- The whole ---


@pytest.mark.parametrize("stream", CATALOGUE.streams)
@pytest.mark.parametrize("grants", [(), ("Sites.Read.All",)], ids=["default grants", "with Sites.Read.All"])
def test_whole_read(stream: str, grants: tuple[str, ...]) -> None:
    """The default permissions let a patient reader find everything, and nothing else."""
    tenant = Tenant(today=TODAY)
    tenant.grants |= set(grants)
    assert assert_reads_what_is_expected(Reader(tenant), stream)


# What no list shows, or none to an app with these permissions; deletedDateTime belongs to what is gone.
NEVER = {
    "users": "passwordProfile customSecurityAttributes employeeLeaveDateTime",
    "deleted_applications": "logo",
    "deleted_users": "passwordProfile customSecurityAttributes employeeLeaveDateTime",
    "teams": "membershipRule membershipRuleProcessingState",
    "applications": "logo",
    "service_principals": "customSecurityAttributes",
    "chat_messages": "channelIdentity replyToId",
    "channel_messages": "chatId",
    "calendar_events": "seriesMasterId originalStart",
    "calendar_view": "recurrence cancelledOccurrences",
    "conditional_access_policies": "deletedDateTime",
    "named_locations": "deletedDateTime",
    "service_update_messages": "attachmentsArchive viewPoint",
    "managed_devices": "ethernetMacAddress notes activationLockBypassCode deviceHealthAttestationState",
    "drives": "parentReference",
    "sites": "error parentReference",
    "list_items": "deleted name parentReference",
    "drive_items": "content deleted searchResult",
    "site_drive_items": "content deleted searchResult",
}


@pytest.mark.parametrize("stream", [stream for stream, kind in STREAM_TYPES.items() if kind != "directoryObject"])
def test_filled(stream: str) -> None:
    """Across its rows a stream shows every property of its type that a list can return."""
    kind = STREAM_TYPES[stream]
    refused = CATALOGUE.selection(kind).refused.keys()
    entities = [entity for _, entity in Tenant().expected(stream)]
    filled = {name for entity in entities for name, value in entity.items() if value is not None}
    gone = {"deletedDateTime"} if CATALOGUE.streams[stream][0].workload is DIRECTORY else set()
    known = {*graph_types.properties(kind), *additions.undeclared(kind, kind)}
    assert known - refused - gone - set(NEVER.get(stream, "").split()) <= filled


def test_every_kind_of_system_message() -> None:
    """The details of a system message are of the type that it names, with what Graph sends and no type declares."""
    details = [entity["eventDetail"] for _, entity in Tenant().expected("chat_messages") if entity["eventDetail"]]
    kinds = {graph_types.short_name(detail["@odata.type"]): detail for detail in details}
    assert kinds.keys() == set(graph_types.derived("eventMessageDetail"))
    assert all(set(detail) - {"@odata.type"} == set(graph_types.properties(kind)) for kind, detail in kinds.items())
    initiators = (detail["initiator"]["user"] for kind, detail in kinds.items() if detail.get("initiator"))
    assert any("tenantId" in user for user in initiators)


def test_agents() -> None:
    """Some users, applications and service principals are agents and say so."""
    for stream, kind in {"users": "agentUser", "service_principals": "agentIdentity"}.items():
        marked = [entity for _, entity in Tenant().expected(stream) if entity.get("@odata.type", "").endswith(kind)]
        assert marked
        listed = set(graph_types.properties(kind)) - set(additions.NOT_LISTED.get("user", ()))
        assert all(listed <= set(entity) for entity in marked)


def test_seed() -> None:
    """The same seed gives the same tenant, another seed another one."""
    first, again, other = (list(Tenant(seed=seed, today=TODAY).expected("mail_messages")) for seed in (1, 1, 2))
    assert first == again
    assert first[0][1]["id"] != other[0][1]["id"]


def test_large() -> None:
    """A million messages are there without being made."""
    tenant = Tenant(Size(users=10_000, messages_per_user=100))
    tenant.traits.empty_pages = False
    page = Reader(tenant).get(f"/users/{user(tenant, 9_999)}/messages?$top=100&$select=subject")
    assert len(page.json["value"]) == 100


# --- Signing in ---


def form(tenant: Tenant, **changes: str | None) -> bytes:
    fields = {
        "grant_type": "client_credentials",
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "scope": "https://graph.microsoft.com/.default",
        **changes,
    }
    return urlencode({name: value for name, value in fields.items() if value is not None}).encode()


def sign_in(tenant: Tenant, directory: str = Tenant.tenant_id, **changes: str | None) -> Reply:
    url = f"https://login.microsoftonline.com/{directory}/oauth2/v2.0/token"
    return tenant.respond(Request.to(url, method="POST", body=form(tenant, **changes)))


def test_sign_in_by_msal(shell: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Microsoft's own library gets a token here, and Graph takes it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", shell.ca_bundle)
    config = shell.config()
    app = msal.ConfidentialClientApplication(
        config["client_id"],
        authority=f"https://{shell.host}/{config['tenant_id']}",
        client_credential=config["client_secret"],
        instance_discovery=False,
    )
    token = app.acquire_token_for_client([f"https://{shell.host}/.default"])["access_token"]
    answer = requests.get(f"https://{shell.host}/v1.0/users", headers={"Authorization": f"Bearer {token}"}, timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Content-Encoding"] == "gzip"
    assert urlsplit(answer.json()["@odata.nextLink"]).netloc == shell.host


@pytest.mark.parametrize(
    ("changes", "traits", "expected"),
    [
        ({"client_secret": "wrong"}, Traits(), (401, "invalid_client", 7000215)),
        ({}, Traits(secret_expired=True), (401, "invalid_client", 7000222)),
        ({"client_secret": None}, Traits(), (401, "invalid_client", 7000218)),
        ({"client_id": "ffffffff-0000-4000-8000-000000000000"}, Traits(), (400, "unauthorized_client", 700016)),
        ({}, Traits(app_disabled=True), (401, "unauthorized_client", 7000112)),
        ({"scope": None}, Traits(), (400, "invalid_request", 900144)),
        ({"scope": "https://graph.microsoft.us/.default"}, Traits(), (400, "invalid_resource", 500011)),
        ({"scope": "https://graph.microsoft.com/User.Read.All"}, Traits(), (400, "invalid_scope", 1002012)),
        ({"grant_type": "password"}, Traits(), (400, "unsupported_grant_type", 70003)),
        ({"directory": "fabrikam.onmicrosoft.com"}, Traits(), (400, "invalid_tenant", 90002)),
    ],
)
def test_sign_in_refused(changes: dict[str, str], traits: Traits, expected: tuple[int, str, int]) -> None:
    """Entra names each flaw of a token request by its AADSTS number."""
    reply = sign_in(Tenant(traits=traits), **changes)
    assert (reply.status, reply.json["error"], reply.json["error_codes"][0]) == expected
    assert reply.json["error_description"].startswith(f"AADSTS{expected[2]}: ")


def test_discovery_of_unknown_tenant(tenant: Tenant) -> None:
    """An unknown tenant has no metadata either."""
    reply = tenant.respond(Request.to("https://login.microsoftonline.com/nobody/v2.0/.well-known/openid-configuration"))
    assert (reply.status, reply.json["error"]) == (400, "invalid_tenant")


def test_tokens_refused(tenant: Tenant) -> None:
    """Graph takes only tokens of this tenant, for this host, that are neither expired nor revoked."""
    good = tenant.token()
    foreign, elsewhere, short = Tenant(seed=2).token(), tenant.token(host="graph.microsoft.us"), tenant.token(seconds=5)
    assert tenant.respond(Request.to(f"{ROOT}/users", short)).status == 200
    tenant.advance(seconds=6)
    for token in ("", "nonsense", foreign, elsewhere, short, good[:-4]):
        reply = tenant.respond(Request.to(f"{ROOT}/users", token))
        assert refusal(reply) == (401, "InvalidAuthenticationToken")
        assert "WWW-Authenticate" in reply.headers
    assert tenant.respond(Request.to(f"{ROOT}/users", good)).status == 200
    tenant.revoke_tokens()
    assert tenant.respond(Request.to(f"{ROOT}/users", good)).status == 401
    assert tenant.respond(Request.to(f"{ROOT}/users", tenant.token())).status == 200


def test_token_keeps_its_roles(tenant: Tenant) -> None:
    """What is granted after a token was issued isn't in that token."""
    tenant.grants = {"User.Read.All"}
    early = sign_in(tenant).json["access_token"]
    tenant.grants |= {"Sites.Read.All"}
    late = sign_in(tenant).json["access_token"]
    statuses = [tenant.respond(Request.to(f"{ROOT}/sites/getAllSites", token)).status for token in (early, late)]
    assert statuses == [403, 200]


# --- Permissions ---


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/users", (403, "Authorization_RequestDenied")),
        ("/groups/{group}/members", (403, "Authorization_RequestDenied")),
        ("/teams/{group}/channels", (403, "Forbidden")),
        ("/users/{user}/chats", (403, "Forbidden")),
        ("/users/{user}/messages", (403, "ErrorAccessDenied")),
        ("/users/{user}/drive/root/delta", (403, "accessDenied")),
        ("/sites/getAllSites", (403, "accessDenied")),
        ("/auditLogs/signIns", (403, "Authentication_MSGraphPermissionMissing")),
        ("/identity/conditionalAccess/policies", (403, "AccessDenied")),
    ],
)
def test_denials(tenant: Tenant, path: str, expected: tuple[int, str]) -> None:
    """Without a sufficient permission each service denies in its own words."""
    path = path.format(user=user(tenant), group=tenant.directory.ids["group"][0])
    assert refusal(Reader(tenant, "Nothing.Useful").get(path)) == expected


def test_teams_denial_names_the_permissions(tenant: Tenant) -> None:
    """Teams says which permissions it wants and which it got."""
    reply = Reader(tenant, "User.Read.All").get(f"/users/{user(tenant)}/chats")
    message = reply.json["error"]["message"]
    assert "API requires one of 'Chat.ReadBasic.All, Chat.Read.All" in message
    assert "Roles on the request 'User.Read.All'" in message


def test_basic_permissions_show_less(tenant: Tenant) -> None:
    """With User.ReadBasic.All or Mail.ReadBasic.All alone only basic properties have values."""
    basic = Reader(tenant, "User.ReadBasic.All", "Mail.ReadBasic.All")
    person = basic.items("/users?$select=id,displayName,department")[0]
    assert (person["displayName"], person["department"]) == ("Adele Vance", None)
    message = basic.items(f"/users/{user(tenant)}/messages")[0]
    assert message["body"] is None
    assert message["subject"]


def test_hidden_members(reader: Reader) -> None:
    """Members of a type the app may not read come with type and id, all else null."""
    group = reader.tenant.directory.ids["group"][1]
    reader = Reader(reader.tenant, *(reader.tenant.grants - {*VISIBLE_BY["device"]}))
    reader.tenant.traits.members_include_apps = True
    members = {member["@odata.type"]: member for member in reader.items(f"/groups/{group}/members")}
    kinds = ("user", "agentUser", "group", "device", "servicePrincipal", "orgContact")
    assert members.keys() == {f"#microsoft.graph.{kind}" for kind in kinds}
    shown = {name for name, value in members["#microsoft.graph.device"].items() if value is not None}
    assert shown == {"@odata.type", "id"}
    assert members["#microsoft.graph.servicePrincipal"]["displayName"]


def test_apps_among_members(reader: Reader) -> None:
    """v1.0 lists no service principals with a group, and with a service principal its groups and roles, as they are
    after a change too."""
    tenant = reader.tenant
    groups, apps = tenant.directory.ids["group"], tenant.directory.ids["servicePrincipal"]
    app = f"#microsoft.graph.servicePrincipal {apps[1]}"

    def of(path: str) -> list[str]:
        return [f"{item['@odata.type']} {item['id']}" for item in reader.items(path)]

    assert app not in of(f"/groups/{groups[1]}/members")
    assert f"#microsoft.graph.group {groups[1]}" in of(f"/servicePrincipals/{apps[1]}/memberOf")
    assert "#microsoft.graph.directoryRole" in " ".join(of(f"/servicePrincipals/{apps[2]}/memberOf"))
    tenant.delete("group_member", {"id": apps[1], "group_id": groups[1]})
    tenant.add("group_member", group_id=groups[2], id=apps[1])
    assert of(f"/servicePrincipals/{apps[1]}/memberOf") == [
        f"#microsoft.graph.group {groups[number]}" for number in (2, 10)
    ]
    assert Reader(tenant, "Group.Read.All").get(f"/servicePrincipals/{apps[1]}/memberOf").status == 403


def test_apps_among_owners(reader: Reader) -> None:
    """v1.0 lists no service principals among a group's owners, and with a service principal what it owns."""
    tenant = reader.tenant
    groups, apps = tenant.directory.ids["group"], tenant.directory.ids["servicePrincipal"]

    owners = {item["id"] for item in reader.items(f"/groups/{groups[1]}/owners")}
    owned = {(item["@odata.type"], item["id"]) for item in reader.items(f"/servicePrincipals/{apps[1]}/ownedObjects")}

    assert owners
    assert apps[1] not in owners
    assert ("#microsoft.graph.group", groups[1]) in owned
    assert Reader(tenant, "Group.Read.All").get(f"/servicePrincipals/{apps[1]}/ownedObjects").status == 403


def test_owners_and_what_they_own_agree(reader: Reader) -> None:
    """An app owns the applications that name it among their owners."""
    directory = reader.tenant.directory
    apps = [directory.ids["servicePrincipal"][number] for number in directory.numbers("servicePrincipal")]
    applications = [directory.ids["application"][number] for number in directory.numbers("application")]

    owned = {
        (app, item["id"])
        for app in apps
        for item in reader.items(f"/servicePrincipals/{app}/ownedObjects")
        if item["@odata.type"] == "#microsoft.graph.application"
    }
    owners = {
        (item["id"], application)
        for application in applications
        for item in reader.items(f"/applications/{application}/owners")
        if item["@odata.type"] == "#microsoft.graph.servicePrincipal"
    }

    assert owned == owners
    assert len(owned) > 1


def test_sites_by_delta_query(reader: Reader) -> None:
    """Each site once, where the list may have one twice, and `latest` for none."""
    listed = {site["id"] for site in reader.items("/sites/getAllSites")}
    changed = [site["id"] for site in reader.items("/sites/delta")]

    assert sorted(changed) == sorted(listed)
    assert reader.items("/sites/delta?token=latest") == []


def test_top_of_outlook(reader: Reader) -> None:
    """Whether $top bounds a page or the whole of a list is open to choice; a preference always means the page."""
    path = f"/users/{user(reader.tenant)}/events"
    assert [len(reader.items(f"{path}?$top=5")), len(reader.items(path, Prefer="odata.maxpagesize=5"))] == [12, 12]
    reader.tenant.traits.outlook_top_is_a_total = True
    assert [len(reader.items(f"{path}?$top=5")), len(reader.items(path, Prefer="odata.maxpagesize=5"))] == [5, 12]


def test_a_broken_mail_fails_each_page_that_holds_it(reader: Reader) -> None:
    """$skip leads past it."""
    path = f"/users/{user(reader.tenant)}/messages"
    mails = [mail["id"] for mail in reader.items(path)]
    reader.tenant.broken.add(mails[3])

    assert reader.get(f"{path}?$top=4").status == 500
    assert [mail["id"] for mail in reader.get(f"{path}?$top=3").json["value"]] == mails[:3]
    assert [mail["id"] for mail in reader.items(f"{path}?$skip=4")] == mails[4:]


def test_pages_may_overlap(reader: Reader) -> None:
    """The last object of a page is then the first of the next, and the list ends all the same."""
    ids = [each["id"] for each in reader.items("/groups")]
    reader.tenant.traits.pages_overlap = True

    listed = [each["id"] for each in reader.items("/groups?$top=3")]

    assert list(dict.fromkeys(listed)) == ids
    assert len(listed) > len(ids)


@pytest.mark.parametrize(
    ("role", "status"), [("Group.Read.All", 403), ("TeamMember.Read.All", 200), ("TeamMember.ReadWrite.All", 200)]
)
def test_team_members_take_their_own_permission(reader: Reader, role: str, status: int) -> None:
    """https://learn.microsoft.com/graph/api/team-list-members#permissions"""
    tenant = reader.tenant
    assert Reader(tenant, role).get(f"/teams/{tenant.directory.ids['group'][0]}/members").status == status


# --- Paging ---

LISTINGS = (
    "/users",
    "/groups",
    "/applications",
    "/servicePrincipals",
    "/groups/{group}/members",
    f"/groups?$filter={TEAMS}",
    "/teams/{group}/members",
    "/users/{user}/chats",
    "/chats/{chat}/messages",
    "/users/{user}/messages",
    "/users/{user}/events",
    "/users/{user}/contacts",
    "/drives",
    "/users/{user}/drive/root/delta",
    "/auditLogs/directoryAudits",
    "/auditLogs/signIns",
    "/identity/conditionalAccess/policies",
)


def filled_in(tenant: Tenant, path: str) -> str:
    """The path with the ids of the first group, user and chat."""
    chat = quote(tenant.teams.chat_id(0))
    return (
        path.replace("{user}", user(tenant))
        .replace("{group}", tenant.directory.ids["group"][0])
        .replace("{chat}", chat)
    )


@pytest.mark.parametrize("path", LISTINGS)
def test_empty_pages(reader: Reader, path: str) -> None:
    """A page in the middle may be empty and still have a nextLink."""
    pages = list(reader.pages(filled_in(reader.tenant, path)))
    sizes = [len(page["value"]) for page in pages]
    assert 0 in sizes[1:-1]
    assert all("@odata.nextLink" in page for page in pages[:-1])
    reader.tenant.traits.empty_pages = False
    assert all(page["value"] for page in reader.pages(filled_in(reader.tenant, path)))


@pytest.mark.parametrize("path", LISTINGS)
def test_links_are_opaque(reader: Reader, path: str) -> None:
    """A nextLink holds the first request's parameters and a token that needs escaping, and can't be tampered with."""
    link = reader.get(filled_in(reader.tenant, path)).json["@odata.nextLink"]
    parameters = dict(parse_qsl(urlsplit(link).query))
    asked = dict(parse_qsl(urlsplit(path).query))
    (token,) = parameters.keys() - asked.keys()
    assert asked.items() <= parameters.items()
    assert set("+/=%") <= set(parameters[token])
    assert "%25" in link
    for altered in (
        f"{link}&$top=7",
        f"{link}&{token}=x",
        link.replace("%3D", "%253D"),
        link[:-9],
        link.replace("%25", "%25A"),
    ):
        assert reader.get(altered).status == 400, altered


def test_page_token_of_another_listing(reader: Reader) -> None:
    """A token counts only for the listing it was issued for."""
    link = reader.get("/users").json["@odata.nextLink"]
    assert reader.get(link.replace("/users", "/groups")).status == 400


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/users", (400, "Directory_ExpiredPageToken")),
        ("/users/{user}/messages", (410, "syncStateNotFound")),
        ("/users/{user}/drive/root/delta", (410, "resyncRequired")),
    ],
)
@pytest.mark.parametrize("trait", ["page_token_seconds", "page_token_pages"])
def test_page_tokens_expire(reader: Reader, path: str, trait: str, expected: tuple[int, str]) -> None:
    """Page tokens die of age, or after some pages, in each service's own way."""
    setattr(reader.tenant.traits, trait, 1)
    pages = list(reader.pages(filled_in(reader.tenant, path)))
    assert (len(pages) == 2) == (trait == "page_token_pages")
    link = pages[1]["@odata.nextLink"]
    reader.tenant.advance(seconds=2)
    reply = reader.get(link)
    assert refusal(reply) == expected
    assert ("Location" in reply.headers) == (expected[1] == "resyncRequired")


def test_link_of_a_retried_page(reader: Reader) -> None:
    """The directory may refuse to go on from the nextLink of a request that had to be retried."""
    reader.tenant.traits.retried_pages_spoil_tokens = True
    reader.tenant.faults.add(Fault("/users", times=1))
    assert reader.get("/users").status == 503
    link = reader.get("/users").json["@odata.nextLink"]
    assert refusal(reader.get(link)) == (400, "DirectoryPageTokenNotFoundException")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/users?$top=1000", "Request_UnsupportedQuery"),
        ("/users?$top=0", "Request_UnsupportedQuery"),
        ("/groups/{group}/members?$top=1000", "Request_UnsupportedQuery"),
        ("/users?$top=ten", "BadRequest"),
        ("/users/delta?$top=10", "Request_BadRequest"),
        ("/directoryRoles?$top=10", "Request_BadRequest"),
        ("/directoryRoleTemplates?$top=10", "Request_BadRequest"),
        ("/teams/{group}/channels?$top=10", "BadRequest"),
        ("/users/{user}/chats?$top=51", "BadRequest"),
        ("/chats/{chat}/messages?$top=51", "BadRequest"),
        ("/users/{user}/messages?$top=1001", "BadRequest"),
        ("/auditLogs/directoryAudits?$top=1001", "BadRequest"),
    ],
)
def test_page_size_refused(reader: Reader, path: str, code: str) -> None:
    """$top above the maximum, below 1, or where there are no pages, is a 400."""
    assert refusal(reader.get(filled_in(reader.tenant, path))) == (400, code)


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/users?$top=999", 999),
        ("/users", 100),
        ("/users?$top=7", 7),
        ("/users?$top=999&$select=id,signInActivity", 500),
        ("/users/{user}/messages", 10),
        ("/users/{user}/messages?$top=1000", 1000),
        ("/users/{user}/events?$top=9999", 1000),
        ("/chats/{chat}/messages?$top=50", 50),
        ("/users/{user}/drive/root/delta", 200),
        ("/auditLogs/directoryAudits?$top=8", 10),
    ],
)
def test_page_size(path: str, size: int) -> None:
    """Pages are as large as asked for, or as the service's default, cap or floor has it."""
    size_of_tenant = Size(users=1200, messages_per_user=1200, events_per_user=1200, items_per_drive=450)
    tenant = Tenant(size_of_tenant, traits=Traits(empty_pages=False, repeat_drive_items=False))
    assert len(Reader(tenant).get(filled_in(tenant, path)).json["value"]) == size


def test_page_size_by_preference() -> None:
    """Outlook takes odata.maxpagesize on each page anew: a nextLink doesn't carry headers."""
    reader = Reader(Tenant(Size(messages_per_user=60), traits=Traits(empty_pages=False)))
    first = reader.get(f"/users/{user(reader.tenant)}/messages", prefer='IdType="ImmutableId", odata.maxpagesize=30')
    second = reader.get(first.json["@odata.nextLink"])
    assert (len(first.json["value"]), len(second.json["value"])) == (30, 10)


# --- $select, $filter, $orderby ---


def test_default_properties(reader: Reader) -> None:
    """A plain list of users shows eleven properties, and a tip to use $select."""
    page = reader.get("/users").json
    assert len(page["value"][0]) == 11
    assert "$select" in page["@microsoft.graph.tips"]
    assert reader.items("/users?$select=department,nonsense")[0].keys() == {"department"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *(
            (f"/users?$select=id,{name}", (501, "NotImplemented"))
            for name in ("aboutMe", "birthday", "hireDate", "mySite", "preferredName", "skills")
        ),
        ("/users?$select=id,mailboxSettings", (501, "NotImplemented")),
        ("/groups?$select=id,allowExternalSenders", (501, "NotImplemented")),
        ("/groups?$select=id,unseenCount", (501, "NotImplemented")),
        ("/groups?$select=id,hasMembersWithLicenseErrors", (400, "Request_BadRequest")),
        ("/groups?$select=id,isArchived", (404, "ResourceNotFound")),
        ("/users/{user}/chats?$select=id", (400, "BadRequest")),
        ("/chats/{chat}/messages?$select=id", (400, "BadRequest")),
        ("/users/{user}/messages?$select=nonsense", (400, "BadRequest")),
    ],
)
def test_select_refused(reader: Reader, path: str, expected: tuple[int, str]) -> None:
    """Naming a property of another workload fails the whole request."""
    assert refusal(reader.get(filled_in(reader.tenant, path))) == expected


def test_newer_sharepoint_refusal(reader: Reader) -> None:
    """SharePoint's own refusal has another shape."""
    reader.tenant.traits.newer_sharepoint_refusal = True
    status, code = refusal(reader.get("/users?$select=mySite"))
    assert (status, code.endswith("InvalidClientQueryException")) == (400, True)


def test_sign_in_activity(reader: Reader) -> None:
    """signInActivity needs AuditLog.Read.All and a premium licence."""
    path = "/users?$select=id,signInActivity"
    assert reader.get(path).status == 200
    denied = Reader(reader.tenant, "User.Read.All").get(path)
    assert refusal(denied) == (403, "Authentication_MSGraphPermissionMissing")
    reader.tenant.traits.premium = False
    assert refusal(reader.get(path)) == (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant")


def test_key_credentials(reader: Reader) -> None:
    """The bytes of a key come only with keyCredentials in $select."""
    plain, named = reader.items("/applications")[0], reader.items("/applications?$select=id,keyCredentials")[0]
    assert [credential["key"] for credential in plain["keyCredentials"]] == [None, None]
    assert all(credential["key"] for credential in named["keyCredentials"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resourceProvisioningOptions/Any(x:x eq 'Team')", [0, 1, 2, 3]),
        ("groupTypes/any(c:c eq 'Unified')", [0, 1, 2, 3, 4, 5]),
        ("groupTypes/any(c:c eq 'Unified') and mail eq 'group2@contoso.com'", [2]),
    ],
)
def test_group_filters(reader: Reader, text: str, expected: list[int]) -> None:
    """Groups can be filtered to teams and to Microsoft 365 groups."""
    found = reader.items(f"/groups?$select=id&$filter={quote(text)}")
    assert [group["id"] for group in found] == [reader.tenant.directory.ids["group"][number] for number in expected]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/groups?$filter=createdDateTime ge 2024-01-01T00:00:00Z", "Request_UnsupportedQuery"),
        ("/users?$filter=userType ne 'Guest'", "Request_UnsupportedQuery"),
        ("/users?$filter=userType eq 'Member'&$orderby=displayName", "Request_UnsupportedQuery"),
        ("/users?$skip=5", "Request_BadRequest"),
        ("/users?$top=5&$top=5", "BadRequest"),
        ("/directoryRoles?$filter=displayName eq 'x'", "Request_BadRequest"),
        ("/users?$filter=(((", "BadRequest"),
        ("/auditLogs/signIns?$filter=createdDateTime gt 2026-05-20T00:00:00Z", "BadRequest"),
        ("/auditLogs/signIns?$filter=createdDateTime ge '2026-05-20T00:00:00Z'", "BadRequest"),
        ("/auditLogs/signIns?$filter=createdDateTime ge 2026-05-20T00:00:00+00:00", "BadRequest"),
        ("/users/{user}/contacts?$filter=displayName eq 'x'", "BadRequest"),
        ("/users/{user}/drives?$filter=name eq 'x'", "BadRequest"),
        ("/identity/conditionalAccess/policies?$expand=x", "BadRequest"),
        ("/chats/{chat}/messages?$orderby=lastModifiedDateTime asc", "BadRequest"),
        ("/users/{user}/messages?$filter=isRead eq true&$orderby=receivedDateTime", "InefficientFilter"),
    ],
)
def test_queries_refused(reader: Reader, path: str, code: str) -> None:
    """A query that a collection doesn't support is a 400."""
    assert refusal(reader.get(filled_in(reader.tenant, path))) == (400, code)


def test_advanced_queries(reader: Reader) -> None:
    """`ne` in the directory works with ConsistencyLevel: eventual and $count=true, on every page."""
    path = "/users?$count=true&$filter=" + quote("userType ne 'Guest'")
    assert len(reader.items(path, consistencylevel="eventual")) == 22
    first = reader.get(path, consistencylevel="eventual").json
    assert first["@odata.count"] == 22
    assert reader.get(first["@odata.nextLink"]).status == 400


@pytest.mark.parametrize("log", ["signIns", "directoryAudits"])
def test_audit_windows(reader: Reader, log: str) -> None:
    """ge and le include their bounds, which several entries may share, so that adjoining windows repeat entries."""
    name = "createdDateTime" if log == "signIns" else "activityDateTime"
    entries = reader.items(f"/auditLogs/{log}")
    moments = [entry[name] for entry in entries]
    assert moments == sorted(moments, reverse=True)
    bound = next(moment for moment in moments if moments.count(moment) == 2)
    newer = reader.items(f"/auditLogs/{log}?$filter={name} ge {bound}")
    older = reader.items(f"/auditLogs/{log}?$filter={name} le {bound}")
    assert len(newer) + len(older) == len(entries) + 2
    assert len(reader.items(f"/auditLogs/{log}?$filter={name} ge {bound} and {name} le {bound}")) == 2


def test_chat_message_filter(reader: Reader) -> None:
    """A filter on chat messages counts only beside a $orderby on the same property; else it's silently ignored."""
    path = f"/chats/{quote(reader.tenant.teams.chat_id(0))}/messages?$top=50"
    everything = reader.items(path)
    since = everything[20]["lastModifiedDateTime"]
    text = quote(f"lastModifiedDateTime gt {since}")
    assert len(reader.items(f"{path}&$filter={text}")) == len(everything) == 130
    assert len(reader.items(f"{path}&$filter={text}&$orderby=createdDateTime desc")) == 130
    newer = reader.items(f"{path}&$filter={text}&$orderby=lastModifiedDateTime desc")
    assert newer == everything[:20]
    assert any(message["deletedDateTime"] for message in everything)


# --- What a service doesn't have ---


@pytest.mark.parametrize(
    ("number", "path", "expected"),
    [
        (5, "/users/{user}/messages", (404, "ResourceNotFound")),
        (6, "/users/{user}/events", (404, "MailboxNotEnabledForRESTAPI")),
        (7, "/users/{user}/contacts", (404, "ErrorInvalidUser")),
        (8, "/users/{user}/messages", (404, "MailboxNotEnabledForRESTAPI")),
        (5, "/users/{user}/drive/root/delta", (404, "itemNotFound")),
        (6, "/users/{user}/drive/root/delta", (404, "ResourceNotFound")),
        (7, "/users/{user}/drives", (400, "BadRequest")),
        (9, "/users/{user}/drive/root/delta", (423, "notAllowed")),
        (10, "/users/{user}/drive", (404, "ResourceNotFound")),
    ],
)
def test_users_without(reader: Reader, number: int, path: str, expected: tuple[int, str]) -> None:
    """Guests and others have no mailbox or no OneDrive, and each service has several ways to say so."""
    assert refusal(reader.get(path.format(user=user(reader.tenant, number)))) == expected


@pytest.mark.parametrize(
    ("area", "trouble", "path"),
    [
        ("user", "user_gone", "/users/{user}/messages"),
        ("mailbox", "mailbox_out_of_scope", "/users/{user}/messages"),
        ("mailbox", "mailbox_non_existent", "/users/{user}/events"),
        ("mailbox", "mailbox_item_not_found", "/users/{user}/contacts"),
        ("onedrive", "onedrive_blocked", "/users/{user}/drives"),
        ("teams_user", "teams_unlicensed", "/users/{user}/chats"),
        ("team", "team_item_not_found", "/teams/{group}/channels"),
        ("team", "team_too_new", "/teams/{group}/members"),
    ],
)
def test_trouble(reader: Reader, area: str, trouble: str, path: str) -> None:
    """Any user, team or chat can be given any of the refusals Graph is known for."""
    reader.tenant.trouble[area][0] = trouble
    assert refusal(reader.get(filled_in(reader.tenant, path))) == KNOWN[trouble][:2]


def test_blocked_onedrive_has_an_inner_code(reader: Reader) -> None:
    """The telling code of a blocked OneDrive is inside innerError."""
    reply = reader.get(f"/users/{user(reader.tenant, 9)}/drive/root/delta")
    assert reply.json["error"]["innerError"]["code"] == "resourceLocked"


def test_unprovisioned_team(reader: Reader) -> None:
    """A group may be marked as a team and have none, and most groups have none."""
    teams = reader.items(f"/groups?$select=id&$filter={TEAMS}")
    for group in (teams[-1]["id"], reader.tenant.directory.ids["group"][7]):
        reply = reader.get(f"/teams/{group}/channels")
        assert (reply.status, reply.json["error"]["message"]) == (404, f"No team found with Group Id {group}")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/users/nobody@contoso.com/messages", (404, "ErrorInvalidUser")),
        ("/users/nobody@contoso.com/drives", (404, "ResourceNotFound")),
        ("/groups/ffffffff-0000-4000-8000-000000000000/members", (404, "Request_ResourceNotFound")),
        ("/teams/{group}0/channels", (404, "NotFound")),
        ("/chats/19:nonsense@thread.v2/messages", (404, "NotFound")),
        ("/chats", (412, "PreconditionFailed")),
        ("/nonsense", (400, "BadRequest")),
        ("/users/{user}/nonsense", (400, "BadRequest")),
    ],
)
def test_paths(reader: Reader, path: str, expected: tuple[int, str]) -> None:
    """What isn't there is refused."""
    assert refusal(reader.get(filled_in(reader.tenant, path))) == expected


@pytest.mark.parametrize("path", CATALOGUE.not_simulated)
def test_paths_that_are_not_simulated(reader: Reader, path: str) -> None:
    """What Graph has and only the simulation lacks says so."""
    assert refusal(reader.get(re.sub(r"{\w+}", "x", path))) == (501, "NotSimulated")


def test_tenant_without_licences() -> None:
    """Without SharePoint there are no drives at all, without premium no sign-ins."""
    reader = Reader(Tenant(traits=Traits(premium=False, sharepoint_licence=False)))
    for path in ("/drives", "/users/{user}/drive/root/delta"):
        message = reader.get(filled_in(reader.tenant, path)).json["error"]["message"]
        assert message == "Tenant does not have a SPO license."
    assert refusal(reader.get("/auditLogs/signIns")) == (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant")


# --- Mail, contacts, files ---


def test_immutable_ids_and_text_bodies(reader: Reader) -> None:
    """Two preferences, combined by a comma, change the ids and the bodies of items."""
    path = f"/users/{user(reader.tenant)}/messages"
    plain = reader.items(path)
    preferred = reader.items(path, prefer='IdType="ImmutableId", outlook.body-content-type="text"')
    assert not {item["id"] for item in plain} & {item["id"] for item in preferred}
    assert {item["body"]["contentType"] for item in preferred} == {"text"}
    contents = [
        entity
        for keys, entity in reader.tenant.expected("mail_messages", immutable=True, text=True)
        if keys["user_id"] == user(reader.tenant)
    ]
    assert {item["id"] for item in contents} == {item["id"] for item in preferred}


def test_contact_folders(reader: Reader) -> None:
    """/contacts is the default folder only, and /contactFolders lists the folders in it, at one level."""
    root = f"/users/{user(reader.tenant)}"
    assert len(reader.items(f"{root}/contacts")) == 3
    assert len(reader.items(f"{root}/contactFolders")) == 2
    assert len(reader.folders(f"{root}/contactFolders")) == 6
    assert reader.items(f"{root}/contactFolders/contacts/contacts") == reader.items(f"{root}/contacts")


def test_root_site_drives(reader: Reader) -> None:
    """/drives isn't every drive: it's the libraries of the root site."""
    assert reader.items("/drives") == reader.items("/sites/root/drives")
    assert len(reader.items("/drives")) == 2


def test_drive_delta_repeats_items(reader: Reader) -> None:
    """A delta may show an item on two pages; the later one counts."""
    items = reader.items(f"/users/{user(reader.tenant)}/drive/root/delta?$top=5")
    last = {item["id"]: item for item in items}
    assert len(items) > len(last) == 42
    contents = {
        entity["id"]: entity
        for keys, entity in reader.tenant.expected("drive_items")
        if keys["user_id"] == user(reader.tenant)
    }
    assert {key: item["name"] for key, item in last.items()} == {key: item["name"] for key, item in contents.items()}


def test_drive_tree(reader: Reader) -> None:
    """Items come flat, parents before children; only files have a download URL, and only some facets apply."""
    items = reader.items(f"/users/{user(reader.tenant, 1)}/drive/root/delta")
    seen: set[str] = set()
    for item in items:
        assert "root" in item or item["parentReference"]["id"] in seen
        seen.add(item["id"])
        assert ("@microsoft.graph.downloadUrl" in item) == ("file" in item)
    assert sum("folder" in item for item in items) > 5


def test_get_all_messages(reader: Reader) -> None:
    """The export of a user's chats holds the messages of each of them."""
    chats = reader.items(f"/users/{user(reader.tenant)}/chats")
    messages = [message for chat in chats for message in reader.items(f"/chats/{quote(chat['id'])}/messages")]
    assert len(reader.items(f"/users/{user(reader.tenant)}/chats/getAllMessages?$top=50")) == len(messages) > 100


def test_the_range_of_an_export_is_without_its_ends(reader: Reader) -> None:
    """Both ends are given, with gt and lt on the time of the last change; what changed at them is not in it."""
    path = f"/users/{user(reader.tenant)}/chats/getAllMessages?$top=50"
    times = sorted({message["lastModifiedDateTime"] for message in reader.items(path)})
    first, last = times[10], times[20]
    within = f"lastModifiedDateTime gt {first} and lastModifiedDateTime lt {last}"

    found = {message["lastModifiedDateTime"] for message in reader.items(f"{path}&$filter={within}")}
    assert found == set(times[11:20])
    for refused in (
        f"lastModifiedDateTime gt {first}",
        f"lastModifiedDateTime ge {first} and lastModifiedDateTime lt {last}",
        f"createdDateTime gt {first} and createdDateTime lt {last}",
    ):
        assert reader.get(f"{path}&$filter={refused}").status == 400, refused


# --- Throttling ---


@pytest.fixture
def throttled(reader: Reader) -> Reader:
    reader.tenant.throttle.on = True
    return reader


@pytest.mark.parametrize(
    ("path", "allowed", "retry_after"),
    [
        ("/auditLogs/signIns", 5, "10"),
        ("/identity/conditionalAccess/policies", 1, None),
        ("/chats/{chat}/messages", 1, "1"),
        ("/users/{user}/chats", 1, "1"),
        ("/teams/{group}/channels", 4, "1"),
        ("/users?$select=id,signInActivity", 10, "60"),
    ],
)
def test_limits(throttled: Reader, path: str, allowed: int, retry_after: str | None) -> None:
    """Each published limit answers 429 at the first request above it, and opens again when its window has passed."""
    path = filled_in(throttled.tenant, path)
    replies = [throttled.get(path) for _ in range(allowed + 1)]
    assert [reply.status for reply in replies] == [200] * allowed + [429]
    assert replies[-1].headers.get("Retry-After") == retry_after
    throttled.tenant.advance(seconds=float(retry_after or 1))
    assert throttled.get(path).status == 200
    assert (throttled.tenant.throttle.throttled, throttled.tenant.throttle.impatient) == (1, 0)


def test_limits_that_last(throttled: Reader) -> None:
    """Teams does not let its published pace, of one request a second for a chat, be kept up."""
    path, statuses = filled_in(throttled.tenant, "/chats/{chat}/messages"), []
    for _ in range(26):
        statuses.append(throttled.get(path).status)
        throttled.tenant.advance(seconds=1)
    assert statuses == [200] * 25 + [429]


def test_impatience(throttled: Reader) -> None:
    """A request that comes before Retry-After is over is counted, and counts against the limit."""
    for _ in range(6):
        throttled.get("/auditLogs/signIns")
    throttled.tenant.advance(seconds=9)
    assert throttled.get("/auditLogs/directoryAudits").status == 429
    assert throttled.tenant.throttle.impatient == 1
    throttled.tenant.advance(seconds=1)
    assert [throttled.get("/auditLogs/signIns").status for _ in range(5)] == [200, 200, 200, 200, 429]


def test_mailbox_concurrency(throttled: Reader) -> None:
    """Four requests at a time per mailbox; other mailboxes don't care."""
    tenant = throttled.tenant
    requests_to = [
        Request.to(f"{ROOT}/users/{user(tenant, number)}/messages", throttled.token) for number in (0, 0, 0, 0, 0, 1)
    ]
    replies = [tenant.begin(request) for request in requests_to]
    assert [reply.status for reply in replies] == [200, 200, 200, 200, 429, 200]
    assert refusal(replies[4]) == (429, "ApplicationThrottled")
    tenant.finish(replies[0])
    assert tenant.respond(requests_to[0]).status == 200


def test_resource_units(throttled: Reader) -> None:
    """A small tenant has 3,500 directory units in ten seconds; listing users costs two, one with $select."""
    assert [throttled.get("/users").status for _ in range(1751)].count(429) == 1
    throttled.tenant.advance(seconds=10)
    assert [throttled.get("/users?$select=id").status for _ in range(3501)].count(429) == 1


def test_directory_gauges(throttled: Reader) -> None:
    """The directory tells what a request cost, from 80 % of its units on how much is used, and why it refuses."""
    replies = [throttled.get("/users") for _ in range(1751)]
    assert {reply.headers["x-ms-resource-unit"] for reply in replies} == {"2"}
    shares = [reply.headers.get("x-ms-throttle-limit-percentage") for reply in replies]
    assert (shares.index("0.80"), set(shares[:1399]), shares[-2:]) == (1399, {None}, ["1.00", "1.00"])
    assert [reply.headers.get("x-ms-throttle-information") for reply in replies[-2:]] == [
        None,
        "ResourceUnitLimitExceeded",
    ]


def test_sharepoint_gauges(throttled: Reader) -> None:
    """SharePoint tells what is left of a minute from 80 % on; a delta costs one unit with a token, two without."""
    path = f"/users/{user(throttled.tenant)}/drive/root/delta?$select=id&token="
    names = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
    for _ in range(499):
        assert names[0] not in throttled.get(path).headers
    headers = throttled.get(path).headers
    assert [headers[name] for name in names] == ["1250", "250", "48"]
    assert throttled.get(f"{path}latest").headers[names[1]] == "249"
    replies = [throttled.get(path) for _ in range(126)]
    assert [replies[-1].headers[name] for name in names] == ["1250", "1", "60"]
    assert [reply.status for reply in replies[-2:]] == [429, 429]


# --- Faults ---


def test_faults_strike_in_turn(reader: Reader) -> None:
    """A fault strikes after so many requests, so many times, with its own status, code and headers."""
    fault = reader.tenant.faults.add(Fault("GET .*/groups", status=429, headers={"Retry-After": "3"}, after=1, times=2))
    statuses = [reader.get("/groups").status for _ in range(4)]
    assert (statuses, fault.struck) == ([200, 429, 429, 200], 2)
    assert reader.get("/users").status == 200
    assert (reader.tenant.throttle.throttled, reader.tenant.throttle.impatient) == (2, 2)


def test_faults_by_name(reader: Reader) -> None:
    """A fault can be any known problem, and strikes the token endpoint too."""
    reader.tenant.faults.add(Fault("/users.*skiptoken", problem="page_token_expired"))
    assert [page["value"] != [] for page in reader.pages("/users")] == [True]
    reader.tenant.faults.add(Fault("oauth2", status=503))
    assert sign_in(reader.tenant).status == 503
    with pytest.raises(ValueError, match="no fault"):
        Fault("", kind="nonsense")


def test_faulty_pages(reader: Reader) -> None:
    """Pages can come empty, lead to themselves, to another host, or not be JSON."""
    for kind in ("empty_page", "repeat_link", "foreign_link", "not_json", "cut"):
        reader.tenant.faults.add(Fault("/groups", kind=kind, times=1))
    empty, repeating, foreign = (reader.get("/groups").json for _ in range(3))
    assert empty["value"] == []
    assert empty["@odata.nextLink"] == repeating["@odata.nextLink"] == f"{ROOT}/groups"
    assert "evil" in foreign["@odata.nextLink"]
    assert reader.get("/groups").headers["Content-Type"] == "text/html"
    with pytest.raises(ValueError, match="unexpected end"):
        _ = reader.get("/groups").json


def test_broken_deliveries(shell: Server) -> None:
    """Over the wire a reply can be cut short, never begin, or come too late."""
    token = shell.tenant.token(host=shell.host)
    for kind in ("truncate", "reset", "timeout"):
        shell.tenant.faults.add(Fault("/users", kind=kind, times=1))
    errors = (
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ConnectionError,
        requests.exceptions.Timeout,
    )
    with requests.Session() as session:
        session.verify, session.trust_env = shell.ca_bundle, False
        session.headers["Authorization"] = f"Bearer {token}"
        for error in errors:
            with pytest.raises(error):
                session.get(f"https://{shell.host}/v1.0/users", timeout=0.5)
        assert session.get(f"https://{shell.host}/v1.0/users", timeout=5).status_code == 200


def test_deliveries_that_never_end(shell: Server) -> None:
    """A small body can unpack to very much, and another one has no end; so does the batch that either of them is in."""
    token = shell.tenant.token(host=shell.host)
    for kind, after in (("inflate", 0), ("endless", 0), ("endless", 1)):
        shell.tenant.faults.add(Fault("GET /v1.0/users", kind=kind, after=after, times=1))
    with requests.Session() as session:
        session.verify, session.trust_env, session.stream = shell.ca_bundle, False, True
        session.headers["Authorization"] = f"Bearer {token}"
        with session.get(f"https://{shell.host}/v1.0/users", timeout=20) as bomb:
            rest = bomb.raw.read()
        assert len(rest) < 1.5 * 2**20
        unpacked = 0
        while rest:
            inflater = zlib.decompressobj(31)
            unpacked += len(inflater.decompress(rest))
            rest = inflater.unused_data
        assert unpacked > 2**30
        steps = {"requests": [{"id": "1", "method": "GET", "url": "/users"}]}
        for path, method, content in (("users", "GET", None), ("$batch", "POST", steps)):
            url = f"https://{shell.host}/v1.0/{path}"
            with session.request(method, url, json=content, timeout=20) as endless:
                assert len(endless.raw.read(5 * 2**20)) == 5 * 2**20
            assert session.request(method, url, json=content, timeout=20).status_code == 200


# --- $batch ---


def post_batch(tenant: Tenant, *steps: Mapping[str, Any]) -> Reply:
    body = json.dumps({"requests": steps}).encode()
    return tenant.respond(Request.to(f"{ROOT}/$batch", tenant.token(), method="POST", body=body))


def test_batch(tenant: Tenant) -> None:
    """A batch is a 200 whatever its parts are: in any order, each with its own status, headers and nextLink."""
    tenant.faults.add(Fault("/groups", status=429, headers={"Retry-After": "7"}))
    paths = ["/users?$top=5", "groups", "/chats", f"/users/{user(tenant, 8)}/messages", *["/applications"] * 16]
    steps = [{"id": str(number), "method": "GET", "url": path} for number, path in enumerate(paths)]
    reply = post_batch(tenant, *steps)
    order = [response["id"] for response in reply.json["responses"]]
    responses = {response["id"]: response for response in reply.json["responses"]}
    assert reply.status == 200
    assert order != sorted(order, key=int)
    assert [responses[str(number)]["status"] for number in range(5)] == [200, 429, 412, 404, 200]
    assert responses["1"]["headers"]["Retry-After"] == "7"
    assert responses["0"]["body"]["@odata.nextLink"].startswith(f"{ROOT}/users?$top=5&$skiptoken=")
    assert tenant.requests.by_workload["batch"] == 1


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [{"id": str(number), "method": "GET", "url": "/users"} for number in range(21)],
        [{"id": "1", "method": "GET", "url": "/users"}] * 2,
        [{"id": "1", "method": "GET", "url": f"{ROOT}/users"}],
        [{"id": "1", "method": "GET"}],
        [{"id": 1, "method": "GET", "url": "/users"}],
        [{"id": "1", "method": "POST", "url": "/$batch"}],
    ],
)
def test_malformed_batch(tenant: Tenant, steps: list[Mapping[str, Any]]) -> None:
    """More than twenty parts, repeated ids, absolute URLs or missing fields are a 400."""
    assert refusal(post_batch(tenant, *steps)) == (400, "BadRequest")


def test_batches_of_one_mailbox(tenant: Tenant) -> None:
    """One batch stays within the four seats of a mailbox, two at once don't; preferences are each part's own."""
    tenant.throttle.on = True
    part = {"method": "GET", "url": f"/users/{user(tenant)}/messages", "headers": {"Prefer": "odata.maxpagesize=1"}}
    steps = [{"id": str(number), **part} for number in range(20)]
    body = json.dumps({"requests": steps}).encode()
    request = Request.to(f"{ROOT}/$batch", tenant.token(), method="POST", body=body)
    first, second = tenant.begin(request), tenant.begin(request)
    assert {(response["status"], len(response["body"]["value"])) for response in first.json["responses"]} == {(200, 1)}
    assert {response["status"] for response in second.json["responses"]} == {429}


def test_dependent_parts(tenant: Tenant) -> None:
    """A part whose predecessor failed is a 424."""
    reply = post_batch(
        tenant,
        {"id": "a", "method": "GET", "url": "/chats"},
        {"id": "b", "method": "GET", "url": "/users", "dependsOn": ["a"]},
    )
    assert {response["id"]: response["status"] for response in reply.json["responses"]} == {"a": 412, "b": 424}


def test_date(tenant: Tenant) -> None:
    """A reply has the tenant's date, on refusals and for a batch too, whose parts have none."""
    tenant.advance(days=1)
    reply = post_batch(tenant, {"id": "a", "method": "GET", "url": "/users"})
    dates = [reply.headers["Date"], Reader(tenant).get("/chats").headers["Date"], sign_in(tenant).headers["Date"]]
    assert dates == ["Tue, 02 Jun 2026 00:00:00 GMT"] * 3
    assert "Date" not in reply.json["responses"][0]["headers"]


def test_date_on_the_wire(shell: Server) -> None:
    """The server sends the tenant's date, not its own."""
    shell.tenant.advance(days=400)
    with requests.Session() as session:
        session.verify, session.trust_env = shell.ca_bundle, False
        headers = session.get(f"https://{shell.host}/v1.0/users", timeout=5).headers
    when = parsedate_to_datetime(headers["Date"])
    assert abs(when.timestamp() - shell.tenant.clock()) < 5


# --- The log ---


def test_log(reader: Reader) -> None:
    """Tests can ask which requests were made, and what became of them."""
    reader.get("/users?$top=5", prefer="odata.maxpagesize=5")
    reader.get("/chats")
    first, second = reader.tenant.requests
    assert (first.method, first.path, first.query, first.status) == ("GET", "/v1.0/users", "$top=5", 200)
    assert (first.headers, second.status, second.workload) == ({"prefer": "odata.maxpagesize=5"}, 412, "teams")
    assert len(reader.tenant.requests) == reader.tenant.requests.by_workload.total() == 2
