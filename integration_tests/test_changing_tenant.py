"""What happens in the simulated tenant shows in lists, filters and delta queries as it does in Microsoft Graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from integration_tests.reader import Entity, Reader, assert_reads_what_is_expected, refusal, user
from simulated_tenant import Size, Tenant, Traits, Unchangeable
from simulated_tenant.catalogue import CATALOGUE, STREAM_TYPES
from simulated_tenant.collection import Report

TODAY = datetime(2026, 6, 1, tzinfo=UTC)
IMMUTABLE = 'IdType="ImmutableId"'
# What can happen to the objects of each stream.
POSSIBLE = {stream: CATALOGUE.mutations(Tenant(), stream).possible for stream in sorted(CATALOGUE.streams)}


def able(*verbs: str) -> list[str]:
    """The streams in which all of these can happen."""
    return [stream for stream, possible in POSSIBLE.items() if possible >= set(verbs)]


RESTORABLE, MOVING, EDITING = able("restore"), able("move"), able("edit")
REPORTS = [stream for stream, (collection, *_) in CATALOGUE.streams.items() if isinstance(collection, Report)]
GROWING = [stream for stream in able("add") if stream not in REPORTS]
# A deleted message of Teams stays, emptied.
DELETING = [stream for stream in able("delete") if STREAM_TYPES[stream] != "chatMessage"]
LOGS = [stream for stream in GROWING if POSSIBLE[stream] == {"add"}]
# The collection that tracks the objects of each stream, or of one folder of them.
TRACKED = {
    stream: max(tracked, key=lambda each: each.stream == stream)
    for stream in able("edit")
    if (tracked := [each for each in CATALOGUE.collections if each.tracking and each.type == STREAM_TYPES[stream]])
}
IN_DRIVES = [stream for stream in able("edit") if STREAM_TYPES[stream] == "driveItem"]
# What can be restored, by the stream of the objects that are there.
BINS = {
    next(stream for stream in RESTORABLE if STREAM_TYPES[stream] == each.type): each.stream
    for each in CATALOGUE.collections
    if each.path.startswith("/directory/deletedItems/")
}
DIRECTORY = [stream for stream, collection in TRACKED.items() if collection.workload.name == "directory"]


@pytest.fixture
def tenant() -> Tenant:
    """A tenant in which no time passes but what the test lets pass."""
    return Tenant(today=TODAY, clock=TODAY.timestamp, traits=Traits(token_seconds=1e9))


@pytest.fixture
def reader(tenant: Tenant) -> Reader:
    return Reader(tenant)


def keys(tenant: Tenant, stream: str) -> list[dict[str, str]]:
    return [key for key, _ in tenant.expected(stream)]


def contents(tenant: Tenant, stream: str) -> dict[tuple[str, ...], Entity]:
    return {tuple(key.values()): entity for key, entity in tenant.expected(stream)}


def delta(tenant: Tenant, stream: str, query: str = "") -> str:
    """The path of a stream's delta query, in the folder that new objects get."""
    collection = TRACKED[stream]
    assert collection.tracking
    ids = {"user": user(tenant), "drive": library(tenant), "mailFolder": "inbox", "contactFolder": "contacts"}
    return collection.path.format_map(ids) + collection.tracking.path + query


def library(tenant: Tenant) -> str:
    """The drive in which new objects of libraries are."""
    return tenant.files.drive_id(("root", 0, 0))


def tracked_keys(tenant: Tenant, stream: str) -> list[dict[str, str]]:
    """The keys of the objects that the stream's delta query is about, but for the drive's root."""
    owner = {"user_id": user(tenant), "drive_id": library(tenant)}
    found = [key for key in keys(tenant, stream) if all(owner.get(name, text) == text for name, text in key.items())]
    if stream == "mail_messages":
        inbox = f"/users/{user(tenant)}/mailFolders/inbox/messages?$select=id"
        there = {item["id"] for item in Reader(tenant).items(inbox)}
        found = [key for key in found if key["id"] in there]
    return found[1:] if stream in IN_DRIVES else found


def key_at(tenant: Tenant, stream: str, place: int) -> dict[str, str]:
    """One of those keys; the folder that comes first in a drive is passed over."""
    return tracked_keys(tenant, stream)[place + (stream in IN_DRIVES)]


# --- What the tenant holds ---


@pytest.mark.parametrize("stream", GROWING)
def test_add(reader: Reader, stream: str) -> None:
    """What is added is there, under the key that came back, and nothing else has changed."""
    before = contents(reader.tenant, stream)
    reader.tenant.advance(minutes=1)
    key = reader.tenant.add(stream)
    after = assert_reads_what_is_expected(reader, stream)
    assert after.keys() - before.keys() == {tuple(key.values())}
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("stream", EDITING)
def test_edit(reader: Reader, stream: str) -> None:
    """An edit changes one object, and the moment of its last change to now."""
    before = contents(reader.tenant, stream)
    reader.tenant.advance(minutes=1)
    key = key_at(reader.tenant, stream, 1)
    reader.tenant.edit(stream, key)
    after = assert_reads_what_is_expected(reader, stream)
    changed = {name for name in before if before[name] != after[name]}
    assert (before.keys(), changed) == (after.keys(), {tuple(key.values())})
    entity = after[tuple(key.values())]
    assert entity.get("lastModifiedDateTime", "2026-06-01T00:01:00Z").startswith("2026-06-01T00:01:00")


@pytest.mark.parametrize("stream", EDITING)
def test_edit_of_a_property(tenant: Tenant, stream: str) -> None:
    """Any property can be given a value, or none."""
    key = key_at(tenant, stream, 1)
    tenant.edit(stream, key, importance="high", webUrl=None)
    entity = contents(tenant, stream)[tuple(key.values())]
    assert (entity["importance"], entity["webUrl"]) == ("high", None)


