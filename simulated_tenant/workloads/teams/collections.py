"""The collections of Microsoft Teams: teams, their channels and members, chats and their messages.

https://learn.microsoft.com/graph/teams-concept-overview
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from simulated_tenant.clouds import DELOS, GOVSG
from simulated_tenant.collection import Call, Collection, Endpoint, Paging, Query, Workload, words
from simulated_tenant.entities import Entities
from simulated_tenant.filters import Condition, conditions
from simulated_tenant.limits import per_second
from simulated_tenant.mutations import Mutations
from simulated_tenant.problems import Problem, problem
from simulated_tenant.shapes import Entity
from simulated_tenant.size import Size
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.collections import GROUPS
from simulated_tenant.workloads.teams.contents import Teams
from simulated_tenant.workloads.teams.mutations import ChannelMessageMutations, ChatMessageMutations, ChatMutations


def _denied(query: Query) -> Problem:
    return Problem(
        403,
        "Forbidden",
        f"Missing role permissions on the request. API requires one of '{', '.join(query.endpoint.permissions)}'. "
        f"Roles on the request '{', '.join(sorted(query.roles))}'. Resource specific consent grants on the request ''.",
    )


def _refuse_troubled(query: Query) -> None:
    """A group can be marked as a team and have none: https://learn.microsoft.com/graph/teams-list-all-teams"""
    query.refuse_troubled("team", "team")
    query.refuse_troubled("user", "user", "teams_user")
    query.refuse_troubled("chat", "chat")


def _usual_trouble(size: Size) -> Mapping[str, Mapping[Any, str]]:
    unprovisioned = range(size.teams - size.unprovisioned_teams, size.teams)
    return {"team": dict.fromkeys(unprovisioned, "team_not_found"), "teams_user": {}, "chat": {}}


TEAMS = Workload(
    "teams",
    denial=_denied,
    gate=_refuse_troubled,
    missing=lambda name, text: problem("team_not_found" if name == "team" else "chat_not_found", text),
    unsupported=lambda option: Problem(
        400,
        "BadRequest",
        f"The query specified in the URI is not valid. Query option '{option.strip('$').capitalize()}' is not allowed. "
        "To allow it, set the 'AllowedQueryOptions' property on EnableQueryAttribute or QueryValidationSettings.",
    ),
    lacking_in=(DELOS, GOVSG),
    trouble=_usual_trouble,
)
# Graph has these paths. Nothing answers them here, unless a collection of this path is declared below.
NOT_SIMULATED = words("/teams/{team}/channels/{channel}/messages")


def _app_only(query: Query) -> None:
    """An app can list chats only per user: https://learn.microsoft.com/graph/api/chat-list#permissions"""
    raise problem("chats_app_only")


def _latest_first(call: Call, collection: Collection, messages: Entities) -> Entities:
    """Chat messages sort by lastModifiedDateTime or createdDateTime, descending only, and $filter counts only beside a
    $orderby on the same property; else it's ignored: https://learn.microsoft.com/graph/api/chat-list-messages
    """
    text, order = call.options.get("$filter"), call.options.get("$orderby")
    if order is None:
        return messages
    name, _, direction = order.partition(" ")
    if name not in ("lastModifiedDateTime", "createdDateTime") or direction.strip() != "desc":
        raise problem("order_unsupported", order)
    return _within(
        messages.ordered(name, descending=True),
        [clause for clause in conditions(text or "") if clause.property == name],
    )


def _exported(call: Call, collection: Collection, messages: Entities) -> Entities:
    """All messages, or those in a range of their last changes, whose two ends are outside:
    https://learn.microsoft.com/graph/api/chats-getallmessages#optional-query-parameters"""
    span = conditions(call.options.get("$filter", ""))
    for clause in span:
        if clause.property != "lastModifiedDateTime" or clause.operator not in ("gt", "lt"):
            raise problem("filter_unsupported", clause.property)
    if span and sorted(clause.operator for clause in span) != ["gt", "lt"]:
        raise problem("filter_unsupported", "lastModifiedDateTime")
    return call.state.of(Teams).all_messages(call.ids["user"], span)


def _exported_in_a_range(call: Call, collection: Collection, messages: Entities) -> Entities:
    """Both ends or none: https://learn.microsoft.com/graph/api/channel-getallmessages"""
    text = call.options.get("$filter", "")
    span = conditions(text)
    ends = sorted((clause.property, clause.operator) for clause in span)
    if text and ends != [("lastModifiedDateTime", "gt"), ("lastModifiedDateTime", "lt")]:
        raise problem("filter_unsupported", text)
    return _within(messages, span)


def _within(messages: Entities, span: Sequence[Condition]) -> Entities:
    for clause in span:
        if clause.operator not in ("gt", "lt"):
            raise problem("filter_unsupported", clause.property)
        messages = messages.where(clause)
    return messages


def _provisioned(query: Query) -> Entities:
    """The teams that exist, with little but their names: https://learn.microsoft.com/graph/api/teams-list"""
    groups = GROUPS.entities(query)
    shown = ("id", "displayName", "description", "visibility")

    def make(team: int) -> Entity:
        group = groups.make(team)
        return {name: group[name] for name in shown}

    refused = query.state.trouble["team"]
    return Entities([team for team in query.state.of(Teams).teams() if team not in refused], make)


