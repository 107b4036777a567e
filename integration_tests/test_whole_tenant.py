"""Whole reads through the console script, compared with what the tenant holds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer
from airbyte_cdk.test.entrypoint_wrapper import read as run_read

from integration_tests import configured_catalog
from integration_tests.reader import Reader
from integration_tests.runner import ConsoleScript, Message, Output
from simulated_tenant import Fault, Size, Tenant, Traits, serve
from simulated_tenant.catalogue import STREAM_TYPES
from simulated_tenant.faults import ALWAYS
from simulated_tenant.server import Server
from simulated_tenant.workloads.files.changes import stale
from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.mailbox import MailboxStream, StreamWithBodies
from source_microsoft_graph.streams.records import to_record
from unit_tests.roll import every_stream, permitted, simulated, unlisted

Key = tuple[str, ...]
Rows = dict[Key, dict[str, Any]]

NOT_LISTED = {
    stream.name: None if simulated(stream).type == "directoryObject" else unlisted(stream) for stream in every_stream()
}
"""Columns that a list does not return though the schema has them; None where that depends on the row. A list of members
returns the default properties of each member's type, and the tenant holds all of them."""

FORMS = {
    stream.name: ("immutable", "text") if isinstance(stream, StreamWithBodies) else ("immutable",)
    for stream in every_stream()
    if isinstance(stream, MailboxStream)
}
"""Forms in which Outlook can be asked for its items."""


def a_catalog(streams: list[Message], *names: str) -> dict[str, Any]:
    return {
        "streams": [
            {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
            for stream in streams
            if not names or stream["name"] in names
        ]
    }


def the_tenants(tenant: Tenant, stream: Message, immutable: bool = True, text: bool = False) -> Rows:
    """What the tenant holds of a stream, in the connector's form, by key; Outlook's items in the form asked for."""
    key = key_of(stream)
    held: Rows = {}
    forms = {name: True for name in FORMS.get(stream["name"], ()) if {"immutable": immutable, "text": text}[name]}
    for parents, entity in tenant.expected(stream["name"], **forms):
        record = without_nulls(to_record(entity) | parents)
        held[tuple(record[column] for column in key)] = record
    return held


def key_of(stream: Message) -> list[str]:
    return [column for (column,) in stream["source_defined_primary_key"]]


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in value]
    return value


def records(output: Output) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for record in output.of("RECORD"):
        found.setdefault(record["stream"], []).append(without_nulls(record["data"]))
    return found


def versions(output: Output, stream: Message) -> dict[Key, list[dict[str, Any]]]:
    """What a stream says of each key, in its order, each later than the one before."""
    found: dict[Key, list[dict[str, Any]]] = {}
    times: dict[Key, datetime] = {}
    for record in records(output).get(stream["name"], []):
        key, time = tuple(record[column] for column in key_of(stream)), record.get("_ab_cdc_updated_at")
        if time or key in times:
            assert times.get(key, datetime.min.replace(tzinfo=UTC)) < datetime.fromisoformat(time), key
            times[key] = datetime.fromisoformat(time)
        told = {column: value for column, value in record.items() if column != "_ab_cdc_updated_at"}
        found.setdefault(key, []).append(told)
    return found


def statuses(output: Output) -> dict[str, str]:
    """The last status of each stream."""
    return {trace["stream_descriptor"]["name"]: trace["status"] for trace in output.traces("stream_status")}


def assert_is_the_tenant(output: Output, tenant: Tenant, streams: list[Message], **forms: bool) -> None:
    """Every row of every stream, each once, with every value a list returns."""
    read = records(output)
    for stream in streams:
        name, key = stream["name"], key_of(stream)
        keys = Counter(tuple(record[column] for column in key) for record in read.get(name, []))
        held = the_tenants(tenant, stream, **forms)
        assert keys == Counter(dict.fromkeys(held, 1)), name
        columns = set(stream["json_schema"]["properties"])
        for record in read[name]:
            entity = held[tuple(record[column] for column in key)]
            assert {column: entity.get(column) for column in record} == record, name
            not_listed = NOT_LISTED[name]
            if not_listed is not None:
                assert (set(entity) & columns) - set(record) - not_listed == set(), name


