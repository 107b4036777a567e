"""Microsoft Teams: teams with their channels and members, chats with their messages.

https://learn.microsoft.com/graph/teams-concept-overview
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from .endpoint import Call, Endpoint, Listing, Paging, Service, words
from .filters import Condition, conditions
from .history import History, current
from .problems import Problem, problem
from .rows import Rows
from .shapes import EPOCH, Entity, Shape, hexadecimal, moment

if TYPE_CHECKING:
    from .tenant import Tenant

STRIDE = 17
MOST_IN_A_CHAT = 5
MESSAGE_GAP = timedelta(minutes=10)
EMPTIED = {"body": {"contentType": "html", "content": ""}}


class Teams:
    """The tenant's teams and chats."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.channel_shape = Shape("channel", tenant.seed, {"tenantId": tenant.tenant_id})
        self.member_shape = Shape("aadUserConversationMember", tenant.seed, {"tenantId": tenant.tenant_id})
        self.chat_shape = Shape("chat", tenant.seed, {"tenantId": tenant.tenant_id})
        in_a_chat = {"channelIdentity": None, "replyToId": None}
        self.new_chats: dict[int, Sequence[int]] = {}
        self.message_shape = Shape("chatMessage", tenant.seed, in_a_chat, adjust=_with_sender)

    def teams(self) -> list[int]:
        """The groups that are marked as teams, provisioned or not."""
        return [group for group in self.tenant.directory.numbers("group") if group < self.tenant.size.teams]

    def provisioned(self) -> Rows:
        """The teams that exist, with little but their names: https://learn.microsoft.com/graph/api/teams-list"""
        teams = [team for team in self.teams() if team not in self.tenant.trouble["team"]]
        shown = ("id", "displayName", "description", "visibility")
        return Rows(teams, lambda team: {name: self.tenant.directory.object(("group", team))[name] for name in shown})

    def channels(self, team: int) -> Rows:
        def make(place: int) -> Entity:
            own = {
                "id": f"19:{self.tenant.mark}{team:08x}{place:04x}@thread.tacv2",
                "displayName": f"Channel {place}" if place else "General",
                "createdDateTime": moment(EPOCH + timedelta(hours=team, minutes=place)),
                "membershipType": ("standard", "private", "shared")[place % 3],
            }
            return self.channel_shape.entity(team + place, own)

        return Rows(range(1 + team % self.tenant.size.channels_per_team), make)

    def members(self, team: int) -> Rows:
        """The id of a membership is opaque, and not the user's: https://learn.microsoft.com/graph/api/team-list-members"""
        directory = self.tenant.directory
        owners = directory.owners(team)

        def make(user: int) -> Entity:
            person = directory.object(("user", user))
            role = "owner" if ("user", user) in owners else "guest" if person["userType"] == "Guest" else ""
            own = {
                "@odata.type": "#microsoft.graph.aadUserConversationMember",
                "id": b64encode(f"{directory.ids['group'][team]}##{person['id']}".encode()).decode(),
                "roles": [role] if role else [],
                "displayName": person["displayName"],
                "userId": person["id"],
                "email": person["mail"],
            }
            return self.member_shape.entity(user, own)

        return Rows([number for kind, number in directory.members(team) if kind == "user"], make)

    def participants(self, chat: int) -> Sequence[int]:
        """The two to five users in a chat. Guests, who are numbered in one run, don't chat."""
        if chat in self.new_chats:
            return self.new_chats[chat]
        guests, people = self.tenant.size.guest_numbers, self.tenant.size.people
        places = {(chat + STRIDE * step) % people for step in range(2 + chat % (MOST_IN_A_CHAT - 1))}
        return sorted(place if place < guests.start else place + len(guests) for place in places)

    def chats_of(self, user: int) -> Sequence[int]:
        """The chats a user is in: the rule for participants, inverted."""
        guests, people, count = self.tenant.size.guest_numbers, self.tenant.size.people, self.tenant.size.chats
        place = user if user < guests.start else user - len(guests)
        near = (
            chat for step in range(MOST_IN_A_CHAT) for chat in range((place - STRIDE * step) % people, count, people)
        )
        found = set() if user in guests else {chat for chat in near if user in self.participants(chat)}
        return sorted(found | {chat for chat, people in self.new_chats.items() if user in people})

    def chat_id(self, chat: int) -> str:
        return f"19:{self.tenant.mark}{chat:012x}@thread.v2"

    def find_chat(self, text: str) -> int | None:
        chat = hexadecimal(text.removeprefix(f"19:{self.tenant.mark}").removesuffix("@thread.v2"), 12)
        history = self.tenant.histories.get("chat")
        there = chat is not None and (history.exists(chat) if history else chat < self.tenant.size.chats)
        return chat if there else None

    def chat(self, chat: int) -> Entity:
        history = self.tenant.histories.get("chat")
        values = history.values.get(chat, {}) if history else {}
        kind = "oneOnOne" if chat % 4 == 0 else ("group", "meeting")[chat % 5 == 1]
        created = EPOCH + timedelta(hours=chat % 4096)
        own = {
            "id": self.chat_id(chat),
            "chatType": kind,
            "topic": None if kind == "oneOnOne" else f"Chat {chat} «plans»",
            "createdDateTime": moment(created),
            "lastUpdatedDateTime": moment(created + timedelta(minutes=5)),
        }
        meeting = {} if kind == "meeting" else {"onlineMeetingInfo": None}
        return self.chat_shape.entity(chat, {**own, **meeting, **values})

    def chats(self, user: int) -> Rows:
        return Rows(self.chats_of(user), self.chat, newest_first=True)

    def history(self, chat: int) -> History | None:
        return self.tenant.histories.get(("chatMessage", chat))

    def founded(self, chat: int) -> int:
        """How many messages a chat held when the tenant was founded, or it was; every seventh is empty."""
        size = self.tenant.size
        return size.messages_in_longest_chat if chat == 0 else 0 if chat % 7 == 6 else size.messages_per_chat

    def messages(self, chat: int) -> Rows:
        """A chat's messages, the last modified first."""
        places = range(self.founded(chat))
        rows = Rows(places, lambda place: self.message(chat, place), ("lastModifiedDateTime",), newest_first=True)
        return current(rows, self.history(chat)).ordered("lastModifiedDateTime", descending=True)

    def find_message(self, chat: int, text: str) -> int | None:
        history, founded = self.history(chat), self.founded(chat)
        new = range(founded, history.count) if history else ()
        if history and (place := next((n for n in new if history.values[n]["id"] == text), None)) is not None:
            return place
        place = round((int(text) / 1000 - EPOCH.timestamp()) / MESSAGE_GAP.total_seconds()) if text.isdecimal() else -1
        return place if 0 <= place < founded and self.message(chat, place)["id"] == text else None

    def message(self, chat: int, place: int) -> Entity:
        """A message as it was first. Its id is a moment, unique in its chat only; a deleted message stays, emptied."""
        created, edited, deleted = EPOCH + MESSAGE_GAP * place, place % 10 == 3, place % 15 == 7
        modified = created + timedelta(minutes=3) if edited or deleted else created
        own = {
            "id": str(int(created.timestamp() * 1000)),
            "etag": str(int(modified.timestamp() * 1000)),
            "chatId": self.chat_id(chat),
            "createdDateTime": moment(created),
            "lastModifiedDateTime": moment(modified),
            "lastEditedDateTime": moment(modified) if edited else None,
            "deletedDateTime": moment(modified) if deleted else None,
        }
        return self.message_shape.entity(chat + place, own | (EMPTIED if deleted else {}))

    def all_messages(self, user: int) -> Rows:
        """The export of a user's chats: https://learn.microsoft.com/graph/api/chats-getallmessages"""
        messages = {chat: self.messages(chat) for chat in self.chats_of(user)}
        pairs = [(chat, place) for chat, rows in messages.items() for place in rows.ascending]
        return Rows(pairs, lambda pair: messages[pair[0]].make(pair[1]))


