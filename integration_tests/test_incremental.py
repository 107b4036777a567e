"""Incremental reads through the console script: what changed, what is gone, and nothing lost when things go wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from integration_tests import configured_catalog
from integration_tests.runner import ConsoleScript, Message, Output
from integration_tests.test_whole_tenant import Key, Rows, key_of, records, statuses, the_tenants
from simulated_tenant import ALWAYS, Fault, Size, Tenant, Unchangeable, serve
from simulated_tenant.server import Server
from source_microsoft_graph.streams.changed import ChangedStream
from source_microsoft_graph.streams.delta import DeltaStream
from source_microsoft_graph.streams.files import DriveContents
from source_microsoft_graph.streams.mailbox import MailboxStream
from source_microsoft_graph.streams.membership import TrackedRelation
from source_microsoft_graph.streams.report import ReportStream
from source_microsoft_graph.streams.window import WindowStream
from source_microsoft_graph.sync.cursors import UPDATED_AT
from unit_tests.roll import every_stream, stream_named, unlisted

ROLL = [stream for stream in every_stream() if stream.cursor_field]
INCREMENTAL = tuple(stream.name for stream in ROLL)
DELTAS = tuple(stream.name for stream in ROLL if stream.cursor_field == UPDATED_AT)
DIRECTORY = tuple(stream.name for stream in ROLL if isinstance(stream, DeltaStream))
LOGS = tuple(stream.name for stream in ROLL if isinstance(stream, WindowStream))
BY_TIME = tuple(name for name in INCREMENTAL if name not in (*DELTAS, *LOGS))
# Graph has a report of each of the last 28 days, whatever the age of the tenant's objects.
REPORTS = tuple(stream.name for stream in ROLL if isinstance(stream, ReportStream))
MAILBOX = tuple(stream.name for stream in ROLL if isinstance(stream, MailboxStream))
RELATIONS = tuple(stream.name for stream in ROLL if isinstance(stream, TrackedRelation))
BY_OWNER = tuple(stream.name for stream in ROLL if stream.is_child)
BY_USER = tuple(stream.name for stream in ROLL if "user_id" in stream.parent_columns)
IN_DRIVES = tuple(stream.name for stream in ROLL if isinstance(stream, DriveContents))
CDC = {"_ab_cdc_updated_at", "_ab_cdc_deleted_at"}

A_RESYNC = Fault(match=r"GET .*/root/delta\?.*token=20\d\d-", status=410, code="resyncRequired", times=ALWAYS)
"""What OneDrive answers to a moment that it knows no longer."""

State = list[Message]


def an_earlier_tenant(size: Size | None = None) -> Tenant:
    """A tenant of three weeks ago. A connector goes by the earlier of its own clock and Graph's, so whatever happens in
    a tenant while its clock is ahead of this machine's has to happen before today."""
    before = timedelta(weeks=3)
    return Tenant(size, today=datetime.now(UTC) - before, clock=lambda: time.time() - before.total_seconds())


@pytest.fixture
def tenant() -> Tenant:
    return an_earlier_tenant()


def read(server: Server, streams: list[Message], *names: str, state: State | None = None, **config: Any) -> Output:
    """One sync, incremental where a stream can be."""
    wanted = [stream for stream in streams if not names or stream["name"] in names]
    runner = ConsoleScript(Path(server.ca_bundle))
    return runner.read(server.config() | config, configured_catalog.select(wanted), state)


def state_of(*outputs: Output) -> State:
    """The last state of each stream, as Airbyte keeps it from one sync to the next."""
    last = {
        state["stream"]["stream_descriptor"]["name"]: {"type": state["type"], "stream": state["stream"]}
        for output in outputs
        for state in output.of("STATE")
    }
    return list(last.values())