def read(server: Server, streams: list[Message], *names: str, **config: Any) -> Output:
    runner = ConsoleScript(Path(server.ca_bundle))
    return runner.read(server.config() | config, a_catalog(streams, *names))


def test_a_read_is_the_tenant(own_server: Server, tenant: Tenant, streams: list[Message]) -> None:
    """All streams: exactly what the tenant holds, each key once, every stream COMPLETE, the exit code 0."""
    output = read(own_server, streams).succeeded()

    assert_is_the_tenant(output, tenant, streams)
    assert statuses(output) == {stream["name"]: "COMPLETE" for stream in streams}
    assert {stream["name"] for stream in streams} == STREAM_TYPES.keys()


@pytest.mark.parametrize(("workers", "page_size"), [(2, 100), (40, 999)])
def test_a_read_is_the_tenant_however_it_is_read(
    own_server: Server, tenant: Tenant, streams: list[Message], workers: int, page_size: int
) -> None:
    """Few workers and small pages, many workers and large ones: the same rows."""
    output = read(own_server, streams, num_workers=workers, page_size=page_size).succeeded()

    assert_is_the_tenant(output, tenant, streams)


@pytest.mark.parametrize("trait", ["members_include_apps", "outlook_top_is_a_total"])
def test_what_graphs_documents_leave_open_changes_nothing(
    own_server: Server, tenant: Tenant, streams: list[Message], trait: str
) -> None:
    """Apps may be listed with a group's members or not, and Outlook may take $top for a page or for all."""
    setattr(tenant.traits, trait, True)
    chosen = [stream for stream in streams if stream["name"] in ("group_member", *FORMS)]

    assert_is_the_tenant(read(own_server, chosen).succeeded(), tenant, chosen)


def test_links_that_graph_refuses_lose_nothing(own_server: Server, tenant: Tenant, streams: list[Message]) -> None:
    """Where the link of a page with `$top` is refused, the list is read again without."""
    tenant.traits.refuses_sized_links = True
    (stream,) = [stream for stream in streams if stream["name"] == "secure_score_control_profiles"]

    assert_is_the_tenant(read(own_server, [stream], page_size=100).succeeded(), tenant, [stream])


def test_pages_that_overlap_double_nothing(own_server: Server, tenant: Tenant, streams: list[Message]) -> None:
    """The last object of each page is the first of the next, everywhere."""
    tenant.traits.pages_overlap = True

    assert_is_the_tenant(read(own_server, streams, page_size=100).succeeded(), tenant, streams)


DRIVES = ("drive_items", "site_drive_items")


@pytest.mark.parametrize("begins_again", [False, True])
@pytest.mark.parametrize("deduplicated", [False, True])
def test_a_drive_of_several_pages_is_the_tenants(
    streams: list[Message], deduplicated: bool, begins_again: bool
) -> None:
    """Some pages end with an item of the next one, as it was. Where each row stays in the table there is one row of an
    item; where the last one counts, an item has a row more for each time that a page shows it otherwise, with an
    earlier time, and the items that are shown as they were before have one row, also if the drive is read again."""
    tenant = Tenant(Size(items_per_drive=350))
    chosen = [stream for stream in streams if stream["name"] in DRIVES]
    expired = Fault(match=r"GET .*/root/delta\?.*token=", status=410, code="resyncRequired", after=30, times=3)
    if begins_again:
        tenant.faults.add(expired)
    with serve(tenant) as server:
        catalog = configured_catalog.select(chosen, "full_refresh", deduplicated=deduplicated)
        runner = ConsoleScript(Path(server.ca_bundle))
        output = runner.read({**server.config(), "page_size": 100}, catalog).succeeded()

    assert expired.struck == (3 if begins_again else 0)
    if not deduplicated:
        assert_is_the_tenant(output, tenant, chosen)
        return
    for stream in chosen:
        held, rows = the_tenants(tenant, stream), versions(output, stream)
        assert rows.keys() == held.keys()
        # One item at the end of every other page, and pages have a hundred.
        assert 0 < sum(len(each) > 1 for each in rows.values()) <= len(rows) / 150
        for key, each in rows.items():
            assert each[-1] == {column: held[key].get(column) for column in each[-1]}
            old = stale({"name": held[key]["name"], "eTag": held[key]["e_tag"]})
            as_it_was = held[key] | {"name": old["name"], "e_tag": old["eTag"], "size": old["size"]}
            for version in each[:-1]:
                assert version in [{column: of.get(column) for column in version} for of in (as_it_was, held[key])]
            assert len(each) <= (4 if begins_again else 2)


