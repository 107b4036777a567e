"""The roll: every stream of the connector, in the order they are read."""

from __future__ import annotations

from source_microsoft_graph.streams.access import (
    ApplicationOwner,
    Oauth2PermissionGrants,
    RoleAssignments,
    RoleAssignmentSchedules,
    RoleDefinitions,
    RoleEligibilitySchedules,
    ServicePrincipalOwner,
)
from source_microsoft_graph.streams.audit import (
    AuditLogsDirectory,
    AuditLogsSignins,
    ConditionalAccessPolicies,
    NamedLocations,
    RiskDetections,
    RiskyUsers,
    UserRegistrationDetails,
)
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.directory import (
    Applications,
    AppRoleAssignments,
    Devices,
    DirectoryRoleMember,
    DirectoryRoles,
    DirectoryRoleTemplates,
    GroupMember,
    GroupOwner,
    Groups,
    ServicePrincipals,
)
from source_microsoft_graph.streams.files import DriveItems, Drives
from source_microsoft_graph.streams.intune import ManagedDevices
from source_microsoft_graph.streams.mailbox import CalendarEvents, Contacts, MailMessages
from source_microsoft_graph.streams.reports import (
    ReportCopilotUsage,
    ReportEmailActivity,
    ReportMailboxUsage,
    ReportOffice365ActiveUsers,
    ReportOffice365GroupsActivity,
    ReportOnedriveUsage,
    ReportSharepointSiteUsage,
    ReportTeamsDeviceUsage,
    ReportTeamsUserActivity,
)
from source_microsoft_graph.streams.security import SecurityAlerts, SecurityIncidents
from source_microsoft_graph.streams.teams import Channels, ChatMessages, Chats, TeamMember, Teams
from source_microsoft_graph.streams.tenant import (
    AdministrativeUnitMember,
    AdministrativeUnits,
    Domains,
    Organization,
    SubscribedSkus,
)
from source_microsoft_graph.streams.users import UserManager, Users

STREAMS: tuple[type[GraphStream], ...] = (
    Users,
    Applications,
    ServicePrincipals,
    Groups,
    GroupMember,
    GroupOwner,
    Teams,
    Channels,
    TeamMember,
    Chats,
    ChatMessages,
    MailMessages,
    CalendarEvents,
    Contacts,
    Drives,
    DriveItems,
    AuditLogsDirectory,
    AuditLogsSignins,
    ConditionalAccessPolicies,
    DirectoryRoles,
    DirectoryRoleTemplates,
    DirectoryRoleMember,
    Devices,
    AppRoleAssignments,
    Organization,
    Domains,
    SubscribedSkus,
    AdministrativeUnits,
    AdministrativeUnitMember,
    RoleDefinitions,
    RoleAssignments,
    RoleEligibilitySchedules,
    RoleAssignmentSchedules,
    Oauth2PermissionGrants,
    ApplicationOwner,
    ServicePrincipalOwner,
    UserManager,
    UserRegistrationDetails,
    NamedLocations,
    RiskyUsers,
    RiskDetections,
    SecurityAlerts,
    SecurityIncidents,
    ManagedDevices,
    ReportOffice365ActiveUsers,
    ReportTeamsUserActivity,
    ReportTeamsDeviceUsage,
    ReportEmailActivity,
    ReportMailboxUsage,
    ReportOnedriveUsage,
    ReportSharepointSiteUsage,
    ReportOffice365GroupsActivity,
    ReportCopilotUsage,
)