def assert_keys(found: Iterable[Key], expected: Iterable[Key]) -> None:
    """That they are the same, with a few examples where they are not: a whole difference takes pytest minutes."""
    lacking, spare = set(expected) - set(found), set(found) - set(expected)
    assert not lacking, f"{len(lacking)} are lacking: {sorted(lacking)[:3]}"
    assert not spare, f"{len(spare)} are too many: {sorted(spare)[:3]}"


def by_name(streams: list[Message], name: str) -> Message:
    return next(stream for stream in streams if stream["name"] == name)


def found(output: Output, stream: Message) -> Rows:
    """The rows of one sync by key; an object that came twice is an error, unless Graph showed it as it was before."""
    rows: Rows = {}
    for record in records(output).get(stream["name"], []):
        key = tuple(record[column] for column in key_of(stream))
        if key in rows:
            assert is_outdated(stream["name"], rows[key], record), (stream["name"], key)
        rows[key] = record
    return rows


def is_outdated(name: str, before: Message, after: Message) -> bool:
    """Whether the first of two rows of an object is the outdated one that a page of changes may show, by its time too:
    https://learn.microsoft.com/graph/delta-query-overview"""
    column = "name" if name in IN_DRIVES else "display_name"
    was_old = name in (*IN_DRIVES, *DIRECTORY) and str(before[column]).lower().startswith("old ")
    return was_old and timestamp(before) < timestamp(after) and not str(after.get(column)).lower().startswith("old ")


def timestamp(row: Message) -> datetime:
    return datetime.fromisoformat(row["_ab_cdc_updated_at"])


def table(stream: Message, *outputs: Output) -> Rows:
    """What a destination that deduplicates has after these syncs."""
    rows: Rows = {}
    for output in outputs:
        for record in records(output).get(stream["name"], []):
            key = tuple(record[column] for column in key_of(stream))
            if "_ab_cdc_deleted_at" in record:
                rows.pop(key, None)
            else:
                rows[key] = {column: value for column, value in record.items() if column not in CDC}
    return rows


def held(tenant: Tenant, stream: Message) -> Rows:
    """What the tenant holds, as far as a delta query and a list show it."""
    if stream["name"] in RELATIONS:
        # Members are of types whose lists show other properties.
        return the_tenants(tenant, stream)
    columns = set(stream["json_schema"]["properties"]) - unlisted(stream_named(stream["name"]))
    return {
        key: {column: value for column, value in record.items() if column in columns}
        for key, record in the_tenants(tenant, stream).items()
    }


# One story for all streams: a first sync, an hour in which everything happens that can, a second sync, a quiet hour,
# a third sync.


@dataclass
class Story:
    tenant: Tenant
    syncs: list[Output] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    before: dict[str, Rows] = field(default_factory=dict)
    after: dict[str, Rows] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story(streams: list[Message]) -> Iterator[Story]:
    tenant = an_earlier_tenant()
    told = Story(tenant)
    with serve(tenant) as server:

        def sync() -> None:
            tenant.requests.clear()
            kept = state_of(*told.syncs) if told.syncs else None
            told.syncs.append(read(server, streams, state=kept, lookback_window="PT0S").succeeded())
            told.requests.append(len(tenant.requests))

        told.before = {name: held(tenant, by_name(streams, name)) for name in INCREMENTAL}
        sync()
        tenant.advance(hours=1)
        for name in INCREMENTAL:
            rows = told.before[name]
            if name in RELATIONS:
                # Who or what was deleted by then is related to nothing.
                there = held(tenant, by_name(streams, name))
                rows = {key: row for key, row in rows.items() if key in there}
            change(tenant, by_name(streams, name), rows)
        told.after = {name: held(tenant, by_name(streams, name)) for name in INCREMENTAL}
        tenant.advance(minutes=10)
        sync()
        tenant.advance(hours=1)
        sync()
        yield told


