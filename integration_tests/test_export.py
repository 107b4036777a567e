"""Chat messages by the export of each user's chats: the rows are those of reading chat by chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from integration_tests.runner import Message, Output
from integration_tests.test_incremental import by_name, found, held, read, state_of
from integration_tests.test_whole_tenant import read as refresh
from integration_tests.test_whole_tenant import records, statuses, the_tenants
from simulated_tenant import ALWAYS, Fault, Tenant
from simulated_tenant.server import Server

NAME = "chat_messages"
BY_EXPORT = {"chat_messages_by": "user_export"}
REFUSALS = [(402, "PaymentRequired"), (403, "Forbidden"), (404, "UnknownError"), (400, "BadRequest")]


def sync(server: Server, streams: list[Message], *before: Output, **config: Any) -> Output:
    state = state_of(*before) if before else None
    return read(server, streams, NAME, state=state, **{"lookback_window": "PT0S", **BY_EXPORT, **config})


def warned(output: Output) -> list[str]:
    return [log["message"] for log in output.of("LOG") if log["level"] == "WARN"]


def test_both_ways_give_the_same_records(tenant: Tenant, own_server: Server, streams: list[Message]) -> None:
    """Every column of every message, each message once, however many users are in its chat."""
    by_chat = refresh(own_server, streams, NAME).succeeded()
    by_export = refresh(own_server, streams, NAME, **BY_EXPORT).succeeded()

    rows = found(by_export, by_name(streams, NAME))
    assert rows == found(by_chat, by_name(streams, NAME)) == the_tenants(tenant, by_name(streams, NAME))


def changed(tenant: Tenant, rows: Mapping[Any, Any]) -> None:
    """A new message, an edited and a deleted one, and a new chat."""
    keys = [dict(zip(("id", "chat_id"), key, strict=True)) for key in rows]
    tenant.add(NAME)
    tenant.edit(NAME, keys[3])
    tenant.delete(NAME, keys[40])
    tenant.add(NAME, chat_id=tenant.add("chats")["id"])


def test_an_incremental_sync_is_what_changed(tenant: Tenant, own_server: Server, streams: list[Message]) -> None:
    """What is new, edited or deleted since, in old and new chats, and nothing else."""
    stream = by_name(streams, NAME)
    first = sync(own_server, streams).succeeded()
    before = held(tenant, stream)
    tenant.advance(hours=1)
    changed(tenant, before)
    second = sync(own_server, streams, first).succeeded()

    after = held(tenant, stream)
    assert found(first, stream).keys() == before.keys()
    assert found(second, stream) == {key: row for key, row in after.items() if before.get(key) != row}


@pytest.mark.parametrize(("status", "code"), REFUSALS)
def test_a_tenant_without_exports_is_read_chat_by_chat(
    tenant: Tenant, own_server: Server, streams: list[Message], status: int, code: str
) -> None:
    """It is said once, each message comes once, and the next sync reads what changed."""
    stream = by_name(streams, NAME)
    tenant.faults.add(Fault(match=r"GET .*/getAllMessages.*", status=status, code=code, times=ALWAYS))
    first = sync(own_server, streams).succeeded()
    before = held(tenant, stream)
    tenant.advance(hours=1)
    changed(tenant, before)
    second = sync(own_server, streams, first).succeeded()

    assert found(first, stream) == before
    after = held(tenant, stream)
    assert found(second, stream) == {key: row for key, row in after.items() if before.get(key) != row}
    for output in (first, second):
        assert len([line for line in warned(output) if "refuses the export" in line]) == 1


def test_a_user_without_an_export_costs_nobody_else_theirs(
    tenant: Tenant, own_server: Server, streams: list[Message]
) -> None:
    """That user's chats alone are read one by one, and what is in others' exports too comes once."""
    stream = by_name(streams, NAME)
    (user, *_) = (key["id"] for key, _ in tenant.expected("users"))
    tenant.faults.add(Fault(match=f"GET .*/{user}/chats/getAllMessages.*", status=403, code="Forbidden", times=ALWAYS))
    output = sync(own_server, streams).succeeded()

    assert found(output, stream) == held(tenant, stream)
    assert len([line for line in warned(output) if "refuses the export" in line]) == 1


def test_exports_that_are_refused_later_lose_nothing(
    tenant: Tenant, own_server: Server, streams: list[Message]
) -> None:
    """Chats that were read by export go on from there one by one, and back."""
    stream, outputs, before = by_name(streams, NAME), [], {}
    for is_refused in (False, True, False):
        tenant.faults.clear()
        if is_refused:
            tenant.faults.add(Fault(match=r"GET .*/getAllMessages.*", status=402, code="PaymentRequired", times=ALWAYS))
        outputs.append(sync(own_server, streams, *outputs).succeeded())
        after = held(tenant, stream)
        news = {key: row for key, row in after.items() if before.get(key) != row}
        assert news.items() <= found(outputs[-1], stream).items()
        assert len(found(outputs[-1], stream)) < len(after) or not before
        before = after
        tenant.advance(hours=1)
        changed(tenant, before)


def test_a_user_whose_export_failed_is_read_from_where_it_was_left(
    tenant: Tenant, own_server: Server, streams: list[Message]
) -> None:
    """What changed before the failure comes with the sync after it."""
    stream = by_name(streams, NAME)
    first = sync(own_server, streams).succeeded()
    tenant.advance(hours=1)
    key = tenant.add(NAME)
    fault = tenant.faults.add(Fault(match=r"GET .*/getAllMessages.*", status=405, times=ALWAYS))
    second = sync(own_server, streams, first)
    tenant.faults.clear()
    tenant.advance(hours=1)
    third = sync(own_server, streams, first, second).succeeded()

    assert statuses(second)[NAME] == "INCOMPLETE"
    assert fault.struck
    assert found(third, stream).keys() == {(key["id"], key["chat_id"])}


def test_a_chat_that_an_included_user_joins_is_read_whole(
    tenant: Tenant, own_server: Server, streams: list[Message]
) -> None:
    """As it is chat by chat: what was said in it before is in no export of a user who was not there."""
    stream, teams = by_name(streams, NAME), tenant.teams
    user = tenant.directory.ids["user"][0]
    joined = next(chat for chat in range(tenant.size.chats) if 0 not in teams.participants(chat) and chat % 7 != 6)
    first = sync(own_server, streams, include_users=[user]).succeeded()
    tenant.advance(hours=1)
    teams.new_chats[joined] = [0, *teams.participants(joined)]
    tenant.add(NAME, chat_id=teams.chat_id(joined))
    second = sync(own_server, streams, first, include_users=[user]).succeeded()

    everything = {key for key in held(tenant, stream) if key[1] == teams.chat_id(joined)}
    assert not {key for key in found(first, stream) if key[1] == teams.chat_id(joined)}
    assert found(second, stream).keys() == everything
    assert len(everything) > 1


def test_the_state_of_one_way_is_none_of_the_other(own_server: Server, streams: list[Message]) -> None:
    """It is said, and everything is read."""
    stream = by_name(streams, NAME)
    first = sync(own_server, streams, chat_messages_by="chat").succeeded()
    second = sync(own_server, streams, first).succeeded()

    assert found(second, stream) == found(first, stream)
    assert any("state is of no use" in line for line in warned(second))


def test_a_chat_outside_the_filter_is_not_read(tenant: Tenant, own_server: Server, streams: list[Message]) -> None:
    """The chats of the users that the configuration selects, whichever way they are read."""
    some = {"include_users": [tenant.directory.ids["user"][0]]}
    by_chat = refresh(own_server, streams, NAME, **some).succeeded()
    by_export = refresh(own_server, streams, NAME, **some, **BY_EXPORT).succeeded()

    assert found(by_export, by_name(streams, NAME)) == found(by_chat, by_name(streams, NAME))
    assert 0 < len(records(by_export)[NAME]) < len([*tenant.expected(NAME)])