@pytest.mark.parametrize("stream", DELETING)
def test_delete(reader: Reader, stream: str) -> None:
    """What is deleted is gone, and can't be changed any more."""
    before = contents(reader.tenant, stream)
    key = key_at(reader.tenant, stream, 1)
    reader.tenant.delete(stream, key)
    after = assert_reads_what_is_expected(reader, stream)
    assert before.keys() - after.keys() == {tuple(key.values())}
    with pytest.raises(KeyError):
        reader.tenant.delete(stream, key)


@pytest.mark.parametrize("stream", RESTORABLE)
def test_restore(reader: Reader, stream: str) -> None:
    """What was deleted comes back as it was, unless it was deleted for good."""
    before, key = contents(reader.tenant, stream), key_at(reader.tenant, stream, 1)
    reader.tenant.delete(stream, key)
    reader.tenant.restore(stream, key)
    assert assert_reads_what_is_expected(reader, stream) == before
    reader.tenant.delete(stream, key)
    reader.tenant.delete(stream, key, for_good=True)
    with pytest.raises(Unchangeable, match="for good can't be restored"):
        reader.tenant.restore(stream, key)


@pytest.mark.parametrize(("stream", "deleted"), BINS.items())
def test_what_can_be_restored(reader: Reader, stream: str, deleted: str) -> None:
    """What was deleted is listed with its time until it is restored or deleted for good."""
    tenant, key = reader.tenant, key_at(reader.tenant, stream, 1)
    before = contents(tenant, deleted)
    tenant.advance(minutes=1)
    tenant.delete(stream, key)
    after = assert_reads_what_is_expected(reader, deleted)
    assert after.keys() - before.keys() == {tuple(key.values())}
    assert after[tuple(key.values())]["deletedDateTime"] == "2026-06-01T00:01:00Z"
    tenant.restore(stream, key)
    assert contents(tenant, deleted) == before
    tenant.delete(stream, key)
    tenant.delete(stream, key, for_good=True)
    assert assert_reads_what_is_expected(reader, deleted) == before


@pytest.mark.parametrize("stream", MOVING)
@pytest.mark.parametrize("immutable", [False, True])
def test_move(reader: Reader, stream: str, immutable: bool) -> None:
    """A move changes the folder and, in Outlook's ordinary form, the id."""
    forms = {"immutable": immutable} if stream not in IN_DRIVES else {}
    before = {tuple(key.values()): (key, entity) for key, entity in reader.tenant.expected(stream, **forms)}
    key = next(key for key, entity in before.values() if "folder" not in entity and "root" not in entity)
    moved = reader.tenant.move(stream, key)
    after = {tuple(key.values()): entity for key, entity in reader.tenant.expected(stream, **forms)}
    folder = "parentReference" if stream in IN_DRIVES else "parentFolderId"
    assert after[tuple(moved.values())][folder] != before[tuple(key.values())][1][folder]
    assert (moved == key) == (immutable or stream in IN_DRIVES)
    assert len(after) == len(before)
    assert_reads_what_is_expected(reader, stream)
    if moved != key:
        with pytest.raises(KeyError):
            reader.tenant.edit(stream, key)


def test_moved_message_is_in_its_folder(reader: Reader) -> None:
    """The list of a mail folder holds what was moved there, and the folder counts it."""
    root = f"/users/{user(reader.tenant)}/mailFolders"
    before = {folder["displayName"]: folder["totalItemCount"] for folder in reader.items(root)}
    moved = reader.tenant.move("mail_messages", key_at(reader.tenant, "mail_messages", 0))
    after = {folder["displayName"]: folder["totalItemCount"] for folder in reader.items(root)}
    assert (after["Inbox"], after["Sent Items"]) == (before["Inbox"] - 1, before["Sent Items"] + 1)
    assert moved["id"] in {item["id"] for item in reader.items(f"{root}/sentitems/messages")}


def test_folders_go_with_their_content(reader: Reader) -> None:
    """A moved folder keeps what is in it, and a deleted one takes it along."""
    before = contents(reader.tenant, "drive_items")
    folders = [key for key, item in reader.tenant.expected("drive_items") if "folder" in item and "root" not in item]
    moved, deleted = folders[3], folders[0]
    reader.tenant.move("drive_items", moved)
    after = contents(reader.tenant, "drive_items")
    assert [key for key in before if before[key] != after[key]] == [tuple(moved.values())]
    assert any(item["parentReference"]["id"] == moved["id"] for item in after.values())
    reader.tenant.delete("drive_items", deleted)
    after = assert_reads_what_is_expected(reader, "drive_items")
    there = {identifier for identifier, _ in after}
    assert all(item["parentReference"]["id"] in there for item in after.values() if "root" not in item)
    assert len(before) - len(after) > 1


def test_deleted_chat_message_stays(tenant: Tenant) -> None:
    """A deleted chat message is listed first, emptied, with the moment of its deletion."""
    tenant.advance(minutes=1)
    key = key_at(tenant, "chat_messages", 5)
    tenant.delete("chat_messages", key)
    message = Reader(tenant).get(f"/chats/{quote(key['chat_id'])}/messages?$top=1").json["value"][0]
    assert (message["id"], message["body"]["content"]) == (key["id"], "")
    assert message["deletedDateTime"] == message["lastModifiedDateTime"] == "2026-06-01T00:01:00.000Z"


def test_chat_messages_of_one_moment(tenant: Tenant) -> None:
    """Two messages of one moment have ids of their own."""
    first, second = tenant.add("chat_messages"), tenant.add("chat_messages")
    assert int(second["id"]) == int(first["id"]) + 1


