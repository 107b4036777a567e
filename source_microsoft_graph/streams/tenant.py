"""The tenant itself: what it is, which domains and licences it has, and how its directory is divided."""

from __future__ import annotations

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.base import GraphStream


class Organization(GraphStream):
    """One row per tenant: https://learn.microsoft.com/graph/api/organization-list"""

    path_template = "organization"
    service = Service.DIRECTORY
    permissions = ("Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All")
    page_size = None
    never_empty = True


class Domains(GraphStream):
    """One row per DNS domain of the tenant, whose name is its id: https://learn.microsoft.com/graph/api/domain-list"""

    path_template = "domains"
    service = Service.DIRECTORY
    permissions = ("Domain.Read.All", "Directory.Read.All")
    page_size = None
    never_empty = True


class SubscribedSkus(GraphStream):
    """One row per product that the tenant has licences of: https://learn.microsoft.com/graph/api/subscribedsku-list"""

    path_template = "subscribedSkus"
    service = Service.DIRECTORY
    permissions = (*Organization.permissions, "LicenseAssignment.Read.All")
    least_permission = "LicenseAssignment.Read.All"
    page_size = None