def test_a_broken_mail_costs_that_mail(own_server: Server, tenant: Tenant, streams: list[Message]) -> None:
    """The others of its mailbox are read, however many pages they are in."""
    (stream,) = [stream for stream in streams if stream["name"] == "mail_messages"]
    mails = the_tenants(tenant, stream)
    broken = sorted(mails)[len(mails) // 2][0]
    tenant.broken.add(broken)

    output = read(own_server, [stream], page_size=100).succeeded()

    assert {record["id"] for record in records(output)["mail_messages"]} == {key[0] for key in mails} - {broken}
    assert "mail_messages: 1 skipped in all" in output.text


@pytest.mark.parametrize(("match", "name"), [("/messages", "mail_messages"), ("/drive/root/delta", "drive_items")])
def test_a_stream_whose_owners_are_all_refused_is_not_whole(
    own_server: Server, tenant: Tenant, streams: list[Message], match: str, name: str
) -> None:
    """No row, no COMPLETE, and an exit code that is not 0; the stream beside it is whole."""
    tenant.faults.add(Fault(match, status=403, code="accessDenied", times=ALWAYS))
    chosen = [stream for stream in streams if stream["name"] in (name, "groups")]

    output = read(own_server, chosen)

    assert output.exit_code == 1
    assert statuses(output) == {name: "INCOMPLETE", "groups": "COMPLETE"}


def test_outlook_is_read_in_the_form_that_is_asked_for(
    own_server: Server, tenant: Tenant, streams: list[Message]
) -> None:
    """Usual IDs and plain bodies: the same mail, events and contacts, written otherwise."""
    outlook = [stream for stream in streams if stream["name"] in FORMS]

    output = read(own_server, outlook, immutable_ids=False, message_body="text").succeeded()

    assert_is_the_tenant(output, tenant, outlook, immutable=False, text=True)


def test_the_users_that_are_chosen_are_the_ones_that_are_read(
    own_server: Server, tenant: Tenant, streams: list[Message]
) -> None:
    """A filter, a list, and guests' mailboxes left out, against a Graph that filters: all of them and nobody else."""
    chosen = [stream for stream in streams if stream["name"] in ("users", "mail_messages")]
    everybody = [user for _, user in tenant.expected("users")]
    left_out = next(user for user in everybody if user["userType"] == "Member")

    output = read(
        own_server,
        chosen,
        user_filter="accountEnabled ne false",
        exclude_users=[left_out["userPrincipalName"].upper()],
        include_guests=False,
    ).succeeded()

    users = {user["id"] for user in everybody if user["accountEnabled"]} - {left_out["id"]}
    members = {user["id"] for user in everybody if user["userType"] == "Member"}
    assert {record["id"] for record in records(output)["users"]} == users
    mailboxes = {key["user_id"] for key, _ in tenant.expected("mail_messages")}
    assert {record["user_id"] for record in records(output)["mail_messages"]} == users & members & mailboxes


def test_named_users_are_read(own_server: Server, tenant: Tenant, streams: list[Message]) -> None:
    """By ID and by principal name, each once, without listing the tenant."""
    chosen = [stream for stream in streams if stream["name"] == "users"]
    first, second, *_ = [user for _, user in tenant.expected("users")]

    output = read(
        own_server, chosen, include_users=[first["id"], first["userPrincipalName"], second["userPrincipalName"]]
    )

    assert sorted(record["id"] for record in records(output.succeeded())["users"]) == sorted(
        [first["id"], second["id"]]
    )


def test_one_by_one_is_the_same(
    own_server: Server, tenant: Tenant, streams: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read without `$batch`, each listing by a request of its own, the tenant gives the same rows and skips."""
    for stream_class in STREAMS:
        monkeypatch.setattr(stream_class, "batch_size", 1)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", own_server.ca_bundle)
    catalog = ConfiguredAirbyteCatalogSerializer.load(a_catalog(streams))

    plain = run_read(SourceMicrosoftGraph(), own_server.config(), catalog)
    batched = read(own_server, streams).succeeded()

    assert not plain.errors
    one_by_one: dict[str, list[dict[str, Any]]] = {}
    for message in plain.records:
        one_by_one.setdefault(message.record.stream, []).append(without_nulls(message.record.data))
    assert {name: in_order(found) for name, found in one_by_one.items()} == {
        name: in_order(found) for name, found in records(batched).items()
    }
    assert "/v1.0/$batch" in {seen.path for seen in tenant.requests}


def in_order(found: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(record, sort_keys=True) for record in found)


def test_every_skipped_object_is_named_once(own_server: Server, tenant: Tenant, streams: list[Message]) -> None:
    """What the rows leave out is in the log: each object by name, and the number of each stream and reason, in words
    and as data."""
    output = read(own_server, streams).succeeded()

    logs = [log for log in output.of("LOG") if log["level"] == "WARN"]
    warned = [log["message"] for log in logs]
    named = [message for message in warned if ": skipped " in message]
    counted = [message for message in warned if " skipped in all. " in message]
    assert len(named) == len({message.split(". ")[0] for message in named})
    assert len(named) == sum(int(message.split(": ")[1].split(" ")[0]) for message in counted)
    assert [log["message"].split(". ")[0] for log in logs if "skipped" in log and log["message"] in counted] == [
        f"{log['skipped']['stream']}: {log['skipped']['count']} skipped in all"
        for log in logs
        if log["message"] in counted
    ]
    refused = {stream.name for stream in every_stream() if stream.is_child and any(refusals(tenant, stream))}
    assert {message.split(":")[0] for message in named} == refused
    assert {"channels", "mail_messages", "drives"} < refused


def refusals(tenant: Tenant, stream: GraphStream) -> Iterator[bool]:
    """Of each owner of a stream, whether the tenant refuses to list what is below it."""
    reader, roll = Reader(tenant), every_stream()
    for parent in stream.parents():
        name = next(each.name for kind in type(parent).__mro__ for each in roll if type(each) is kind)
        for key, _ in tenant.expected(name):
            ids = [quote(identifier) for identifier in parent.key_of(key)]
            if not isinstance(stream, ChildStream):
                ids = [f"{parent.path_template}/{ids[-1]}/"]
            path = stream.path_template.format_map(dict(zip(stream.placeholders, ids, strict=True)))
            yield reader.get(f"/{path}").status != 200


def test_two_permissions_read_their_own_streams(streams: list[Message]) -> None:
    """With User.Read.All and Mail.Read alone, users and mail are whole and every other stream says what it lacks."""
    tenant = Tenant(grants={"User.Read.All", "Mail.Read"})
    with serve(tenant) as server:
        output = read(server, streams)

    readable = {stream.name for stream in every_stream() if permitted(stream, *tenant.grants)}
    assert {"users", "mail_messages"} <= readable
    assert output.exit_code == 1
    assert_is_the_tenant(output, tenant, [stream for stream in streams if stream["name"] in readable])
    assert set(records(output)) == readable
    for name, status in statuses(output).items():
        assert status == ("COMPLETE" if name in readable else "INCOMPLETE"), name
    told = {
        error["stream_descriptor"]["name"]: error["message"]
        for error in output.traces("error")
        if error.get("stream_descriptor")
    }
    assert set(told) == {stream["name"] for stream in streams} - readable
    for message in told.values():
        assert "grant the application permission" in message.lower(), message


def test_throttling_and_faults_on_the_way_change_nothing(
    own_server: Server, tenant: Tenant, streams: list[Message]
) -> None:
    """Resets, cut-off bodies, 503s and 429s in between, on real sockets: the same rows, nothing asked too early."""
    tenant.faults.add(Fault(match="GET /v1.0/users", kind="reset", after=2, times=1))
    tenant.faults.add(Fault(match="GET /v1.0/groups/.*/members", kind="truncate", after=3, times=2))
    tenant.faults.add(
        Fault(match="GET /v1.0/users/.*/messages", status=503, code="ServiceUnavailable", after=4, times=2)
    )
    tenant.faults.add(
        Fault(
            match="GET /v1.0/users/.*/events",
            status=429,
            code="ApplicationThrottled",
            headers={"Retry-After": "1"},
            after=5,
            times=2,
        )
    )
    tenant.faults.add(Fault(match="GET /v1.0/chats/.*/messages", kind="not_json", after=6, times=1))

    output = read(own_server, streams).succeeded()

    assert_is_the_tenant(output, tenant, streams)


def test_tokens_that_live_for_seconds(streams: list[Message]) -> None:
    """A token that expires in the middle is renewed before it does; no row is lost and nothing is refused."""
    tenant = Tenant(traits=Traits(token_seconds=2))
    with serve(tenant, latency=0.05) as server:
        output = read(server, streams, num_workers=4).succeeded()

    assert_is_the_tenant(output, tenant, streams)


def test_a_revoked_token_is_replaced(own_server: Server, tenant: Tenant, streams: list[Message]) -> None:
    """Tokens revoked in the middle of a read cost a sign-in and no row."""
    faults = [tenant.faults.add(Fault(match="GET", status=401, after=after)) for after in (100, 200)]
    output = read(own_server, streams).succeeded()

    assert_is_the_tenant(output, tenant, streams)
    assert [fault.struck for fault in faults] == [1, 1]


def test_an_expired_page_token_restarts_the_listing(streams: list[Message]) -> None:
    """Page tokens that die after two pages: restarted listings still give each row once."""
    tenant = Tenant()
    tenant.faults.add(
        Fault(match="GET /v1.0/users/.*/messages.*skiptoken", status=410, code="syncStateNotFound", after=3, times=3)
    )
    with serve(tenant) as server:
        output = read(server, streams, "users", "mail_messages", page_size=100).succeeded()

    assert_is_the_tenant(output, tenant, [stream for stream in streams if stream["name"] in ("users", "mail_messages")])


def test_a_pulled_cable_loses_nothing(tenant: Tenant, streams: list[Message]) -> None:
    """The network gone in the middle: what was not read is INCOMPLETE, the exit code tells, the next read is whole."""
    tenant.faults.add(Fault(match=".*", kind="reset", after=300, times=ALWAYS))
    with serve(tenant) as server:
        output = read(server, streams, num_workers=2)

    assert output.exit_code == 1
    assert "INCOMPLETE" in statuses(output).values()
    for stream in streams:
        read_keys = {
            tuple(record[column] for column in key_of(stream)) for record in records(output).get(stream["name"], [])
        }
        held = set(the_tenants(tenant, stream))
        assert read_keys <= held
        if statuses(output).get(stream["name"]) == "COMPLETE":
            assert read_keys == held, stream["name"]

    tenant.faults.clear()
    with serve(tenant) as server:
        assert_is_the_tenant(read(server, streams).succeeded(), tenant, streams)


def test_an_interrupt_ends_the_sync_at_once(own_server: Server, streams: list[Message], tmp_path: Path) -> None:
    """Ctrl-C while workers wait for Graph and for the queue ends the process within seconds."""
    own_server.latency = 0.05
    (tmp_path / "config.json").write_text(json.dumps(own_server.config()))
    (tmp_path / "catalog.json").write_text(json.dumps(a_catalog(streams)))
    process = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("source-microsoft-graph")),
            "read",
            *("--config", str(tmp_path / "config.json")),
            *("--catalog", str(tmp_path / "catalog.json")),
        ],
        env={**os.environ, "REQUESTS_CA_BUNDLE": own_server.ca_bundle},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Whatever a shell starts in the background ignores interrupts, and so would its children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout
    for line in process.stdout:
        if '"RECORD"' in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode != 0
