"""Attachments are listed of the messages that have some, without what is in them."""

from __future__ import annotations

from unit_tests.graph_api import EVERY_PERMISSION, FakeGraph, an_error, errors, read, rows, statuses


def test_attachments_of_the_messages_that_have_some(graph: FakeGraph) -> None:
    """Messages are asked for by that and for their ids alone; no bytes are asked for."""
    graph.lists("users", [{"id": "u"}])
    graph.lists("users/u/messages", [{"id": "m1"}], [], [{"id": "m2"}])
    graph.lists("users/u/messages/m1/attachments", [{"id": "a", "name": "x.pdf"}], [{"id": "b"}])
    graph.lists("users/u/messages/m2/attachments", [{"id": "a"}])

    output = read("mail_attachments")

    found = sorted((row["user_id"], row["message_id"], row["id"]) for row in rows(output))
    assert found == [("u", "m1", "a"), ("u", "m1", "b"), ("u", "m2", "a")]
    assert statuses(output, "mail_attachments")[-1] == "COMPLETE"
    first_pages = [url for url in graph.asked if "/messages" in url and "skiptoken" not in url]
    assert first_pages[0] == "users/u/messages?$filter=hasAttachments eq true&$select=id"
    selected = "?$select=id,name,contentType,size,isInline,lastModifiedDateTime"
    assert all(url.endswith(f"/attachments{selected}") for url in first_pages[1:])


def test_basic_rights_are_not_enough(graph: FakeGraph) -> None:
    """Mail.ReadBasic.All shows messages without their attachments."""
    graph.grants(*set(EVERY_PERMISSION) - {"Mail.Read"}, "Mail.ReadBasic.All")
    graph.lists("users", [{"id": "u"}])
    graph.answers("users/u/messages", an_error(403, "ErrorAccessDenied", "Access is denied."))

    output = read("mail_attachments", fails=True)

    assert statuses(output, "mail_attachments")[-1] == "INCOMPLETE"
    assert "Mail.Read " in errors(output)["mail_attachments"]