def change(tenant: Tenant, stream: Message, rows: Rows) -> None:
    """Add, edit, delete and move one object each, as far as that can happen to a stream's objects."""
    name, immutable = stream["name"], {"immutable": True} if stream["name"] in MAILBOX else {}
    keys = [dict(zip(key_of(stream), key, strict=True)) for key in rows]
    # The first objects last, as others hang on them: the root of a drive is one.
    some = iter([*keys[3:], *keys[:3]])
    doings: list[Callable[[], object]] = [
        lambda: tenant.add(name, **immutable),
        lambda: tenant.edit(name, next(some)),
        lambda: tenant.delete(name, next(some)),
        lambda: tenant.move(name, next(some)),
    ]
    for doing in doings:
        # A stream may have too few objects for all of it.
        with suppress(Unchangeable, StopIteration):
            doing()


def of_those_there(story: Story, stream: Message, rows: Rows) -> Rows:
    """The rows of users, drives and groups that are there still: what the others had is out of reach, deletions
    included. So is in which groups a deleted object was."""
    for column, owners in _OWNERS.items():
        if column in key_of(stream) and (column != "id" or stream["name"] in RELATIONS):
            there = {key["id"] for name in owners for key, _ in story.tenant.expected(name)}
            rows = {key: row for key, row in rows.items() if row[column] in there}
    return rows


MEMBERS = ("users", "groups", "devices", "service_principals", "org_contacts")
_OWNERS = {"user_id": ("users",), "drive_id": ("drives",), "group_id": ("groups",), "id": MEMBERS}


def of_changed_groups(before: Rows, after: Rows) -> set[Key]:
    """The rows of the groups that someone came to or left: these groups are listed again. What changes in a member
    comes with its own stream."""
    groups = {group for _, group in before.keys() ^ after.keys()}
    return {key for key in after if key[1] in groups}


@pytest.mark.parametrize("name", INCREMENTAL)
def test_the_first_sync_is_the_tenant(story: Story, streams: list[Message], name: str) -> None:
    """Without a state an incremental read is whole, each row once."""
    assert_keys(found(story.syncs[0], by_name(streams, name)), story.before[name])


@pytest.mark.parametrize("name", INCREMENTAL)
def test_the_second_sync_is_what_changed(story: Story, streams: list[Message], name: str) -> None:
    """Exactly what was added, edited or moved, as it is now, and exactly what was deleted, as far as Graph tells."""
    stream, after = by_name(streams, name), story.after[name]
    before = of_those_there(story, stream, story.before[name])
    rows = found(story.syncs[1], stream)

    gone = {key for key, row in rows.items() if "_ab_cdc_deleted_at" in row}
    assert gone == (before.keys() - after.keys() if name in DELTAS else set())
    changed = {key for key in after if before.get(key) != after[key]}
    if name in RELATIONS:
        changed = of_changed_groups(before, after)
    assert changed, "nothing happened, so nothing was tested"
    assert rows.keys() - gone == changed
    for key in changed:
        row = {column: value for column, value in rows[key].items() if column not in CDC}
        assert row == {column: after[key].get(column) for column in row}, name


@pytest.mark.parametrize("name", DELTAS)
def test_a_deleted_object_is_its_key_and_two_times(story: Story, streams: list[Message], name: str) -> None:
    """Everything else is null, and the time of the sync lets a destination put it behind the row it ends."""
    stream = by_name(streams, name)
    (tombstone,) = (row for row in found(story.syncs[1], stream).values() if "_ab_cdc_deleted_at" in row)

    assert tombstone.keys() == {*key_of(stream), *CDC}
    assert tombstone["_ab_cdc_deleted_at"] == tombstone["_ab_cdc_updated_at"]
    (first, second) = (
        {row["_ab_cdc_updated_at"] for row in records(output)[name]} for output in (story.syncs[0], story.syncs[1])
    )
    assert max(map(datetime.fromisoformat, first)) < min(map(datetime.fromisoformat, second))


