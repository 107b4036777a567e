"""The tenant's policies beside those of Conditional Access: https://learn.microsoft.com/graph/api/resources/policy-overview"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.single import SingleObjectStream


class Policy(SingleObjectStream, ABC):
    """Every policy of which a tenant has one: https://learn.microsoft.com/graph/api/resources/policy-overview"""

    service = Service.DIRECTORY


class AuthorizationPolicy(Policy):
    """One row per tenant, with what its users and guests may do: https://learn.microsoft.com/graph/api/authorizationpolicy-get"""

    path_template = "policies/authorizationPolicy"
    permissions = ("Policy.Read.All", "Policy.ReadWrite.Authorization")


class IdentitySecurityDefaultsPolicy(Policy):
    """One row per tenant, with whether security defaults are on: https://learn.microsoft.com/graph/api/identitysecuritydefaultsenforcementpolicy-get"""

    path_template = "policies/identitySecurityDefaultsEnforcementPolicy"
    permissions = ("Policy.Read.All",)


class AdminConsentRequestPolicy(Policy):
    """One row per tenant, with whether users may ask for consent, and whom: https://learn.microsoft.com/graph/api/adminconsentrequestpolicy-get"""

    path_template = "policies/adminConsentRequestPolicy"
    permissions = ("Policy.Read.All", "Policy.ReadWrite.ConsentRequest")


class AuthenticationMethodsPolicy(Policy):
    """One row per tenant, with the ways to sign in and who may use each: https://learn.microsoft.com/graph/api/authenticationmethodspolicy-get"""

    path_template = "policies/authenticationMethodsPolicy"
    permissions = ("Policy.Read.All", "Policy.Read.AuthenticationMethod", "Policy.ReadWrite.AuthenticationMethod")
    least_permission = "Policy.Read.AuthenticationMethod"


class AuthenticationStrengthPolicies(GraphStream):
    """One row per authentication strength, built in or the tenant's own: https://learn.microsoft.com/graph/api/authenticationstrengthroot-list-policies"""

    path_template = "policies/authenticationStrengthPolicies"
    service = Service.DIRECTORY
    permissions = (*AuthenticationMethodsPolicy.permissions, "Policy.ReadWrite.ConditionalAccess")
    least_permission = "Policy.Read.AuthenticationMethod"
    page_size = None


class CrossTenantAccessPolicy(Policy):
    """One row per tenant, with the clouds whose tenants it works with: https://learn.microsoft.com/graph/api/crosstenantaccesspolicy-get"""

    path_template = "policies/crossTenantAccessPolicy"
    permissions = ("Policy.Read.All", "Policy.ReadWrite.CrossTenantAccess")


class CrossTenantAccessPolicyDefault(Policy):
    """One row per tenant, with what it allows and trusts of all other tenants: https://learn.microsoft.com/graph/api/crosstenantaccesspolicyconfigurationdefault-get"""

    path_template = "policies/crossTenantAccessPolicy/default"
    permissions = CrossTenantAccessPolicy.permissions


class CrossTenantAccessPolicyPartners(GraphStream):
    """One row per other tenant for which something else is set: https://learn.microsoft.com/graph/api/crosstenantaccesspolicy-list-partners"""

    path_template = "policies/crossTenantAccessPolicy/partners"
    service = Service.DIRECTORY
    permissions = CrossTenantAccessPolicy.permissions
    page_size = None

    # A partner has the id of its tenant instead of one of its own:
    # https://learn.microsoft.com/graph/api/resources/crosstenantaccesspolicyconfigurationpartner
    def page_request(self, listing: Listing) -> PageRequest:
        return replace(super().page_request(listing), as_page=_with_ids)


def _with_ids(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The page, with a partner's tenant for its id."""
    partners = body.get("value")
    if not isinstance(partners, list):
        return body
    return {**body, "value": [_with_id(partner) for partner in partners]}


def _with_id(partner: Any) -> Any:
    if not isinstance(partner, dict) or "tenantId" not in partner:
        return partner
    return {"id": partner["tenantId"], **partner}