def _found_team(state: State, known: Mapping[str, Any], text: str) -> int | None:
    return state.of(Teams).find_team(text)


def _found_chat(state: State, known: Mapping[str, Any], text: str) -> int | None:
    return state.of(Teams).find_chat(text)


TEAM_READ = words("Team.ReadBasic.All TeamSettings.Read.All Group.Read.All Directory.Read.All Group.ReadWrite.All")
CHANNEL_READ = words(
    "Channel.ReadBasic.All ChannelSettings.Read.All ChannelSettings.ReadWrite.All Group.Read.All Directory.Read.All "
    "Group.ReadWrite.All"
)
TEAM_MEMBER_READ = words("TeamMember.Read.All TeamMember.ReadWrite.All")
CHANNEL_MEMBER_READ = words("ChannelMember.Read.All ChannelMember.ReadWrite.All")
CHAT_MEMBER_READ = words(
    "ChatMember.Read.All Chat.ReadBasic.All Chat.Read.All Chat.ReadWrite.All ChatMember.ReadWrite.All"
)
CHAT_READ = words("Chat.Read.All Chat.ReadWrite.All")
BELOW_TEAMS = (*per_second(60), *per_second(4, "team"))
COUNTED = partial(Collection, workload=TEAMS, counted=True)
CHATS = partial(
    COUNTED, permissions=("Chat.ReadBasic.All", *CHAT_READ), type="chat", options="$expand $top $filter $orderby",
    paging=Paging(20, 50), granted="Chat.Read.All",
)  # fmt: skip
MESSAGES = partial(COUNTED, permissions=CHAT_READ, type="chatMessage", paging=Paging(20, 50))

ENDPOINTS: tuple[Endpoint, ...] = (
    replace(
        GROUPS, stream="teams", filter="resourceProvisioningOptions/Any(x:x eq 'Team')", placeholder="",
        mutations=Mutations, tracking=None,
    ),
    COUNTED(
        "/teams", permissions=TEAM_READ, type="group", entities=_provisioned, paging=Paging(100, 999),
        options="$top $filter $count", limits=per_second(30), placeholder="team", find=_found_team,
    ),
    COUNTED(
        "/teams/{team}/channels", permissions=CHANNEL_READ, granted="Group.Read.All", type="channel", stream="channels",
        entities=lambda query: query.state.of(Teams).channels(query.ids["team"]), options="$filter $select $expand",
        filters={"membershipType": "eq", "displayName": "eq"}, limits=BELOW_TEAMS, placeholder="channel",
    ),
    COUNTED(
        "/teams/{team}/members", permissions=TEAM_MEMBER_READ,
        type="aadUserConversationMember", stream="team_member",
        entities=lambda query: query.state.of(Teams).members(query.ids["team"]), paging=Paging(100, 999),
        options="$filter $select $top", filters={"userId": "eq", "displayName": "eq", "email": "eq"},
        limits=BELOW_TEAMS,
    ),
    MESSAGES(
        "/teams/{team}/channels/getAllMessages", permissions=("ChannelMessage.Read.All",), stream="channel_messages",
        key_within={"channel_id": "channelIdentity/channelId"}, options="$top $filter", arrange=_exported_in_a_range,
        entities=lambda query: query.state.of(Teams).channel_messages(query.ids["team"]), limits=per_second(200),
        mutations=ChannelMessageMutations,
    ),
    COUNTED(
        "/teams/{team}/channels/{channel}/members", permissions=CHANNEL_MEMBER_READ,
        type="conversationMember", stream="channel_member",
        entities=lambda query: query.state.of(Teams).channel_members(query.ids["team"], query.ids["channel"]),
        paging=Paging(100, 999), options="$filter $select $top", limits=(*per_second(60), *per_second(1, "channel")),
    ),
    CHATS("/chats", gate=_app_only),
    CHATS(
        "/users/{user}/chats", stream="chats", key=(),
        entities=lambda query: query.state.of(Teams).chats(query.ids["user"]),
        filters={"chatType": "eq", "topic": "eq"}, orders={"lastMessagePreview/createdDateTime": "desc"},
        limits=(*per_second(20), *per_second(1, "user")), placeholder="chat", find=_found_chat,
        mutations=ChatMutations,
    ),
    COUNTED(
        "/chats/{chat}/members", permissions=CHAT_MEMBER_READ, granted="Chat.Read.All", type="conversationMember",
        stream="chat_member", entities=lambda query: query.state.of(Teams).chat_members(query.ids["chat"]), options="",
        limits=(*per_second(30), *per_second(1, "chat")),
    ),
    MESSAGES(
        "/chats/{chat}/messages", stream="chat_messages",
        entities=lambda query: query.state.of(Teams).messages(query.ids["chat"]), options="$top $filter $orderby",
        arrange=_latest_first, limits=(*per_second(20), *per_second(1, "chat")), mutations=ChatMessageMutations,
    ),
    MESSAGES(
        "/users/{user}/chats/getAllMessages",
        entities=lambda query: query.state.of(Teams).all_messages(query.ids["user"]), options="$top $filter",
        arrange=_exported, limits=per_second(200),
    ),
)  # fmt: skip