@pytest.mark.parametrize("name", INCREMENTAL)
def test_a_quiet_hour_brings_nothing(story: Story, name: str) -> None:
    """What was read once is not read again, but for what came lately where Graph shows it days late."""
    stream = stream_named(name)
    again = isinstance(stream, ChangedStream) and stream.shown_late > timedelta(0)
    assert records(story.syncs[2]).get(name, []) == (records(story.syncs[1])[name] if again else [])


@pytest.mark.parametrize("name", DELTAS)
def test_the_syncs_together_are_the_tenant(story: Story, streams: list[Message], name: str) -> None:
    """A destination that deduplicates ends up with exactly what there is, value by value."""
    stream = by_name(streams, name)
    rows = of_those_there(story, stream, table(stream, *story.syncs))

    now = held(story.tenant, stream)
    assert rows.keys() == now.keys()
    if name in RELATIONS:
        before = of_those_there(story, stream, story.before[name])
        # What changed in the members of the other groups comes with the members' own streams.
        others = now.keys() - of_changed_groups(before, story.after[name])
        now |= {key: before[key] for key in others}
    for key, row in rows.items():
        assert row == {column: now[key].get(column) for column in row}, key


def test_the_other_streams_are_read_whole_each_time(story: Story, streams: list[Message]) -> None:
    """What Graph has no changes for is a full refresh in every sync."""
    others = {stream["name"] for stream in streams} - set(INCREMENTAL)
    for sync in story.syncs:
        for name in others:
            assert found(sync, by_name(streams, name)), name


def test_states_are_small_and_few(story: Story) -> None:
    """The bytes of all states are under 5 % of those of the records, and no state names what it need not."""
    for sync in story.syncs[:1]:
        states = sum(len(line) for line in sync.text.splitlines() if '"STATE"' in line)
        rows = sum(len(line) for line in sync.text.splitlines() if '"RECORD"' in line)
        assert states < 0.05 * rows
    for state in state_of(story.syncs[2]):
        blob = state["stream"]["stream_state"]
        name = state["stream"]["stream_descriptor"]["name"]
        if name in INCREMENTAL:
            assert blob.keys() == {"version", "asked", "since"}
            assert len(json.dumps(blob)) < 4000, name


# When a state is of no use.


