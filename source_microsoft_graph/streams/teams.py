"""Microsoft Teams: teams, their channels and members, chats and what was said in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests

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


class ChannelMember(ChildStream):
    """One row per team, channel and direct member; `id` is the membership's, `user_id` the user's: https://learn.microsoft.com/graph/api/channel-list-members"""

    parent_class = Channels
    path_template = "teams/{team_id}/channels/{channel_id}/members"
    primary_key = ["id", "team_id", "channel_id"]
    service = Service.CHANNEL_MEMBERS
    permissions = ("ChannelMember.Read.All", "ChannelMember.ReadWrite.All")


class ChannelMessages(ChildStream):
    """One row per message in a channel, replies and deleted ones included: https://learn.microsoft.com/graph/api/channel-getallmessages"""

    parent_class = Teams
    path_template = "teams/{team_id}/channels/getAllMessages"
    primary_key = ["id", "team_id", "channel_id"]
    key_within = ("channel_id",)
    # The export is missing where Graph answers 404 for every team.
    each_owner_has_it = True
    service = Service.TEAMS_EXPORT
    cursor_field = "last_modified_date_time"
    # Graph takes gt and lt here, each with the other, and neither ge nor le.
    changed_since = {"$filter": "lastModifiedDateTime gt {before} and lastModifiedDateTime lt {until}"}
    permissions = ("ChannelMessage.Read.All",)
    page_size = 50
    batch_size = 1

    # The messages of all channels come in one list, each with its channel in channelIdentity. Ids are unique in a
    # channel alone.
    def parse_response(self, response: requests.Response, **options: Any) -> Iterator[dict[str, Any]]:
        for message in super().parse_response(response, **options):
            yield {**message, "channel_id": (message.get("channel_identity") or {}).get("channel_id", "")}


class Chats(ChildStream):
    """One row per chat, found through its members because `GET /chats` refuses apps: https://learn.microsoft.com/graph/api/chat-list"""

    parent_class = Users
    path_template = "users/{user_id}/chats"
    service = Service.CHATS
    permissions = ("Chat.Read.All", "Chat.ReadBasic.All", "Chat.ReadWrite.All")
    least_permission = "Chat.ReadBasic.All"
    page_size = 50
    shared = True


class ChatMember(ChildStream):
    """One row per chat and participant; `id` is the membership's, `user_id` the user's: https://learn.microsoft.com/graph/api/chat-list-members"""

    parent_class = Chats
    path_template = "chats/{chat_id}/members"
    primary_key = ["id", "chat_id"]
    service = Service.CHAT_MEMBERS
    permissions = (
        "Chat.Read.All",
        "ChatMember.Read.All",
        "Chat.ReadBasic.All",
        "Chat.ReadWrite.All",
        "ChatMember.ReadWrite.All",
    )
    least_permission = "ChatMember.Read.All"
    # Graph refuses every $top.
    page_size = None


class MessagesOfUsers(UserExport):
    """Every message in the chats of a user, once for each of them: https://learn.microsoft.com/graph/api/chats-getallmessages"""

    name = "chat_messages"
    parent_class = Users
    path_template = "users/{user_id}/chats/getAllMessages"
    primary_key = ["id", "chat_id"]
    service = Service.TEAMS_EXPORT
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
