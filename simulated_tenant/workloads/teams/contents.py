"""Microsoft Teams: teams with their channels and members, chats with their messages.

https://learn.microsoft.com/graph/teams-concept-overview
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from random import Random

import orjson

from simulated_tenant import graph_types
from simulated_tenant.entities import Entities
from simulated_tenant.filters import Condition
from simulated_tenant.history import History, current
from simulated_tenant.shapes import EPOCH, TYPE_MARK, Entity, Fabric, Shape, fragment, graph_time, hexadecimal, marked
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.contents import Directory

STRIDE = 17
MOST_IN_A_CHAT = 5
GUEST = -1
MESSAGE_GAP = timedelta(minutes=10)
EMPTIED = {"body": {"contentType": "html", "content": ""}}


class Teams:
    """The tenant's teams and chats."""

    def __init__(self, state: State) -> None:
        self.state, self.directory = state, state.of(Directory)
        self.channel_shape = Shape("channel", state.seed, {"tenantId": state.tenant_id})
        self.member_shape = Shape("aadUserConversationMember", state.seed, {"tenantId": state.tenant_id})
        self.chat_shape = Shape("chat", state.seed, {"tenantId": state.tenant_id})
        self.anonymous_shape = Shape("anonymousGuestConversationMember", state.seed)
        in_a_chat = {"channelIdentity": None, "replyToId": None}
        self.new_chats: dict[int, Sequence[int]] = {}
        self.channel_message_shape = Shape("chatMessage", state.seed, {"chatId": None}, adjust=_with_sender)
        self.message_shape = Shape("chatMessage", state.seed, in_a_chat, adjust=_with_sender)
        self.event_details = _event_details(state.seed)

    def teams(self) -> list[int]:
        """The groups that are marked as teams, provisioned or not."""
        return [group for group in self.directory.numbers("group") if group < self.state.size.teams]

    def find_team(self, text: str) -> int | None:
        group = self.directory.find("group", text)
        return group if group is not None and group < self.state.size.teams else None

    def channels(self, team: int) -> Entities:
        def make(number: int) -> Entity:
            own = {
                "id": f"19:{self.state.id_prefix}{team:08x}{number:04x}@thread.tacv2",
                "displayName": f"Channel {number}" if number else "General",
                "createdDateTime": graph_time(EPOCH + timedelta(hours=team, minutes=number)),
                "membershipType": ("standard", "private", "shared")[number % 3],
            }
            return self.channel_shape.entity(team + number, own)

        return Entities(range(1 + team % self.state.size.channels_per_team), make)

    def members(self, team: int) -> Entities:
        """The id of a membership is opaque, and not the user's: https://learn.microsoft.com/graph/api/team-list-members"""
        directory = self.directory
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

        return Entities([number for kind, number in directory.members(team) if kind == "user"], make)

    def channel_members(self, team: int, channel: int) -> Entities:
        """A standard channel repeats the members of the team, the others have every second one of them, and a guest
        without an account beside: https://learn.microsoft.com/graph/api/channel-list-members
        """
        of_team = self.members(team)
        known = of_team.ascending if channel % 3 == 0 else [*of_team.ascending[::2], GUEST]

        def make(user: int) -> Entity:
            member = self.anonymous() if user == GUEST else of_team.make(user)
            return member | {"id": b64encode(f"{team}##{channel}##{user}".encode()).decode()}

        return Entities(known, make)

    def founded_in_channels(self, team: int) -> int:
        """How many messages a team's channels held when it was founded, replies included."""
        return len(self.channels(team)) * self.state.size.messages_per_channel

    def channel_messages(self, team: int) -> Entities:
        """The messages of all channels: https://learn.microsoft.com/graph/api/channel-getallmessages"""
        founded = Entities(range(self.founded_in_channels(team)), lambda number: self.channel_message(team, number))
        return current(founded, self.state.histories.get(("channelMessage", team)))

    def channel_message(self, team: int, number: int) -> Entity:
        """A message as it was first. Its id is a time in milliseconds, and the same in each of the team's channels.
        Every third message is a reply to the one before it; a deleted one stays, emptied.
        """
        slot, channel = divmod(number, len(self.channels(team)))
        created, deleted = EPOCH + MESSAGE_GAP * slot, number % 9 == 5
        modified = created + timedelta(minutes=3) if deleted else created
        own = {
            "id": _message_id(created),
            "etag": _message_id(modified),
            "replyToId": _message_id(created - MESSAGE_GAP) if slot % 3 == 1 else None,
            "createdDateTime": graph_time(created),
            "lastModifiedDateTime": graph_time(modified),
            "lastEditedDateTime": graph_time(modified) if deleted else None,
            "deletedDateTime": graph_time(modified) if deleted else None,
            "channelIdentity": {
                "teamId": self.directory.ids["group"][team],
                "channelId": self.channels(team).make(channel)["id"],
            },
        }
        return self.channel_message_shape.entity(team + number, own | (EMPTIED if deleted else {}))

    def anonymous(self) -> Entity:
        """Somebody who joined without an account."""
        own = {"@odata.type": "#microsoft.graph.anonymousGuestConversationMember", "displayName": "Somebody"}
        return self.anonymous_shape.entity(0, own | {"roles": ["guest"]})

    def participants(self, chat: int) -> Sequence[int]:
        """The two to five users in a chat. Guests, who are numbered in one run, don't chat."""
        if chat in self.new_chats:
            return self.new_chats[chat]
        guests, people = self.state.size.guest_numbers, self.state.size.people
        chatting = {(chat + STRIDE * step) % people for step in range(2 + chat % (MOST_IN_A_CHAT - 1))}
        return sorted(person if person < guests.start else person + len(guests) for person in chatting)

    def chat_members(self, chat: int) -> Entities:
        """The participants, and in every fourth chat somebody without an account. Nobody has a mail address here.

        https://learn.microsoft.com/graph/api/chat-list-members
        """
        directory = self.directory

        def make(user: int) -> Entity:
            identifier = b64encode(f"{self.chat_id(chat)}##{user}".encode()).decode()
            if user == GUEST:
                return self.anonymous() | {"id": identifier}
            person = directory.object(("user", user))
            own = {
                "@odata.type": "#microsoft.graph.aadUserConversationMember",
                "id": identifier,
                "roles": ["owner"],
                "displayName": person["displayName"],
                "userId": person["id"],
                "email": None,
            }
            return self.member_shape.entity(user, own)

        return Entities([*self.participants(chat), *([] if chat % 4 else [GUEST])], make)

    def chats_of(self, user: int) -> Sequence[int]:
        """The chats a user is in: the rule for participants, inverted."""
        guests, people, count = self.state.size.guest_numbers, self.state.size.people, self.state.size.chats
        person = user if user < guests.start else user - len(guests)
        near = (
            chat for step in range(MOST_IN_A_CHAT) for chat in range((person - STRIDE * step) % people, count, people)
        )
        found = set() if user in guests else {chat for chat in near if user in self.participants(chat)}
        return sorted(found | {chat for chat, people in self.new_chats.items() if user in people})

    def chat_id(self, chat: int) -> str:
        return f"19:{self.state.id_prefix}{chat:012x}@thread.v2"

    def find_chat(self, text: str) -> int | None:
        chat = hexadecimal(text.removeprefix(f"19:{self.state.id_prefix}").removesuffix("@thread.v2"), 12)
        history = self.state.histories.get("chat")
        there = chat is not None and (history.exists(chat) if history else chat < self.state.size.chats)
        return chat if there else None

    def chat(self, chat: int) -> Entity:
        history = self.state.histories.get("chat")
        values = history.values.get(chat, {}) if history else {}
        kind = "oneOnOne" if chat % 4 == 0 else ("group", "meeting")[chat % 5 == 1]
        created = EPOCH + timedelta(hours=chat % 4096)
        own = {
            "id": self.chat_id(chat),
            "chatType": kind,
            "topic": None if kind == "oneOnOne" else f"Chat {chat} «plans»",
            "createdDateTime": graph_time(created),
            "lastUpdatedDateTime": graph_time(created + timedelta(minutes=5)),
        }
        meeting = {} if kind == "meeting" else {"onlineMeetingInfo": None}
        return self.chat_shape.entity(chat, {**own, **meeting, **values})

    def chats(self, user: int) -> Entities:
        return Entities(self.chats_of(user), self.chat, newest_first=True)

    def history(self, chat: int) -> History | None:
        return self.state.histories.get(("chatMessage", chat))

    def founded(self, chat: int) -> int:
        """How many messages a chat held when the tenant was founded, where every seventh is empty, or it was: one."""
        size = self.state.size
        if chat >= size.chats:
            return 1
        return size.messages_in_longest_chat if chat == 0 else 0 if chat % 7 == 6 else size.messages_per_chat

    def messages(self, chat: int) -> Entities:
        """A chat's messages, the last modified first."""
        numbers, timely = range(self.founded(chat)), ("lastModifiedDateTime",)
        founded = Entities(numbers, lambda number: self.message(chat, number), timely, newest_first=True)
        return current(founded, self.history(chat)).ordered("lastModifiedDateTime", descending=True)

    def find_message(self, chat: int, text: str) -> int | None:
        history, founded = self.history(chat), self.founded(chat)
        new = range(founded, history.count) if history else ()
        if history and (number := next((n for n in new if history.values[n]["id"] == text), None)) is not None:
            return number
        first = self.first_message(chat).timestamp()
        number = round((int(text) / 1000 - first) / MESSAGE_GAP.total_seconds()) if text.isdecimal() else -1
        return number if 0 <= number < founded and self.message(chat, number)["id"] == text else None

    def first_message(self, chat: int) -> datetime:
        """When the first message of a chat was written: when the tenant was founded, or the chat was."""
        history = self.state.histories.get("chat")
        values = history.values.get(chat, {}) if history and chat >= self.state.size.chats else {}
        return datetime.fromisoformat(values["createdDateTime"]) if values else EPOCH

    def message(self, chat: int, number: int) -> Entity:
        """A message as it was first. Its id is a time in milliseconds, unique in its chat only.

        A deleted message stays, emptied.
        """
        created, edited, deleted = self.first_message(chat) + MESSAGE_GAP * number, number % 10 == 3, number % 15 == 7
        modified = created + timedelta(minutes=3) if edited or deleted else created
        own = {
            "id": str(int(created.timestamp() * 1000)),
            "etag": str(int(modified.timestamp() * 1000)),
            "chatId": self.chat_id(chat),
            "createdDateTime": graph_time(created),
            "lastModifiedDateTime": graph_time(modified),
            "lastEditedDateTime": graph_time(modified) if edited else None,
            "deletedDateTime": graph_time(modified) if deleted else None,
        }
        message = self.message_shape.entity(chat + number, own | (EMPTIED if deleted else {}))
        if message["messageType"] == "systemEventMessage":
            message["eventDetail"] = self.event_details[(5 * chat + number) % len(self.event_details)]
        return message

    def all_messages(self, user: int, span: Iterable[Condition] = ()) -> Entities:
        """The export of a user's chats: https://learn.microsoft.com/graph/api/chats-getallmessages"""
        messages = {chat: self.messages(chat) for chat in self.chats_of(user)}
        for clause in span:
            messages = {chat: held.where(clause) for chat, held in messages.items()}
        pairs = [(chat, number) for chat, held in messages.items() for number in held.ascending]
        return Entities(pairs, lambda pair: messages[pair[0]].make(pair[1]))


