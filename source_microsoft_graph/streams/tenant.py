"""The tenant itself: what it is, which domains and licences it has, and how its directory is divided."""

from __future__ import annotations

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.delta import DeltaStream
from source_microsoft_graph.sync.cursors import UPDATED_AT


class Organization(GraphStream):
    """One row per tenant: https://learn.microsoft.com/graph/api/organization-list"""

    path_template = "organization"
    service = Service.DIRECTORY
    permissions = ("Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All")
    page_size = None
    never_empty = True
    extension_target = "Organization"


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


class AdministrativeUnits(DeltaStream):
    """One row per administrative unit: https://learn.microsoft.com/graph/api/directory-list-administrativeunits"""

    path_template = "directory/administrativeUnits"
    service = Service.DIRECTORY
    permissions = ("AdministrativeUnit.Read.All", "Directory.Read.All", "Directory.ReadWrite.All")
    extension_target = "AdministrativeUnit"

    # In China Graph has no delta query of administrative units: https://github.com/microsoftgraph/msgraph-metadata
    @property
    def cursor_field(self) -> str | list[str]:  # type: ignore[override]  # A declaration everywhere else.
        return UPDATED_AT if self.sync.config.cloud.serves(f"{self.path_template}/delta") else []


class AdministrativeUnitMember(ChildStream):
    """One row per administrative unit and member, a user, a group or a device: https://learn.microsoft.com/graph/api/administrativeunit-list-members"""

    parent_class = AdministrativeUnits
    path_template = "directory/administrativeUnits/{administrative_unit_id}/members"
    primary_key = ["id", "administrative_unit_id"]
    service = Service.DIRECTORY
    permissions = AdministrativeUnits.permissions