@pytest.mark.parametrize("stream", LOGS)
def test_logs_only_grow(tenant: Tenant, stream: str) -> None:
    """An entry of a log can't be changed, not even by editing the user it is about."""
    before = contents(tenant, stream)
    key = keys(tenant, stream)[0]
    for change in (tenant.edit, tenant.delete, tenant.move, tenant.restore):
        with pytest.raises(Unchangeable, match=f"in {stream}, a log"):
            change(stream, key)
    tenant.edit("users", {"id": user(tenant)})
    assert contents(tenant, stream) == before


@pytest.mark.parametrize("stream", REPORTS)
def test_reports_grow_by_a_day(reader: Reader, stream: str) -> None:
    """One day's rows come, or the report is made anew for that day, and no row can be changed."""
    before = contents(reader.tenant, stream)
    key = reader.tenant.add(stream)
    after = assert_reads_what_is_expected(reader, stream)
    new = after.keys() - before.keys()
    assert tuple(key.values()) in new
    assert {after[row]["reportDate"] for row in new} == {key["id"].split()[0]}
    for change in (reader.tenant.edit, reader.tenant.delete, reader.tenant.move, reader.tenant.restore):
        with pytest.raises(Unchangeable, match=f"in {stream}, a report"):
            change(stream, key)


@pytest.mark.parametrize("stream", [stream for stream, possible in POSSIBLE.items() if not possible])
def test_what_stays_as_it_is(tenant: Tenant, stream: str) -> None:
    """A stream that can't change says so."""
    with pytest.raises(Unchangeable, match=f"Nothing can be added in {stream}"):
        tenant.add(stream)


def test_roles_run_out(tenant: Tenant) -> None:
    """There is a role for each template, and no more."""
    for _ in range(6):
        tenant.add("directory_roles")
    with pytest.raises(Unchangeable, match="Every role is active"):
        tenant.add("directory_roles")


BELOW_A_USER = ("/messages", "/events", "/contacts", "/drive/root/delta", "/drives", "/chats", "")


@pytest.mark.parametrize("path", BELOW_A_USER)
def test_what_is_below_a_deleted_user(reader: Reader, path: str) -> None:
    """A user in the bin is a 404 to every service, and whole again once restored."""
    key = {"id": user(reader.tenant)}
    path = f"/users/{key['id']}{path}"
    before = reader.get(path).json
    reader.tenant.delete("users", key)
    assert reader.get(path).status == 404
    reader.tenant.restore("users", key)
    assert strip_links(reader.get(path).json) == strip_links(before)


def strip_links(page: Entity) -> Entity:
    return {name: value for name, value in page.items() if not name.endswith("Link")}


def test_what_is_below_a_deleted_group(reader: Reader) -> None:
    """A deleted group takes its members, its team and its drives along; users leave the groups they were in."""
    group = reader.tenant.directory.ids["group"][0]
    before = len(reader.items("/groups/{}/members".format(reader.tenant.directory.ids["group"][1])))
    reader.tenant.delete("groups", {"id": group})
    reader.tenant.delete("users", {"id": user(reader.tenant, 6)})
    for path in (f"/groups/{group}/members", f"/teams/{group}/channels", f"/groups/{group}/drives"):
        assert reader.get(path).status == 404
    assert len(reader.items("/groups/{}/members".format(reader.tenant.directory.ids["group"][1]))) == before - 1
    for stream in ("group_member", "teams", "channels", "team_member", "drives"):
        assert_reads_what_is_expected(reader, stream)


def test_new_user_brings_old_things_along(reader: Reader) -> None:
    """A mailbox and a OneDrive can be moved in with a user: their contents are older than the account."""
    key = reader.tenant.add("users")
    for stream in ("mail_messages", "calendar_events", "contacts", "drive_items"):
        items = [item for parents, item in reader.tenant.expected(stream) if parents["user_id"] == key["id"]]
        assert len(items) > 3
        assert max(item["lastModifiedDateTime"] for item in items) < "2026"
        assert_reads_what_is_expected(reader, stream)
    chat = reader.tenant.add("chats", user_id=key["id"])
    assert [found["id"] for found in reader.items(f"/users/{key['id']}/chats")] == [chat["id"]]
    assert_reads_what_is_expected(reader, "chat_messages")


def test_changes_stay_where_they_are(reader: Reader) -> None:
    """What happens in one mailbox, drive or chat changes nothing in another, and costs nothing there."""
    other = [f"/users/{user(reader.tenant, 1)}{path}" for path in BELOW_A_USER]
    before = [strip_links(reader.get(path).json) for path in other]
    changing = (*MOVING, "calendar_events", "chat_messages")
    for stream in changing:
        reader.tenant.add(stream)
        reader.tenant.edit(stream, key_at(reader.tenant, stream, 0))
    assert [strip_links(reader.get(path).json) for path in other] == before
    assert len(reader.tenant.histories) == len(changing)


def test_large_tenant() -> None:
    """In a tenant of 10,000 users each thousandth change costs what that change is."""
    tenant = Tenant(Size(users=10_000, messages_per_user=100), today=TODAY, clock=TODAY.timestamp)
    for number in range(0, 10_000, 100):
        tenant.edit("users", {"id": user(tenant, number)})
        tenant.add("mail_messages", user_id=user(tenant, number))
    assert sum(len(history.changes) for history in tenant.histories.values()) == 200
    assert sum(len(history.values) for history in tenant.histories.values()) == 200


# --- Delta queries ---