def _with_sender(variant: int, entity: Entity) -> Entity:
    """A message is from a person, from an app, or of the system, with no sender at all."""
    nobody = {"application": None, "device": None, "user": None}
    user = {"@odata.type": "#microsoft.graph.teamworkUserIdentity", "id": "8ea0e38b-efb3-4757-924a-5f94061cf8c2"}
    app = {"@odata.type": "#microsoft.graph.teamworkApplicationIdentity", "id": "da6a4b9e-1b5d-4d2f-9b29-2d50a7e7c4a7"}
    detail = {"@odata.type": "#microsoft.graph.membersAddedEventMessageDetail", "initiator": None}
    return (
        entity
        | (
            {"messageType": "message", "eventDetail": None, "from": nobody | {"user": user | {"displayName": "Robin"}}},
            {
                "messageType": "message",
                "eventDetail": None,
                "from": nobody | {"application": app | {"displayName": "Bot"}},
            },
            {"messageType": "systemEventMessage", "eventDetail": detail, "from": None},
        )[variant % 3]
    )


# --- How Teams answers ---


def _denied(call: Call) -> Problem:
    return Problem(
        403,
        "Forbidden",
        f"Missing role permissions on the request. API requires one of '{', '.join(call.endpoint.permissions)}'. "
        f"Roles on the request '{', '.join(sorted(call.roles))}'. Resource specific consent grants on the request ''.",
    )


def _trouble(call: Call) -> None:
    """A group can be marked as a team and have none: https://learn.microsoft.com/graph/teams-list-all-teams"""
    for name, text in call.segments.items():
        if trouble := call.tenant.trouble[TROUBLE[name]].get(call.ids[name]):
            raise problem(trouble, text)


