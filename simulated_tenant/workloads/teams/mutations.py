"""How chats and their messages change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulated_tenant.history import History
from simulated_tenant.mutations import Key, Mutations
from simulated_tenant.shapes import Entity
from simulated_tenant.state import State
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


class ChatMessageMutations(Mutations):
    """Messages in chats; a deleted one stays, emptied."""

    def __init__(self, state: State, stream: str) -> None:
        super().__init__(state, stream)
        self.teams = state.of(Teams)

    def history(self, chat: int) -> History:
        return self.state.histories.of(("chatMessage", chat), self.teams.founded(chat))

    def chat(self, text: str) -> int:
        number = self.teams.find_chat(text)
        return number if number is not None else self.missing({"chat_id": text})

    @property
    def milliseconds(self) -> int:
        return int(self.state.clock() * 1000)

    @property
    def stamp(self) -> str:
        return self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def changed(self) -> Entity:
        return {"lastModifiedDateTime": self.stamp, "etag": str(self.milliseconds)}

    def add(self, chat_id: str | None = None) -> Key:
        """Its id is the time of its creation in milliseconds, or the next that no message of the chat has."""
        teams = self.teams
        chat = 0 if chat_id is None else self.chat(chat_id)
        history = self.history(chat)
        taken = [int(history.values[number]["id"]) for number in range(history.founded, history.count)]
        identifier = str(max(self.milliseconds, *(number + 1 for number in taken)) if taken else self.milliseconds)
        values = {"id": identifier, "createdDateTime": self.stamp, **self.changed()}
        values |= dict.fromkeys(("lastEditedDateTime", "deletedDateTime"))
        content = {"contentType": "html", "content": f"<p>New {history.count}</p>"}
        history.add(self.state.clock(), {**values, "body": content})
        return {"id": identifier, "chat_id": teams.chat_id(chat)}

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        chat, number = self.found(key)
        history = self.history(chat)
        body = {"contentType": "html", "content": f"<p>Edited {len(history.changes)}</p>"}
        values = {**(properties or {"body": body}), "lastEditedDateTime": self.stamp, **self.changed()}
        history.edit(number, self.state.clock(), values)

    def delete(self, key: Mapping[str, str], for_good: bool = False) -> None:
        chat, number = self.found(key)
        values = {**EMPTIED, "deletedDateTime": self.stamp, **self.changed()}
        self.history(chat).edit(number, self.state.clock(), values)

    def found(self, key: Mapping[str, str]) -> tuple[int, int]:
        chat = self.chat(key["chat_id"])
        number = self.teams.find_message(chat, key["id"])
        return chat, number if number is not None else self.missing(key)
