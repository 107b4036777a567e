"""The roll: every stream of the connector, in the order they are read."""

from __future__ import annotations

from source_microsoft_graph.streams.audit import AuditLogsDirectory, AuditLogsSignins, ConditionalAccessPolicies
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.directory import (
    Applications,
    AppRoleAssignments,
    Devices,
    DirectoryRoleMember,
    DirectoryRoles,
    DirectoryRoleTemplates,
    Groups,
    ServicePrincipals,
)
from source_microsoft_graph.streams.files import DriveItems, Drives
from source_microsoft_graph.streams.mailbox import CalendarEvents, Contacts, MailMessages
from source_microsoft_graph.streams.relations import GroupMember, GroupOwner
from source_microsoft_graph.streams.teams import Channels, ChatMessages, Chats, TeamMember, Teams
from source_microsoft_graph.streams.users import Users

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
)
