"""Microsoft Teams: teams with their channels and members, chats with their messages.

https://learn.microsoft.com/graph/teams-concept-overview
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from simulated_tenant.entities import Entities
from simulated_tenant.filters import Condition
from simulated_tenant.history import History, current
from simulated_tenant.shapes import EPOCH, Entity, Shape, graph_time, hexadecimal
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.contents import Directory

STRIDE = 17
MOST_IN_A_CHAT = 5
MESSAGE_GAP = timedelta(minutes=10)
EMPTIED = {"body": {"contentType": "html", "content": ""}}


class Teams:
    """The tenant's teams and chats."""

    def __init__(self, state: State) -> None:
        self.state, self.directory = state, state.of(Directory)
        self.channel_shape = Shape("channel", state.seed, {"tenantId": state.tenant_id})
        self.member_shape = Shape("aadUserConversationMember", state.seed, {"tenantId": state.tenant_id})
        self.chat_shape = Shape("chat", state.seed, {"tenantId": state.tenant_id})
        in_a_chat = {"channelIdentity": None, "replyToId": None}
        self.new_chats: dict[int, Sequence[int]] = {}
        self.message_shape = Shape("chatMessage", state.seed, in_a_chat, adjust=_with_sender)

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

    def participants(self, chat: int) -> Sequence[int]:
        """The two to five users in a chat. Guests, who are numbered in one run, don't chat."""
        if chat in self.new_chats:
            return self.new_chats[chat]
        guests, people = self.state.size.guest_numbers, self.state.size.people
        chatting = {(chat + STRIDE * step) % people for step in range(2 + chat % (MOST_IN_A_CHAT - 1))}
        return sorted(person if person < guests.start else person + len(guests) for person in chatting)

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
        return self.message_shape.entity(chat + number, own | (EMPTIED if deleted else {}))

    def all_messages(self, user: int, span: Iterable[Condition] = ()) -> Entities:
        """The export of a user's chats: https://learn.microsoft.com/graph/api/chats-getallmessages"""
        messages = {chat: self.messages(chat) for chat in self.chats_of(user)}
        for clause in span:
            messages = {chat: held.where(clause) for chat, held in messages.items()}
        pairs = [(chat, number) for chat, held in messages.items() for number in held.ascending]
        return Entities(pairs, lambda pair: messages[pair[0]].make(pair[1]))


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