@pytest.mark.parametrize(
    ("names", "spoil"),
    [
        ((*DIRECTORY, *RELATIONS), lambda tenant: tenant.expire_tokens("directory")),
        ((*DIRECTORY, *RELATIONS), lambda tenant: tenant.advance(days=8)),
        (("drive_items",), lambda tenant: tenant.faults.add(A_RESYNC)),
        (("drive_items",), lambda tenant: setattr(tenant.traits, "timestamp_tokens", False)),
        (("contacts",), lambda tenant: setattr(tenant.traits, "contacts_by_time", False)),
    ],
    ids=["directory token lost", "directory token old", "drive resync", "no moments for tokens", "no filter by time"],
)
def test_what_cannot_be_continued_is_read_whole(
    tenant: Tenant,
    own_server: Server,
    streams: list[Message],
    names: tuple[str, ...],
    spoil: Callable[[Tenant], object],
) -> None:
    """A token that died, or a question Graph does not take: everything is read, it is said, nothing is lost."""
    first = read(own_server, streams, *names).succeeded()
    tenant.advance(hours=1)
    for name in names:
        tenant.add(name, **({"immutable": True} if name in MAILBOX else {}))
    spoil(tenant)
    second = read(own_server, streams, *names, state=state_of(first)).succeeded()

    warned = "\n".join(log["message"] for log in second.of("LOG") if log["level"] == "WARN")
    for name in names:
        stream = by_name(streams, name)
        assert_keys(found(second, stream), held(tenant, stream))
        assert name in warned

    tenant.advance(hours=1)
    key = tenant.add(names[0], **({"immutable": True} if names[0] in MAILBOX else {}))
    third = read(own_server, streams, names[0], state=state_of(second)).succeeded()
    assert tuple(key[column] for column in key_of(by_name(streams, names[0]))) in found(
        third, by_name(streams, names[0])
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state | {"version": 0},
        lambda state: state | {"asked": "something else"},
        lambda state: state | {"since": ["2024-01-01"]},
        lambda state: {"cursor": "2024-01-01"},
    ],
    ids=["another version", "another question", "malformed", "another connector's"],
)
def test_a_state_of_another_kind_is_left_alone(
    own_server: Server, streams: list[Message], spoil: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> None:
    """Such a state is named with the reason, and everything is read."""
    names = ("groups", "mail_messages")
    first = read(own_server, streams, *names).succeeded()
    state = state_of(first)
    for each in state:
        each["stream"]["stream_state"] = spoil(each["stream"]["stream_state"])
    second = read(own_server, streams, *names, state=state).succeeded()

    for name in names:
        stream = by_name(streams, name)
        assert_keys(found(second, stream), found(first, stream))
        assert any(
            log["message"].startswith(f"{name}: the last sync's state is of no use") for log in second.of("LOG")
        ), name


def test_a_position_in_the_future_has_nothing_after_it(own_server: Server, streams: list[Message]) -> None:
    """No stream that goes by time reads anything before its position, and none loses the position."""
    names = (*BY_TIME, "drive_items", "audit_logs_signins")
    state = state_of(read(own_server, streams, *names, start_date="2099-12-31").succeeded())
    for each in state:
        kept = each["stream"]["stream_state"]
        kept["since"] = (
            "2099-12-31T00:00:00Z"
            if isinstance(kept["since"], str)
            else {"2099-12-31T00:00:00Z": "".join(kept["since"].values())}
        )
    output = read(own_server, streams, *names, state=state, start_date="2099-12-31").succeeded()

    assert output.counts.total() == 0
    assert {statuses(output)[name] for name in names} == {"COMPLETE"}


def test_a_full_refresh_leaves_nothing_to_continue(own_server: Server, streams: list[Message]) -> None:
    """The mark of a full refresh is no state, and is not complained about."""
    stream = by_name(streams, "groups")
    runner = ConsoleScript(Path(own_server.ca_bundle))
    first = runner.read(own_server.config(), configured_catalog.select([stream], "full_refresh")).succeeded()
    second = read(own_server, streams, "groups", state=state_of(first)).succeeded()

    assert not CDC & set(records(first)["groups"][0])
    assert_keys(found(second, stream), found(first, stream))
    warnings = [log["message"] for log in second.of("LOG") if log["level"] == "WARN"]
    # The simulated tenant lives some weeks ago, so the sync warns of its clock.
    assert not [warning for warning in warnings if not warning.startswith("The clock of Graph")]


def test_other_settings_make_another_state(own_server: Server, streams: list[Message]) -> None:
    """Other ids for the same messages are other rows, so they are all read."""
    first = read(own_server, streams, "mail_messages", immutable_ids=True).succeeded()
    second = read(own_server, streams, "mail_messages", immutable_ids=False, state=state_of(first)).succeeded()

    assert len(records(second)["mail_messages"]) == len(records(first)["mail_messages"])


def test_users_by_a_filter_are_read_whole_each_time(tenant: Tenant, own_server: Server, streams: list[Message]) -> None:
    """A delta query takes no filter, so a filtered stream of users lists them, and no more than the filter lets in."""
    config = {"user_filter": "userType eq 'Guest'"}
    first = read(own_server, streams, "users", **config).succeeded()
    tenant.add("users")
    second = read(own_server, streams, "users", state=state_of(first), **config).succeeded()

    assert {row["user_type"] for output in (first, second) for row in records(output)["users"]} == {"Guest"}
    assert len(records(first)["users"]) == len(records(second)["users"]) == 3


# Owners that are new, failed or were skipped.


@pytest.mark.parametrize("name", BY_USER)
def test_a_new_user_is_read_whole(tenant: Tenant, own_server: Server, streams: list[Message], name: str) -> None:
    """Whose mailbox or drive was never read is read from the beginning, the others from where they were left."""
    stream = by_name(streams, name)
    first = read(own_server, streams, name).succeeded()
    tenant.advance(hours=1)
    user = tenant.add("users")["id"]
    second = read(own_server, streams, name, state=state_of(first)).succeeded()

    of_the_user = {key for key in held(tenant, stream) if key[key_of(stream).index("user_id")] == user}
    assert of_the_user
    assert_keys(found(second, stream), of_the_user)


@pytest.mark.parametrize("name", BY_OWNER)
def test_an_owner_that_failed_is_read_from_where_it_was_left(
    tenant: Tenant, own_server: Server, streams: list[Message], name: str
) -> None:
    """Neither what changed before its failure nor what changed after is lost, and nobody else is read again for it."""
    stream = by_name(streams, name)
    owner_column = key_of(stream)[1]
    first = read(own_server, streams, name).succeeded()
    # The first group holds everyone.
    owner = [*found(first, stream)][-1][1]
    wire = owner.replace("@", "(@|%40)").replace(":", "(:|%3A)")
    tenant.advance(hours=1)
    earlier = tenant.add(name, **{owner_column: owner}, **({"immutable": True} if name in MAILBOX else {}))
    fault = tenant.faults.add(Fault(match=f"GET /v1.0/[a-z]+/{wire}/.*", status=405, times=ALWAYS))
    second = read(own_server, streams, name, state=state_of(first))
    assert statuses(second)[name] == "INCOMPLETE"
    assert fault.struck

    tenant.faults.clear()
    tenant.advance(hours=1)
    later = tenant.add(name, **{owner_column: owner}, **({"immutable": True} if name in MAILBOX else {}))
    third = read(own_server, streams, name, state=state_of(first, second)).succeeded()

    keys = {tuple(key[column] for column in key_of(stream)) for key in (earlier, later)}
    if name in RELATIONS:
        keys = {key for key in held(tenant, stream) if key[1] == owner}
    assert_keys(found(third, stream), keys)


def test_a_mailbox_that_was_skipped_is_read_whole_once_it_can_be(
    tenant: Tenant, own_server: Server, streams: list[Message]
) -> None:
    """A user who gets a mailbox has one from then on, with all that is in it."""
    stream = by_name(streams, "mail_messages")
    first = read(own_server, streams, "mail_messages").succeeded()
    number, _ = tenant.trouble["mailbox"].popitem()
    tenant.advance(hours=1)
    second = read(own_server, streams, "mail_messages", state=state_of(first)).succeeded()

    user = tenant.directory.ids["user"][number]
    of_the_user = {key for key in held(tenant, stream) if key[1] == user}
    assert of_the_user
    assert_keys(found(second, stream), of_the_user)


def test_a_user_who_is_gone_is_forgotten(tenant: Tenant, own_server: Server, streams: list[Message]) -> None:
    """A state does not grow with those who left."""
    first = read(own_server, streams, "mail_messages").succeeded()
    for key, _ in list(tenant.expected("users"))[:3]:
        tenant.delete("users", key)
    second = read(own_server, streams, "mail_messages", state=state_of(first)).succeeded()

    (before,), (after,) = (
        [sum(map(len, state["stream"]["stream_state"]["since"].values())) for state in state_of(output)]
        for output in (first, second)
    )
    assert before - after == 3 * 12


def test_the_start_date_bounds_the_first_read_of_what_has_a_time(
    tenant: Tenant, own_server: Server, streams: list[Message]
) -> None:
    """Mail, events, contacts and chats from that day on; directory and drives whole."""
    start, names = "2024-01-01T05:00:00Z", (*BY_TIME, *DELTAS)
    output = read(own_server, streams, *names, start_date=start).succeeded()

    for name in names:
        stream = by_name(streams, name)
        column = stream["default_cursor_field"][0]
        everything = held(tenant, stream)
        kept = {key for key, row in everything.items() if name in DELTAS or row[column] >= start}
        assert_keys(found(output, stream), kept)
        assert name in (*DELTAS, *REPORTS) or len(kept) < len(everything), name


# Logs.


def test_a_late_entry_is_found_by_looking_back(tenant: Tenant, own_server: Server, streams: list[Message]) -> None:
    """Entries turn up after their time has been read; the look-back, an hour unless set otherwise, finds them."""
    # Each page of a log takes two seconds, empty ones too.
    tenant.traits.empty_pages = False
    stream = by_name(streams, "audit_logs_signins")
    first = read(own_server, streams, "audit_logs_signins").succeeded()
    tenant.advance(minutes=30)
    late = tenant.add("audit_logs_signins", late=timedelta(minutes=50))
    second = read(own_server, streams, "audit_logs_signins", state=state_of(first)).succeeded()

    assert (late["id"],) in found(second, stream)


@pytest.mark.parametrize("name", LOGS)
def test_a_log_is_read_in_windows_each_entry_once(
    tenant: Tenant, own_server: Server, streams: list[Message], name: str
) -> None:
    """Windows meet at moments at which entries happened, and no entry is in two of them."""
    tenant.traits.empty_pages = name == "audit_logs_directory"
    stream = by_name(streams, name)
    output = read(own_server, streams, name, lookback_window="PT0S").succeeded()

    windows = {request.query for request in tenant.requests if "filter" in request.query}
    assert len(windows) >= 5
    assert_keys(found(output, stream), held(tenant, stream))


# Killed.


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
def test_a_killed_sync_is_taken_up_again(streams: list[Message], tmp_path: Path, share: float) -> None:
    """SIGKILL in the middle: the next sync starts from the last state printed, and together they have everything."""
    names = ("mail_messages", "calendar_events", "drive_items", "groups")
    tenant = an_earlier_tenant(Size(users=150, messages_per_user=20))
    with serve(tenant, latency=0.02) as server:
        everything = sum(len(held(tenant, by_name(streams, name))) for name in names)
        first = killed_after(share * everything, server, streams, names, tmp_path)
        state = state_of(first)
        second = read(server, streams, *names, state=state or None).succeeded()

    assert first.exit_code < 0
    doubled = 0
    for name in names:
        stream = by_name(streams, name)
        assert table(stream, first, second).keys() == held(tenant, stream).keys(), name
        doubled += len(records(first).get(name, [])) + len(found(second, stream)) - len(held(tenant, stream))
    if share == 0.8:
        assert state
        assert doubled < 0.8 * everything


def killed_after(number: float, server: Server, streams: list[Message], names: tuple[str, ...], folder: Path) -> Output:
    """What a read printed that was killed when it had printed so many records."""
    wanted = [stream for stream in streams if stream["name"] in names]
    (folder / "config.json").write_text(json.dumps(server.config()))
    (folder / "catalog.json").write_text(json.dumps(configured_catalog.select(wanted)))
    command = [str(Path(sys.executable).with_name("source-microsoft-graph")), "read"]
    command += ["--config", str(folder / "config.json"), "--catalog", str(folder / "catalog.json")]
    environment = {**os.environ, "REQUESTS_CA_BUNDLE": server.ca_bundle}
    printed: list[str] = []
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        count = 0
        for line in process.stdout:
            printed.append(line)
            count += '"RECORD"' in line
            if count >= number:
                process.kill()
                break
        rest = process.stdout.read().splitlines(keepends=True)
    # The line at which it was cut off is none.
    whole = [line for line in [*printed, *rest] if line.endswith("}\n")]
    return Output(process.returncode, tuple(json.loads(line) for line in whole), "".join(whole))
