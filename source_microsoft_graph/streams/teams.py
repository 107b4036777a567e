"""Microsoft Teams: teams, their channels and members, chats and what was said in them."""

from __future__ import annotations

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.directory import Groups
from source_microsoft_graph.streams.export import ExportableStream, UserExport
from source_microsoft_graph.streams.users import Users


class Teams(Groups):
    """One row per group that was made a team: https://learn.microsoft.com/graph/teams-list-all-teams"""

    query = {"$filter": "resourceProvisioningOptions/Any(x:x eq 'Team')"}
    # Graph tells what happened to groups, and not which of them are teams.
    cursor_field = []


class Channels(ChildStream):
    """One row per team and channel: https://learn.microsoft.com/graph/api/channel-list"""

    parent_class = Teams
    path_template = "teams/{team_id}/channels"
    primary_key = ["id", "team_id"]
    service = Service.TEAMS
    permissions = (
        "Group.Read.All",
        "Channel.ReadBasic.All",
        "ChannelSettings.Read.All",
        "ChannelSettings.ReadWrite.All",
        "Group.ReadWrite.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    )
    least_permission = "Channel.ReadBasic.All"
    page_size = None


class TeamMember(ChildStream):
    """One row per team and member; `id` is the membership's, `user_id` the user's: https://learn.microsoft.com/graph/api/team-list-members"""

    parent_class = Teams
    path_template = "teams/{team_id}/members"
    primary_key = ["id", "team_id"]
    service = Service.TEAMS
    permissions = ("TeamMember.Read.All", "TeamMember.ReadWrite.All")


class Chats(ChildStream):
    """One row per chat, found through its members because `GET /chats` refuses apps: https://learn.microsoft.com/graph/api/chat-list"""

    parent_class = Users
    path_template = "users/{user_id}/chats"
    service = Service.CHATS
    permissions = ("Chat.Read.All", "Chat.ReadBasic.All", "Chat.ReadWrite.All")
    least_permission = "Chat.ReadBasic.All"
    page_size = 50
    shared = True


class MessagesOfUsers(UserExport):
    """Every message in the chats of a user, once for each of them: https://learn.microsoft.com/graph/api/chats-getallmessages"""

    name = "chat_messages"
    parent_class = Users
    path_template = "users/{user_id}/chats/getAllMessages"
    primary_key = ["id", "chat_id"]
    service = Service.EXPORT
    permissions = ("Chat.Read.All", "Chat.ReadWrite.All")


class ChatMessages(ExportableStream):
    """One row per chat and message, deleted ones included: https://learn.microsoft.com/graph/api/chat-list-messages"""

    parent_class = Chats
    path_template = "chats/{chat_id}/messages"
    primary_key = ["id", "chat_id"]
    service = Service.CHAT_MESSAGES
    cursor_field = "last_modified_date_time"
    # Without the order Graph ignores the filter, and gives the whole history. It takes gt and not ge.
    changed_since = {"$filter": "lastModifiedDateTime gt {before}", "$orderby": "lastModifiedDateTime desc"}
    permissions = ("Chat.Read.All", "Chat.ReadWrite.All")
    page_size = 50
    export_class = MessagesOfUsers