def _message_id(when: datetime) -> str:
    return str(int(when.timestamp() * 1000))


def _with_sender(variant: int, entity: Entity) -> Entity:
    """A message is from a person, from an app, or of the system, with no sender at all."""
    nobody = {"application": None, "device": None, "user": None}
    user = {"@odata.type": "#microsoft.graph.teamworkUserIdentity", "id": "8ea0e38b-efb3-4757-924a-5f94061cf8c2"}
    app = {"@odata.type": "#microsoft.graph.teamworkApplicationIdentity", "id": "da6a4b9e-1b5d-4d2f-9b29-2d50a7e7c4a7"}
    return (
        entity
        | (
            {"messageType": "message", "eventDetail": None, "from": nobody | {"user": user | {"displayName": "Robin"}}},
            {
                "messageType": "message",
                "eventDetail": None,
                "from": nobody | {"application": app | {"displayName": "Bot"}},
            },
            {"messageType": "systemEventMessage", "from": None},
        )[variant % 3]
    )


def _event_details(seed: int) -> list[orjson.Fragment]:
    """What a message of the system tells, once for each kind: https://learn.microsoft.com/graph/system-messages"""
    fabric = Fabric("chatMessage", Random(f"{seed}/eventDetail"), nulls=0)
    kinds = graph_types.derived("eventMessageDetail")
    return [fragment({TYPE_MARK: marked(kind), **fabric.entity(kind, ("eventMessageDetail",))}) for kind in kinds]
