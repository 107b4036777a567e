"""How chats and their messages change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulated_tenant.history import History
from simulated_tenant.mutations import Key, Mutations
from simulated_tenant.shapes import Entity, thawed
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.contents import Directory
from simulated_tenant.workloads.directory.mutations import OwnedMutations
from simulated_tenant.workloads.teams.contents import EMPTIED, Teams


class ChatMutations(OwnedMutations):
    """Chats between two users."""

    def __init__(self, state: State, stream: str) -> None:
        super().__init__(state, stream)
        self.teams = state.of(Teams)

    def history(self) -> History:
        return self.state.histories.of("chat", self.state.size.chats)

    def add(self, user_id: str | None = None) -> Key:
        teams, history = self.teams, self.history()
        user = self.owner("user", user_id, "teams_user")
        other = next(number for number in self.directory.numbers("user") if number != user)
        teams.new_chats[history.count] = sorted((user, other))
        values = {"createdDateTime": self.stamp, "lastUpdatedDateTime": self.stamp}
        return {"id": teams.chat_id(history.add(self.state.clock(), values))}

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        number = self.teams.find_chat(key["id"])
        history = self.history()
        values = properties or {"topic": f"Edited {len(history.changes)}"}
        values = {**values, "lastUpdatedDateTime": self.stamp}
        history.edit(number if number is not None else self.missing(key), self.state.clock(), values)


class MessageMutations(Mutations):
    """Messages; a deleted one stays, emptied. A subclass says where they are."""

    def __init__(self, state: State, stream: str) -> None:
        super().__init__(state, stream)
        self.teams, self.directory = state.of(Teams), state.of(Directory)

    def history(self, owner: int) -> History:
        """What happened to the messages of a chat, or of the channels of a team."""
        raise NotImplementedError

    def key(self, owner: int, message: Entity) -> Key:
        raise NotImplementedError

    def found(self, key: Mapping[str, str]) -> tuple[int, int]:
        """The numbers of the chat or team and of the message."""
        raise NotImplementedError

    @property
    def milliseconds(self) -> int:
        return int(self.state.clock() * 1000)

    @property
    def stamp(self) -> str:
        return self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def changed(self) -> Entity:
        return {"lastModifiedDateTime": self.stamp, "etag": str(self.milliseconds)}

    def added_to(self, owner: int, **more: Any) -> Key:
        """Its id is the time of its creation in milliseconds, or the next that no other message has."""
        history = self.history(owner)
        taken = [int(history.values[number]["id"]) for number in range(history.founded, history.count)]
        identifier = str(max(self.milliseconds, *(number + 1 for number in taken)) if taken else self.milliseconds)
        values = {"id": identifier, "createdDateTime": self.stamp, **self.changed(), **more}
        values |= dict.fromkeys(("lastEditedDateTime", "deletedDateTime"))
        content = {"contentType": "html", "content": f"<p>New {history.count}</p>"}
        history.add(self.state.clock(), {**values, "body": content})
        return self.key(owner, values)

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        owner, number = self.found(key)
        history = self.history(owner)
        body = {"contentType": "html", "content": f"<p>Edited {len(history.changes)}</p>"}
        values = {**(properties or {"body": body}), "lastEditedDateTime": self.stamp, **self.changed()}
        history.edit(number, self.state.clock(), values)

    def delete(self, key: Mapping[str, str], for_good: bool = False) -> None:
        owner, number = self.found(key)
        values = {**EMPTIED, "deletedDateTime": self.stamp, **self.changed()}
        self.history(owner).edit(number, self.state.clock(), values)


class ChatMessageMutations(MessageMutations):
    """Messages in chats."""

    def history(self, owner: int) -> History:
        return self.state.histories.of(("chatMessage", owner), self.teams.founded(owner))

    def key(self, owner: int, message: Entity) -> Key:
        return {"id": message["id"], "chat_id": self.teams.chat_id(owner)}

    def add(self, chat_id: str | None = None) -> Key:
        return self.added_to(0 if chat_id is None else self.chat(chat_id))

    def chat(self, text: str) -> int:
        number = self.teams.find_chat(text)
        return number if number is not None else self.missing({"chat_id": text})

    def found(self, key: Mapping[str, str]) -> tuple[int, int]:
        chat = self.chat(key["chat_id"])
        number = self.teams.find_message(chat, key["id"])
        return chat, number if number is not None else self.missing(key)


class ChannelMessageMutations(MessageMutations):
    """Messages in the channels of teams."""

    def history(self, owner: int) -> History:
        return self.state.histories.of(("channelMessage", owner), self.teams.founded_in_channels(owner))

    def key(self, owner: int, message: Entity) -> Key:
        team = self.directory.ids["group"][owner]
        return {"id": message["id"], "team_id": team, "channel_id": message["channelIdentity"]["channelId"]}

    def add(self, team_id: str | None = None) -> Key:
        team = 0 if team_id is None else self.team(team_id)
        number = self.history(team).count
        return self.added_to(team, channelIdentity=self.teams.channel_message(team, number)["channelIdentity"])

    def team(self, text: str) -> int:
        number = self.teams.find_team(text)
        return number if number is not None else self.missing({"team_id": text})

    def found(self, key: Mapping[str, str]) -> tuple[int, int]:
        team = self.team(key["team_id"])
        messages = self.teams.channel_messages(team)
        for number in messages.ascending:
            if self.key(team, thawed(messages.make(number))) == dict(key):
                return team, number
        return self.missing(key)
