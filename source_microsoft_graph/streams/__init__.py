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
    GroupMember,
    GroupOwner,
    Groups,
    ServicePrincipals,
)
from source_microsoft_graph.streams.files import (
    DriveItemPermissions,
    DriveItems,
    Drives,
    ListItems,
    Lists,
    SiteDriveItems,
    Sites,
)
from source_microsoft_graph.streams.mailbox import (
    CalendarEvents,
    CalendarView,
    Contacts,
    MailAttachments,
    MailFolders,
    MailMessages,
)
from source_microsoft_graph.streams.teams import (
    ChannelMember,
    ChannelMessages,
    Channels,
    ChatMember,
    ChatMessages,
    Chats,
    TeamMember,
    Teams,
)
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
    ChannelMember,
    ChatMember,
    ChannelMessages,
    MailFolders,
    CalendarView,
    Sites,
    Lists,
    ListItems,
    SiteDriveItems,
    DriveItemPermissions,
    MailAttachments,
)