class Copy:
    """What a client that follows a delta query knows, by id."""

    def __init__(
        self,
        reader: Reader,
        path: str,
        between: Callable[[], Any] = lambda: None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.reader, self.link, self.headers = reader, path, headers
        self.items: dict[str, Entity] = {}
        self.gone: dict[str, str] = {}
        self.follow(between)

    def follow(self, between: Callable[[], Any] = lambda: None) -> list[Entity]:
        """One round from where the last one ended, and what happens after each page. The last word counts."""
        link, changed = self.link, []
        while link:
            body = self.reader.get(link, **self.headers).json
            changed += body["value"]
            for item in body["value"]:
                self._take(item)
            link, self.link = body.get("@odata.nextLink"), body.get("@odata.deltaLink", "")
            between()
        return changed

    def _take(self, item: Entity) -> None:
        if "@removed" in item or "deleted" in item:
            self.items.pop(item["id"], None)
            self.gone[item["id"]] = item.get("@removed", {}).get("reason", "deleted")
        else:
            self.items[item["id"]] = item
            self.gone.pop(item["id"], None)


def held(reader: Reader, stream: str, **headers: str) -> dict[str, Entity]:
    """What the stream's delta query should come to, by the list beside it."""
    path = delta(reader.tenant, stream).removesuffix("/delta")
    if stream in IN_DRIVES:
        owners = (user(reader.tenant), library(reader.tenant))
        found = reader.tenant.expected(stream)
        return {key["id"]: item for key, item in found if key.get("user_id", key.get("drive_id")) in owners}
    return {item["id"]: item for item in reader.items(path, **headers)}


def assert_same(copy: Copy, expected: Mapping[str, Entity]) -> None:
    assert copy.items.keys() == expected.keys()
    for identifier, item in copy.items.items():
        shown = {name: value for name, value in item.items() if name in expected[identifier]}
        assert shown == {name: expected[identifier][name] for name in shown}


@pytest.mark.parametrize("stream", TRACKED)
def test_delta_rounds(reader: Reader, stream: str) -> None:
    """The first round tells of everything, the next of what was added, edited and deleted, the last of nothing."""
    tenant = reader.tenant
    copy = Copy(reader, delta(tenant, stream), headers={"deltaExcludeParent": "true"})
    assert_same(copy, held(reader, stream))
    added, edited, deleted = tenant.add(stream), key_at(tenant, stream, 0), key_at(tenant, stream, 1)
    tenant.edit(stream, edited)
    tenant.delete(stream, deleted)
    changed = {item["id"] for item in copy.follow()}
    assert changed == {key["id"] for key in (added, edited, deleted)}
    assert_same(copy, held(reader, stream))
    assert copy.gone.keys() == {deleted["id"]}
    assert copy.follow() == []


@pytest.mark.parametrize("stream", TRACKED)
@pytest.mark.parametrize("immutable", [False, True], ids=["ordinary ids", "immutable ids"])
@pytest.mark.parametrize("seed", range(4))
def test_delta_never_loses_anything(stream: str, immutable: bool, seed: int) -> None:
    """Whatever happens between and within rounds, a client that follows them ends with what the lists show."""
    headers = {"prefer": IMMUTABLE} if immutable else {}
    tenant, random = Tenant(today=TODAY, clock=TODAY.timestamp), Random(seed)
    reader = Reader(tenant)

    def something() -> None:
        verbs = [tenant.edit, tenant.delete, *([tenant.move] if stream in MOVING else ())]
        present, verb = tracked_keys(tenant, stream), random.choice(verbs)
        with suppress(Unchangeable):
            key = tenant.add(stream) if not present or random.random() < 0.4 else random.choice(present)
            verb(stream, key)
            if verb == tenant.delete and stream in RESTORABLE and random.random() < 0.5:
                tenant.restore(stream, key)

    copy = Copy(reader, delta(tenant, stream, "?$top=5" if stream in IN_DRIVES else ""), something, headers)
    for _ in range(6):
        for _ in range(random.randrange(5)):
            something()
        copy.follow(something)
    copy.follow()
    assert_same(copy, held(reader, stream, **headers))


@pytest.mark.parametrize("stream", TRACKED)
def test_first_round_in_the_middle_of_changes(reader: Reader, stream: str) -> None:
    """What was deleted before the first round isn't told; what is deleted in its middle is, then or in the next."""
    tenant = reader.tenant
    early, late = key_at(tenant, stream, 0), key_at(tenant, stream, 1)
    tenant.delete(stream, early)
    copy = Copy(reader, delta(tenant, stream), once(lambda: tenant.delete(stream, late)))
    copy.follow()
    assert copy.gone.keys() == {late["id"]}
    assert_same(copy, held(reader, stream))


def once(change: Callable[[], Any]) -> Callable[[], None]:
    """What does that the first time, and nothing from then on."""
    waiting = [change]
    return lambda: waiting.pop()() if waiting else None


def test_first_round_is_of_everything(reader: Reader) -> None:
    """An object that changes in the middle of the first round comes up with all that it has."""
    tenant = reader.tenant
    group = tenant.directory.ids["group"][8]
    copy = Copy(reader, "/groups/delta", once(lambda: tenant.edit("groups", {"id": group})))
    members = {member["id"] for member in reader.items(f"/groups/{group}/members")}
    assert {member["id"] for member in copy.items[group]["members@delta"]} == members


@pytest.mark.parametrize("stream", [*DIRECTORY, "drive_items"])
def test_latest(reader: Reader, stream: str) -> None:
    """The token `latest` gives a deltaLink without reading anything."""
    token = "token" if stream in IN_DRIVES else "$deltatoken"
    items, link = reader.round(delta(reader.tenant, stream, f"?{token}=latest"))
    assert items == []
    key = reader.tenant.add(stream)
    assert [item["id"] for item in reader.items(link, deltaExcludeParent="true")] == [key["id"]]


@pytest.mark.parametrize("stream", ["mail_messages", "contacts"])
def test_outlook_knows_no_latest(reader: Reader, stream: str) -> None:
    """In Outlook `latest` is no token."""
    assert reader.get(delta(reader.tenant, stream, "?$deltatoken=latest")).status == 400


@pytest.mark.parametrize(
    ("stream", "place", "for_good", "reason"),
    [
        *((stream, 0, False, "changed") for stream in RESTORABLE),
        *((stream, 0, True, "deleted") for stream in RESTORABLE),
        ("groups", 7, False, "deleted"),
        ("directory_roles", 0, False, "deleted"),
        ("mail_messages", 0, False, "deleted"),
        ("contacts", 0, False, "deleted"),
    ],
)
def test_reasons(reader: Reader, stream: str, place: int, for_good: bool, reason: str) -> None:
    """Only what can be restored is gone for the reason `changed`: not roles, nor groups without a mailbox."""
    _, link = reader.round(delta(reader.tenant, stream))
    key = key_at(reader.tenant, stream, place)
    reader.tenant.delete(stream, key, for_good)
    (item,), _ = reader.round(link)
    assert (item["id"], item["@removed"]) == (key["id"], {"reason": reason})


def test_restored_object_is_told_again(reader: Reader) -> None:
    """An object that is back comes up whole."""
    key = key_at(reader.tenant, "users", 3)
    copy = Copy(reader, "/users/delta")
    before = copy.items[key["id"]]
    reader.tenant.delete("users", key)
    assert [item["id"] for item in copy.follow()] == [key["id"]]
    reader.tenant.restore("users", key)
    assert copy.follow() == [before]


def test_select_is_in_the_token(reader: Reader) -> None:
    """Links hold a token and nothing else; $select goes with it, the id always comes, and what is null doesn't."""
    path = "/users/delta?$select=displayName,department"
    first = reader.get(path).json
    link = first["@odata.nextLink"]
    assert dict(parse_qsl(urlsplit(link).query)).keys() == {"$skiptoken"}
    assert "displayName,department" in first["@odata.context"]
    items, delta_link = reader.round(path)
    assert {frozenset(item) - {"@odata.type"} for item in items} == {
        frozenset({"id", "displayName", "department"}),
        frozenset({"id", "displayName"}),
    }
    assert refusal(reader.get(f"{link}&$select=displayName"))[0] == 400
    key = reader.tenant.add("users")
    (item,) = reader.items(delta_link)
    assert (item["id"], item.keys() - {"department"}) == (key["id"], {"id", "displayName"})
    (item,) = reader.items(f"{delta_link}&$select=userPrincipalName")
    assert item.keys() == {"id", "userPrincipalName"}


def test_select_narrows_what_is_told(reader: Reader) -> None:
    """A change of a property that isn't selected goes without saying."""
    _, link = reader.round("/users/delta?$select=displayName")
    first, second = key_at(reader.tenant, "users", 0), key_at(reader.tenant, "users", 1)
    reader.tenant.edit("users", first, jobTitle="Miller")
    assert reader.items(link) == []
    reader.tenant.edit("users", second, displayName="Mill Owner")
    reader.tenant.edit("users", second, jobTitle="Owner")
    assert reader.items(link) == [{"id": second["id"], "displayName": "Mill Owner"}]


def test_minimal(reader: Reader) -> None:
    """return=minimal leaves what changed, null if it is that now, and of new objects everything."""
    _, link = reader.round("/users/delta?$select=displayName,jobTitle,mail")
    key = key_at(reader.tenant, "users", 0)
    reader.tenant.edit("users", key, jobTitle=None)
    assert reader.items(link, prefer="return=minimal") == [{"id": key["id"], "jobTitle": None}]
    assert reader.items(link)[0].keys() == {"id", "displayName", "jobTitle", "mail"}
    reader.tenant.delete("users", key)
    reader.tenant.restore("users", key)
    assert reader.items(link, prefer="return=minimal")[0].keys() == {"id", "displayName", "jobTitle", "mail"}


def test_delta_of_some_objects(reader: Reader) -> None:
    """A filter by id, of at most 50, narrows every round; any other filter is refused."""
    first, second, third = (user(reader.tenant, number) for number in range(3))
    text = quote(f"id eq '{first}' or id eq '{second}'")
    items, link = reader.round(f"/users/delta?$filter={text}")
    assert {item["id"] for item in items} == {first, second}
    for identifier in (second, third):
        reader.tenant.edit("users", {"id": identifier})
    assert [item["id"] for item in reader.items(link)] == [second]
    for refused in ("userType eq 'Guest'", " or ".join([f"id eq '{first}'"] * 51)):
        reply = reader.get(f"/users/delta?$filter={quote(refused)}")
        assert refusal(reply) == (400, "Request_UnsupportedQuery")


def test_sign_in_activity_is_not_tracked(reader: Reader) -> None:
    """signInActivity in the $select of a delta query fails all of it."""
    reply = reader.get("/users/delta?$select=id,signInActivity")
    assert refusal(reply) == (400, "BadRequest")
    assert reply.json["error"]["message"].endswith("not supported for the following properties: signInActivity")


def test_members_of_groups(reader: Reader) -> None:
    """Groups tell of members unless $select leaves them out: all at first, then who came and who left."""
    tenant = reader.tenant
    group = tenant.directory.ids["group"][1]
    items, link = reader.round("/groups/delta")
    told = {item["id"]: item for item in items}[group]["members@delta"]
    assert {member["id"] for member in told} == {
        key["id"] for key, _ in tenant.expected("group_member") if key["group_id"] == group
    }
    assert {member["@odata.type"] for member in told} > {"#microsoft.graph.user"}
    _, plain = reader.round("/groups/delta?$select=displayName")
    _, owners = reader.round("/groups/delta?$select=displayName,owners")
    came = tenant.add("group_member", group_id=group)
    left = {"id": told[0]["id"], "group_id": group}
    tenant.delete("group_member", left)
    (item,) = reader.items(link)
    assert item["displayName"]
    assert item["members@delta"] == [
        {"@odata.type": "#microsoft.graph.user", "id": came["id"]},
        {"@odata.type": "#microsoft.graph.user", "id": left["id"], "@removed": {"reason": "deleted"}},
    ]
    assert reader.items(plain) == reader.items(owners) == []
    owner = tenant.add("group_owner", group_id=group)
    (item,) = reader.items(owners)
    assert [person["id"] for person in item["owners@delta"]] == [owner["id"]]
    tenant.edit("groups", {"id": group})
    (item,) = reader.items(plain)
    assert item.keys() == {"id", "displayName"}


@pytest.mark.parametrize("stream", ["users", "drive_items"])
def test_objects_come_twice(reader: Reader, stream: str) -> None:
    """An object may come up twice in a round, and the later one counts; between the two may be an empty page."""
    _, link = reader.round(delta(reader.tenant, stream))
    for place in range(4):
        reader.tenant.edit(stream, key_at(reader.tenant, stream, place))
    pages = [page["value"] for page in reader.pages(link, deltaExcludeParent="true")]
    assert [len(page) for page in pages] == [3, 0, 2]
    assert pages[0][-1]["id"] == pages[2][0]["id"]
    name = "name" if stream in IN_DRIVES else "displayName"
    assert pages[0][-1][name] == (f"{'old' if name == 'name' else 'Old'} {pages[2][0][name]}")
    reader.tenant.traits.repeat_directory_objects = reader.tenant.traits.repeat_drive_items = False
    assert len(reader.items(link, deltaExcludeParent="true")) == 4


# --- The end of tokens ---


@pytest.mark.parametrize("stream", DIRECTORY)
def test_directory_tokens_last_a_week(reader: Reader, stream: str) -> None:
    """After seven days a delta token is a 410, whose Location leads to the first request again."""
    path = delta(reader.tenant, stream, "?$select=displayName")
    _, link = reader.round(path)
    reader.tenant.advance(days=7)
    assert reader.get(link).status == 200
    reader.tenant.advance(seconds=1)
    reply = reader.get(link)
    assert refusal(reply) == (410, "syncStateNotFound")
    location = reply.headers["Location"]
    assert location.endswith("&$deltatoken=")
    assert reader.items(location) == reader.items(path)


@pytest.mark.parametrize(
    ("service", "stream", "expected", "location"),
    [
        ("directory", "users", (410, "syncStateNotFound"), "/users/delta?$deltatoken="),
        ("files", "drive_items", (410, "resyncRequired"), "/drive/root/delta?token="),
        ("outlook", "mail_messages", (410, "syncStateNotFound"), ""),
        ("outlook", "contacts", (410, "syncStateNotFound"), ""),
    ],
)
def test_expired_tokens(reader: Reader, service: str, stream: str, expected: tuple[int, str], location: str) -> None:
    """A service can forget all its tokens at once; those it issues later are good, and so are other services'."""
    links = {name: reader.round(delta(reader.tenant, name))[1] for name in TRACKED}
    reader.tenant.expire_tokens(service)
    reply = reader.get(links[stream])
    assert refusal(reply) == expected
    assert reply.headers.get("Location", "").endswith(location)
    if service == "files":
        assert reply.json["error"]["innerError"]["code"] == "resyncChangesApplyDifferences"
    _, link = reader.round(delta(reader.tenant, stream))
    assert reader.get(link).status == 200
    others = [name for name, collection in TRACKED.items() if collection.workload.name != service]
    assert {reader.get(links[name]).status for name in others} == {200}


@pytest.mark.parametrize("stream", TRACKED)
def test_foreign_tokens(reader: Reader, stream: str) -> None:
    """Another tenant's token, one for another collection, or plain nonsense is a 400."""
    token = "token" if stream in IN_DRIVES else "$deltatoken"
    other = Reader(Tenant(seed=2, today=TODAY, clock=TODAY.timestamp))
    path = delta(reader.tenant, stream)
    foreign = dict(parse_qsl(urlsplit(other.round(delta(other.tenant, stream))[1]).query))[token]
    elsewhere = dict(
        parse_qsl(urlsplit(reader.round("/groups/delta" if stream == "users" else "/users/delta")[1]).query)
    )
    for wrong in (foreign, elsewhere["$deltatoken"], "nonsense", "a;b"):
        assert reader.get(f"{path}?{token}={quote(wrong, safe='')}").status == 400, wrong


# --- Files ---


def test_timestamp_tokens(reader: Reader) -> None:
    """A timestamp is a token: it tells of what has happened since, in that very moment too."""
    tenant, path = reader.tenant, delta(reader.tenant, "drive_items", "?token=")
    before, edited, deleted, late = (key_at(tenant, "drive_items", place)["id"] for place in range(4))
    key = {"user_id": user(tenant)}
    tenant.edit("drive_items", key | {"id": before})
    tenant.advance(hours=1)
    tenant.edit("drive_items", key | {"id": edited})
    tenant.delete("drive_items", key | {"id": deleted})
    tenant.advance(hours=1)
    tenant.edit("drive_items", key | {"id": late})
    items, link = reader.round(f"{path}2026-06-01T01:00:00Z", deltaExcludeParent="true")
    assert {item["id"]: "deleted" in item for item in items} == {edited: False, deleted: True, late: False}
    assert reader.items(link) == []
    offset = quote("2026-06-01T03:00:00+02:00", safe="")
    assert reader.items(f"{path}{offset}", deltaExcludeParent="true") == items
    later = reader.items(f"{path}2026-06-01T01:00:01Z", deltaExcludeParent="true")
    assert [item["id"] for item in later] == [late]
    assert reader.items(f"{path}2026-06-02T00:00:00Z") == []


def test_timestamp_before_everything(reader: Reader) -> None:
    """A timestamp older than some of the items leads to these and all that has changed."""
    path = delta(reader.tenant, "drive_items")
    everything = held(reader, "drive_items")
    since = sorted(item["lastModifiedDateTime"] for item in everything.values())[-5]
    items = reader.items(f"{path}?token={since}")
    assert len({item["id"] for item in items}) == 5
    copy = Copy(reader, f"{path}?token=2020-01-01")
    assert_same(copy, everything)


def test_timestamp_tokens_refused(reader: Reader) -> None:
    """Whether a drive takes timestamps is open to choice."""
    reader.tenant.traits.timestamp_tokens = False
    reply = reader.get(delta(reader.tenant, "drive_items", "?token=2026-06-01T01:00:00Z"))
    assert refusal(reply) == (400, "invalidRequest")


def test_folders_above_a_change(reader: Reader) -> None:
    """The folders above a changed item come along with it, from the root down, unless a header keeps them out."""
    _, link = reader.round(delta(reader.tenant, "drive_items"))
    everything = held(reader, "drive_items")
    deepest = {"id": max(everything), "user_id": user(reader.tenant)}
    reader.tenant.edit("drive_items", deepest)
    chain = [deepest["id"]]
    while "root" not in everything[chain[0]]:
        chain.insert(0, everything[chain[0]]["parentReference"]["id"])
    assert [item["id"] for item in reader.items(link)] == chain
    assert len(chain) > 3
    assert [item["id"] for item in reader.items(link, deltaExcludeParent="true")] == [deepest["id"]]


@pytest.mark.parametrize("named", [True, False])
def test_deleted_folder_in_a_delta(reader: Reader, named: bool) -> None:
    """A deleted item has an id, its folder and the facet; whether a folder's content is named is open to choice."""
    reader.tenant.traits.deleted_folders_name_their_content = named
    _, link = reader.round(delta(reader.tenant, "drive_items"))
    before = held(reader, "drive_items")
    folder = next(identifier for identifier, item in before.items() if "folder" in item and "root" not in item)
    reader.tenant.delete("drive_items", {"id": folder, "user_id": user(reader.tenant)})
    gone = before.keys() - held(reader, "drive_items").keys()
    items = {item["id"]: item for item in reader.items(link)}
    assert items.keys() == (gone if named else {folder})
    assert items[folder].keys() == {"id", "parentReference", "folder", "deleted"}


# --- Moments ---


@pytest.mark.parametrize(
    ("stream", "path"),
    [
        ("mail_messages", "/users/{user}/messages"),
        ("calendar_events", "/users/{user}/events"),
        ("contacts", "/users/{user}/contacts"),
        ("contacts", "/users/{user}/contactFolders/{folder}/contacts"),
    ],
)
def test_outlook_since(reader: Reader, stream: str, path: str) -> None:
    """Outlook's items can be filtered by their last change: to what is new, edited or moved, not to what is gone."""
    tenant = reader.tenant
    folder = 1 if "{folder}" in path else 0
    path = path.format(user=user(tenant), folder=tenant.outlook.folder_id("c", 0, folder))
    known = [{"id": item["id"], "user_id": user(tenant)} for item in reader.items(path)]
    since = {
        operator: f"{path}?$filter=lastModifiedDateTime {operator} 2026-06-01T01:00:00Z" for operator in ("ge", "gt")
    }
    assert reader.items(since["ge"]) == []
    tenant.advance(hours=1)
    expected = {tenant.add(stream, **({"folder": folder} if folder else {}))["id"], known[0]["id"]}
    tenant.edit(stream, known[0])
    tenant.edit(stream, known[1])
    tenant.delete(stream, known[1])
    assert {item["id"] for item in reader.items(since["ge"])} == expected
    assert reader.items(since["gt"]) == []
    tenant.advance(seconds=1)
    tenant.edit(stream, known[2])
    assert [item["id"] for item in reader.items(since["gt"])] == [known[2]["id"]]
    ordered = reader.items(f"{since['ge']}&$orderby=lastModifiedDateTime desc")
    assert ordered[0]["id"] == known[2]["id"]
    assert {item["id"] for item in ordered} == expected | {known[2]["id"]}


def test_moved_message_since(reader: Reader) -> None:
    """A moved message counts as changed at the moment it was moved."""
    path = f"/users/{user(reader.tenant)}/messages?$filter=lastModifiedDateTime ge 2026-06-01T00:00:00Z"
    moved = reader.tenant.move("mail_messages", key_at(reader.tenant, "mail_messages", 0))
    assert [item["id"] for item in reader.items(path)] == [moved["id"]]


def test_contacts_may_refuse_filters(reader: Reader) -> None:
    """That contacts can be filtered by their last change is nowhere said: they may refuse it."""
    reader.tenant.traits.contacts_by_time = False
    path = f"/users/{user(reader.tenant)}/contacts?$filter=lastModifiedDateTime ge 2026-06-01T00:00:00Z"
    assert refusal(reader.get(path)) == (400, "ErrorInvalidUrlQueryFilter")
    assert reader.get(path.partition("?")[0]).status == 200


def test_moved_message_in_deltas(reader: Reader) -> None:
    """A moved message is gone from its old folder under its old id and new in the other; an immutable id stays."""
    root = f"/users/{user(reader.tenant)}/mailFolders"
    paths = [f"{root}/{name}/messages/delta?$select=subject" for name in ("inbox", "sentitems")]
    links = {form: [reader.round(path, prefer=form)[1] for path in paths] for form in ("", IMMUTABLE)}
    key = key_at(reader.tenant, "mail_messages", 0)
    moved = reader.tenant.move("mail_messages", key)
    for form, identifiers in (("", [key["id"], moved["id"]]), (IMMUTABLE, 2 * [immutable(reader.tenant, moved)])):
        (left,), (came,) = (reader.items(link, prefer=form) for link in links[form])
        assert [left["id"], came["id"]] == identifiers
        assert left["@removed"] == {"reason": "deleted"}
        assert came["subject"]


def immutable(tenant: Tenant, key: Mapping[str, str]) -> str:
    """The immutable form of a message's id."""
    number = tenant.outlook.find_item("m", 0, key["id"])
    assert number is not None
    return tenant.outlook.item_id("m", 0, number, immutable=True)


def test_delta_of_recent_messages(reader: Reader) -> None:
    """A delta of messages can be narrowed by the moment they were received, and by no other property."""
    path = delta(reader.tenant, "mail_messages")
    since = quote("receivedDateTime ge 2026-06-01T00:00:00Z")
    items, link = reader.round(f"{path}?$filter={since}")
    assert items == []
    key = reader.tenant.add("mail_messages")
    reader.tenant.edit("mail_messages", key_at(reader.tenant, "mail_messages", 3))
    assert [item["id"] for item in reader.items(link)] == [key["id"]]
    assert reader.get(f"{path}?$filter=lastModifiedDateTime ge 2026-06-01T00:00:00Z").status == 400


def test_chat_messages_since(reader: Reader) -> None:
    """Chat messages come in the order of their last change, which their filter goes by, to the millisecond."""
    tenant = reader.tenant
    path = f"/chats/{quote(tenant.teams.chat_id(0))}/messages?$top=50"
    query = "$orderby=lastModifiedDateTime desc&$filter=lastModifiedDateTime gt"
    edited, deleted = (key_at(tenant, "chat_messages", place) for place in (100, 50))
    for change in (tenant.edit, tenant.delete):
        tenant.advance(milliseconds=5)
        change("chat_messages", edited if change == tenant.edit else deleted)
    tenant.advance(milliseconds=5)
    added = tenant.add("chat_messages")
    found = reader.items(f"{path}&{query} 2026-06-01T00:00:00.005Z")
    assert [message["id"] for message in found] == [added["id"], deleted["id"]]
    everything = reader.items(path)
    assert [message["id"] for message in everything[:3]] == [added["id"], deleted["id"], edited["id"]]
    assert everything[2]["lastEditedDateTime"] == "2026-06-01T00:00:00.005Z"
    moments = [message["lastModifiedDateTime"] for message in everything]
    assert moments == sorted(moments, reverse=True)
    unordered = reader.items(f"{path}&$filter=lastModifiedDateTime gt 2026-06-01T00:00:00.005Z")
    assert len(unordered) == len(everything) == 131


@pytest.mark.parametrize(
    ("stream", "path", "name"),
    [
        ("audit_logs_directory", "/auditLogs/directoryAudits", "activityDateTime"),
        ("audit_logs_signins", "/auditLogs/signIns", "createdDateTime"),
    ],
)
def test_late_entries(reader: Reader, stream: str, path: str, name: str) -> None:
    """An entry can arrive when newer ones are there already, and takes its place among the older."""
    tenant = reader.tenant
    prompt, late = tenant.add(stream), tenant.add(stream, late=timedelta(hours=1))
    entries = reader.items(path)
    assert [entry["id"] for entry in entries[:2]] == [prompt["id"], late["id"]]
    assert entries[1][name] == "2026-05-31T23:00:00.0000005Z"
    window = f"{path}?$filter={name} ge 2026-05-31T23:00:00.000000{{}}Z and {name} le 2026-05-31T23:30:00Z"
    assert [entry["id"] for entry in reader.items(window.format(5))] == [late["id"]]
    assert reader.items(window.format(6)) == []
    assert_reads_what_is_expected(reader, stream)


@pytest.mark.parametrize(
    ("path", "name"), [("/auditLogs/directoryAudits", "activityDateTime"), ("/auditLogs/signIns", "createdDateTime")]
)
@pytest.mark.parametrize("count", [60, 30_000])
def test_entries_on_a_day_boundary(path: str, name: str, count: int) -> None:
    """Two entries are at the very beginning of a day, and windows that share that bound both hold them."""
    reader = Reader(Tenant(Size(sign_ins=count, directory_audits=count), today=TODAY, clock=TODAY.timestamp))
    moments = [entry[name] for entry in reader.items(f"{path}?$select={name}")]
    assert moments == sorted(moments, reverse=True)
    midnights = {moment for moment in moments if moment.endswith("T00:00:00.0000000Z")}
    assert len(midnights) > 3
    for midnight in midnights:
        assert moments.count(midnight) >= 2
        for operator in ("ge", "le"):
            window = f"{path}?$filter={name} {operator} {midnight[:10]}T00:00:00Z&$select={name}&$top=1000"
            expected = sum(moment >= midnight if operator == "ge" else moment <= midnight for moment in moments)
            assert reader.get(f"{window}&$count=true").json["@odata.count"] == expected
