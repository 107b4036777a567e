"""Policies: objects that come by themselves, and objects without ids."""

from __future__ import annotations

from typing import Any

import pytest

from unit_tests.graph_api import FakeGraph, a_page, an_error, errors, read, rows, statuses

CONTEXT = {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#policies/adminConsentRequestPolicy/$entity"}
PATH = "policies/adminConsentRequestPolicy"


@pytest.mark.parametrize(
    ("sent", "identifier"),
    [
        pytest.param({"isEnabled": False}, "adminConsentRequestPolicy", id="no id"),
        pytest.param({"id": None, "isEnabled": False}, "adminConsentRequestPolicy", id="null for an id"),
        pytest.param({"id": "its-own", "isEnabled": False}, "its-own", id="an id"),
    ],
)
def test_an_object_by_itself_is_the_only_row(graph: FakeGraph, sent: dict[str, Any], identifier: str) -> None:
    """Its annotations are no columns, and it is asked for without options."""
    graph.answers(PATH, {"json": {**CONTEXT, **sent}})

    output = read("admin_consent_request_policy")

    assert rows(output) == [{"id": identifier, "is_enabled": False}]
    assert graph.asked == [PATH]


def test_a_list_is_taken_as_one(graph: FakeGraph) -> None:
    """As the preview of the API answers for one of the policies."""
    graph.answers(PATH, a_page({"id": "1", "isEnabled": True}))

    assert rows(read("admin_consent_request_policy")) == [{"id": "1", "is_enabled": True}]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({**CONTEXT}, id="nothing but annotations"),
        pytest.param({**CONTEXT, "value": {"isEnabled": True}}, id="an object as the value"),
        pytest.param({**CONTEXT, "isEnabled": True, "error": {"code": "Half"}}, id="an error beside it"),
        pytest.param({**CONTEXT, "isEnabled": True, "odata.error": {"code": "Half"}}, id="an older error beside it"),
        pytest.param([{"isEnabled": True}], id="a bare list"),
    ],
)
def test_what_is_no_object_is_no_row(graph: FakeGraph, body: Any) -> None:
    """It is requested again, and then the stream is INCOMPLETE."""
    graph.answers(PATH, {"json": body})

    output = read("admin_consent_request_policy", fails=True)

    assert rows(output) == []
    assert statuses(output, "admin_consent_request_policy")[-1] == "INCOMPLETE"
    assert len(graph.asked) > 1


def test_a_refusal_of_a_policy_is_told(graph: FakeGraph) -> None:
    """What refuses is no object of the stream's, though it comes by itself too."""
    graph.answers(PATH, an_error(403, "Authorization_RequestDenied", "Insufficient privileges."))

    output = read("admin_consent_request_policy", fails=True)

    assert "Insufficient privileges." in str(errors(output)["admin_consent_request_policy"])


def test_partners_have_the_id_of_their_tenant(graph: FakeGraph) -> None:
    """Its column is there as well, and each partner is a row."""
    graph.lists("policies/crossTenantAccessPolicy/partners", [{"tenantId": "a"}], [{"tenantId": "b"}])

    assert rows(read("cross_tenant_access_policy_partners")) == [
        {"id": "a", "tenant_id": "a"},
        {"id": "b", "tenant_id": "b"},
    ]


@pytest.mark.parametrize("partner", [{"isServiceProvider": True}, {"tenantId": None}, "no object", None])
def test_a_partner_without_a_tenant_is_no_row(graph: FakeGraph, partner: Any) -> None:
    graph.answers("policies/crossTenantAccessPolicy/partners", a_page({"tenantId": "a"}, partner))

    output = read("cross_tenant_access_policy_partners", fails=True)

    assert rows(output) == []
    assert "Graph sent an" in str(errors(output)["cross_tenant_access_policy_partners"])