TROUBLE = {"team": "team", "user": "teams_user", "chat": "chat"}
SERVICE = Service(
    "teams",
    denial=_denied,
    gate=_trouble,
    missing=lambda name, text: problem("team_not_found" if name == "team" else "chat_not_found", text),
    unsupported=lambda option: Problem(
        400,
        "BadRequest",
        f"The query specified in the URI is not valid. Query option '{option.strip('$').capitalize()}' is not allowed. "
        "To allow it, set the 'AllowedQueryOptions' property on EnableQueryAttribute or QueryValidationSettings.",
    ),
)


def _app_only(call: Call) -> None:
    """An app can list chats only per user: https://learn.microsoft.com/graph/api/chat-list#permissions"""
    raise problem("chats_app_only")


def _reads_members(call: Call) -> None:
    if not call.tenant.traits.group_read_lists_team_members and not call.may(TEAM_MEMBER_READ):
        raise _denied(call)


def _latest_first(call: Call, listing: Listing, rows: Rows) -> Rows:
    """Chat messages sort by lastModifiedDateTime or createdDateTime, descending only, and $filter counts only beside a
    $orderby on the same property; else it's ignored: https://learn.microsoft.com/graph/api/chat-list-messages
    """
    text, order = call.options.get("$filter"), call.options.get("$orderby")
    if order is None:
        return rows
    name, _, direction = order.partition(" ")
    if name not in ("lastModifiedDateTime", "createdDateTime") or direction.strip() != "desc":
        raise problem("order_unsupported", order)
    return _within(
        rows.ordered(name, descending=True), [clause for clause in conditions(text or "") if clause.property == name]
    )


def _exported(call: Call, listing: Listing, rows: Rows) -> Rows:
    return _within(rows, conditions(call.options.get("$filter", "")))


def _within(rows: Rows, span: Sequence[Condition]) -> Rows:
    for clause in span:
        if clause.operator not in ("gt", "lt"):
            raise problem("filter_unsupported", clause.property)
        rows = rows.where(clause)
    return rows


TEAM_READ = words("Team.ReadBasic.All TeamSettings.Read.All Group.Read.All Directory.Read.All Group.ReadWrite.All")
CHANNEL_READ = words(
    "Channel.ReadBasic.All ChannelSettings.Read.All ChannelSettings.ReadWrite.All Group.Read.All Directory.Read.All "
    "Group.ReadWrite.All"
)
TEAM_MEMBER_READ = words("TeamMember.Read.All TeamMember.ReadWrite.All")
CHAT_READ = words("Chat.Read.All Chat.ReadWrite.All")
LISTED = partial(Listing, service=SERVICE, counted=True)
CHATS = partial(
    LISTED,
    permissions=("Chat.ReadBasic.All", *CHAT_READ),
    type="chat",
    options="$expand $top $filter $orderby",
    paging=Paging(20, 50),
)
MESSAGES = partial(LISTED, permissions=CHAT_READ, type="chatMessage", paging=Paging(20, 50))

ENDPOINTS: tuple[Endpoint, ...] = (
    LISTED(
        "/teams", permissions=TEAM_READ, type="group", rows=lambda call: call.tenant.teams.provisioned(),
        paging=Paging(100, 999), options="$top $filter $count",
    ),
    LISTED(
        "/teams/{team}/channels", permissions=CHANNEL_READ, type="channel", options="$filter $select $expand",
        rows=lambda call: call.tenant.teams.channels(call.ids["team"]),
        filters={"membershipType": "eq", "displayName": "eq"},
    ),
    LISTED(
        "/teams/{team}/members", permissions=(*TEAM_MEMBER_READ, "Group.Read.All"), gate=_reads_members,
        type="aadUserConversationMember", rows=lambda call: call.tenant.teams.members(call.ids["team"]),
        paging=Paging(100, 999), options="$filter $select $top",
        filters={"userId": "eq", "displayName": "eq", "email": "eq"},
    ),
    CHATS("/chats", gate=_app_only),
    CHATS(
        "/users/{user}/chats", rows=lambda call: call.tenant.teams.chats(call.ids["user"]),
        filters={"chatType": "eq", "topic": "eq"}, orders={"lastMessagePreview/createdDateTime": "desc"},
    ),
    MESSAGES(
        "/chats/{chat}/messages", rows=lambda call: call.tenant.teams.messages(call.ids["chat"]),
        options="$top $filter $orderby", arrange=_latest_first,
    ),
    MESSAGES(
        "/users/{user}/chats/getAllMessages", rows=lambda call: call.tenant.teams.all_messages(call.ids["user"]),
        options="$top $filter", arrange=_exported,
    ),
)  # fmt: skip
