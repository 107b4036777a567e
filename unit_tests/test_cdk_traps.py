"""The ways in which airbyte-cdk 7.39 silently loses rows, loops or leaks, and what catches each here.

T1  first page only                     test_paging: every paging test runs through the concurrent path
T2  endless loop on the plain path      test_paging.test_the_sequential_path_reads_every_page_and_ends
T3  STATE overtakes records             below
T4  slices and state hold whole parents test_contract.test_a_slice_is_keys_and_nothing_else
T5  an empty record ends the sync       test_contract.test_empty_objects_are_no_rows
T6  no HTTP timeout                     test_client: the timeout is passed on every request
T7  429 gives up early                  test_faults.test_throttling_waits_as_long_as_graph_says
T8  a child's cursor set on its parent  cannot happen: no cursor is ever put on a stream, see below
T9  a failed concurrent stream drops
    the streams read sequentially       below: there are none
T10 each page parsed twice              below
T11 paging state on the stream          test_contract.test_a_stream_is_a_constant
T12 reset header read as an epoch       cannot happen: the CDK's HttpAPIBudget is not used; errors.retry_after reads it
T13 secrets in TRACE errors             test_faults.test_no_output_line_holds_a_secret
T14 COMPLETE overtakes the last STATE   below
T15 schema transformer, 15 times slower below
T16 check shows repr(message)           test_source.test_check_explains_a_refused_sign_in
"""

from __future__ import annotations

from unittest.mock import Mock, patch

from airbyte_cdk.models import Type

from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.graph import response
from unit_tests.graph_api import CONFIG, FakeGraph, an_error, read, rows, statuses


def test_state_comes_after_its_records_and_before_complete(graph: FakeGraph) -> None:
    """T3 and T14: for each stream, every record, then one STATE with their number, then COMPLETE."""
    for path in ("users", "groups", "applications"):
        graph.lists(path, *[[{"id": f"{page}-{number}"} for number in range(999)] for page in range(4)])

    output = read("users", "groups", "applications")

    for stream in ("users", "groups", "applications"):
        seen = []
        for message in output._messages:
            if message.type == Type.RECORD and message.record.stream == stream:
                seen.append("RECORD")
            elif message.type == Type.STATE and message.state.stream.stream_descriptor.name == stream:
                assert message.state.sourceStats.recordCount == 4 * 999
                seen.append("STATE")
            elif message.type == Type.TRACE and (status := message.trace.stream_status):
                seen += [status.status.value] if status.stream_descriptor.name == stream else []
        assert seen == ["STARTED", "RUNNING", *["RECORD"] * 4 * 999, "STATE", "COMPLETE"]


def test_no_stream_is_read_sequentially(graph: FakeGraph) -> None:
    """T8 and T9: a stream that fails takes none with it, and none carries a cursor that another could take."""
    graph.answers("users", an_error(501, "NotImplemented"))
    graph.lists("groups", [{"id": "g"}])
    graph.lists("directoryRoles", [{"id": "r"}])

    output = read("users", "groups", "directory_roles", fails=True)

    last = {name: statuses(output, name)[-1] for name in ("users", "groups", "directory_roles")}
    assert last == {"users": "INCOMPLETE", "groups": "COMPLETE", "directory_roles": "COMPLETE"}
    assert {stream.cursor for stream in SourceMicrosoftGraph().streams(CONFIG)} == {None}


def test_a_page_is_parsed_once(graph: FakeGraph) -> None:
    """T10: judging, paging and emitting a page share one parse."""
    graph.lists("users", [{"id": "1"}], [{"id": "2"}], [{"id": "3"}])
    counted = Mock(wraps=response._decode)
    with patch.object(response, "_decode", counted):
        read("users")
    assert counted.call_count == 3


def test_no_schema_transformer_runs(graph: FakeGraph) -> None:
    """T15: values go out as Graph sent them; walking the schema for each record would cost 15 times the rest."""
    graph.lists("users", [{"id": "1", "displayName": 5, "accountEnabled": "yes", "unheardOf": {"aB": [1.5]}}])

    assert rows(read("users")) == [
        {"id": "1", "display_name": 5, "account_enabled": "yes", "unheard_of": {"a_b": [1.5]}}
    ]
