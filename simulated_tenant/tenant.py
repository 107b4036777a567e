"""A simulated Microsoft 365 tenant: what it holds, what it's like, and what it answers.

Everything in it follows from a seed. Entities are made when they are asked for, so a tenant of a million messages
costs no more memory than one of ten.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from functools import lru_cache
from hashlib import blake2b
from threading import RLock
from typing import Any

from . import batch, clouds, rules, signin, truth
from .administration import Key, shelf
from .audit import Audit
from .directory import Directory
from .endpoint import words
from .faults import Faults
from .files import Files
from .history import Histories
from .log import Log
from .outlook import Outlook
from .problems import Problem
from .shapes import Entity, thawed
from .teams import Teams
from .throttling import Throttle
from .trust import Trust
from .wire import Reply, Request

# Together they suffice to read all 22 streams.
GRANTS = words(
    "User.Read.All Group.Read.All Chat.Read.All Files.Read.All Mail.Read Calendars.Read Contacts.Read "
    "Application.Read.All AuditLog.Read.All Policy.Read.All RoleManagement.Read.Directory"
)
FIRST_SPECIAL_USER = 5


@dataclass(frozen=True)
class Size:
    """How much a tenant holds. Users of special kinds are numbered from 5 on, in the order of these fields.

    There are never more teams than Microsoft 365 groups, nor more of those than groups.
    """

    users: int = 25
    guests: int = 3
    on_premises_mailboxes: int = 1
    blocked_onedrives: int = 1
    without_onedrive: int = 1
    disabled_accounts: int = 1
    groups: int = 12
    microsoft365_groups: int = 6
    teams: int = 4
    unprovisioned_teams: int = 1
    members_per_group: int = 8
    channels_per_team: int = 4
    applications: int = 8
    service_principals: int = 9
    devices: int = 5
    org_contacts: int = 4
    directory_roles: int = 6
    chats: int = 30
    messages_per_chat: int = 6
    messages_in_longest_chat: int = 130
    messages_per_user: int = 25
    message_bytes: int = 2048
    events_per_user: int = 12
    contact_folders: int = 2
    contacts_per_folder: int = 3
    items_per_drive: int = 42
    other_sites: int = 2
    sign_ins: int = 60
    directory_audits: int = 70
    policies: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "microsoft365_groups", min(self.microsoft365_groups, self.groups))
        object.__setattr__(self, "teams", min(self.teams, self.microsoft365_groups))

    def _special(self, place: int) -> range:
        kinds = (
            self.guests,
            self.on_premises_mailboxes,
            self.blocked_onedrives,
            self.without_onedrive,
            self.disabled_accounts,
        )
        start = FIRST_SPECIAL_USER + sum(kinds[:place])
        return range(min(start, self.users), min(start + kinds[place], self.users))

    guest_numbers = property(lambda self: self._special(0))
    on_premises_numbers = property(lambda self: self._special(1))
    blocked_numbers = property(lambda self: self._special(2))
    without_onedrive_numbers = property(lambda self: self._special(3))
    disabled_numbers = property(lambda self: self._special(4))
    people = property(lambda self: self.users - len(self.guest_numbers))


@dataclass
class Traits:
    """What a tenant is like, for better or worse.

    Whether Outlook takes $top for the size of a page or for all that is wanted is told differently by its clients.
    In what words SharePoint would refuse a timestamp for a token, and Outlook a filter on contacts, is not on record.
    """

    premium: bool = True
    sharepoint_licence: bool = True
    app_disabled: bool = False
    secret_expired: bool = False
    token_seconds: float = 4500
    empty_pages: bool = True
    repeat_drive_items: bool = True
    repeat_directory_objects: bool = True
    delta_token_seconds: float = 7 * 86400
    timestamp_tokens: bool = True
    deleted_folders_name_their_content: bool = True
    contacts_by_time: bool = True
    page_token_seconds: float = float("inf")
    page_token_pages: float = float("inf")
    retried_pages_spoil_tokens: bool = False
    newer_sharepoint_refusal: bool = False
    group_read_lists_team_members: bool = True
    members_include_apps: bool = False
    outlook_top_is_a_total: bool = False


class Tenant:
    """The tenant. `respond` is the whole of its behaviour, `rows` the whole truth about its contents."""

    tenant_id = "8f6b3a52-0d0f-4a53-9f0f-6a1c5a4f2b7e"
    domain = "contoso.onmicrosoft.com"
    client_id = "1d2c6b1e-97b5-4f57-8b34-7d6f0c3a9e21"
    client_secret = "simulated~Secret/+with=signs"

    def __init__(
        self,
        size: Size | None = None,
        *,
        seed: int = 1,
        traits: Traits | None = None,
        grants: Iterable[str] = GRANTS,
        today: datetime | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.size, self.seed, self.traits, self._clock = size or Size(), seed, traits or Traits(), clock
        self._ahead, self._lock = 0.0, RLock()
        self.grants = set(grants)
        self.today = (today or datetime.now(UTC)).replace(hour=0, minute=0, second=0, microsecond=0)
        self.key = blake2b(f"key/{seed}".encode(), digest_size=32).digest()
        self.mark = self.key.hex()[:16]
        self.graph_hosts = {"graph.microsoft.com"}
        self.trust = Trust()
        self.token_generation = 1
        self.known_tokens: dict[str, dict[str, Any]] = {}
        self.failed_urls: set[str] = set()
        self.token_generations: Counter[str] = Counter()
        self.histories = Histories()
        self.requests, self.faults, self.throttle = Log(), Faults(self), Throttle(self)
        self.directory: Directory = Directory(self)
        self.teams: Teams = Teams(self)
        self.outlook: Outlook = Outlook(self)
        self.files: Files = Files(self)
        self.audit: Audit = Audit(self)
        self.trouble = _usual_trouble(self.size)

    def clock(self) -> float:
        """The time in this tenant, in seconds since 1970."""
        return self._clock() + self._ahead

    def advance(self, **span: float) -> None:
        """Let time pass: `advance(days=8)`."""
        self._ahead += timedelta(**span).total_seconds()

    def add(self, stream: str, **where: Any) -> Key:
        """Make a new object, and return its key as `rows` has it.

        `where` is the parent, as in the key; without one it's the first without trouble. Messages and contacts take the
        number of a `folder`, Outlook's items `immutable=True` for that form of id, and logs how `late` an entry comes.
        """
        with self._lock:
            return shelf(self, stream).add(**where)

    def edit(self, stream: str, key: Mapping[str, str], **properties: Any) -> None:
        """Change these properties, or one that every object has; the moment of the last change follows."""
        with self._lock:
            shelf(self, stream).edit(key, **properties)

    def delete(self, stream: str, key: Mapping[str, str], for_good: bool = False) -> None:
        """Directory objects can be restored unless they're deleted for good, which those in the bin may be too."""
        with self._lock:
            shelf(self, stream).delete(key, for_good)

    def restore(self, stream: str, key: Mapping[str, str]) -> None:
        with self._lock:
            shelf(self, stream).restore(key)

    def move(self, stream: str, key: Mapping[str, str]) -> Key:
        """Put an object into another folder, and return the key it has there."""
        with self._lock:
            return shelf(self, stream).move(key)

    def expire_tokens(self, service: str) -> None:
        """Let the page and delta tokens die that a service has issued so far: `directory`, `outlook` or `files`."""
        self.token_generations[service] += 1

    def token(self, *grants: str, host: str = "graph.microsoft.com", seconds: float | None = None) -> str:
        """An access token, without the detour of signing in."""
        lifetime = self.traits.token_seconds if seconds is None else seconds
        return signin.issue(self, f"https://{host}", grants or self.grants, lifetime)

    def revoke_tokens(self) -> None:
        """Every token issued so far is refused from now on."""
        self.token_generation += 1

    def respond(self, request: Request) -> Reply:
        """The reply to a request that is over at once."""
        reply = self.begin(request)
        self.finish(reply)
        return reply

    def begin(self, request: Request) -> Reply:
        """The reply to a request that counts as under way until `finish`."""
        with self._lock:  # Nothing happens in the middle of a reply.
            reply = self.faults.around(request, lambda: self._answer(request))
        reply.headers = {**reply.headers, "Date": _http_date(int(self.clock()))}
        self.requests.add(self.clock(), request, reply)
        return reply

    def finish(self, reply: Reply) -> None:
        self.throttle.leave(reply.seats)

    def _answer(self, request: Request) -> Reply:
        if batch.is_batch(request):
            return batch.respond(self, request)
        seats: list[str] = []
        reply = signin.respond(self, request) or self.answer(request, seats)
        reply.seats = seats
        return reply

    def answer(self, request: Request, seats: list[str]) -> Reply:
        """Graph's reply to one request, be it alone or in a batch; it takes its seat at a mailbox."""
        endpoint = None
        try:
            clouds.check(request.host, request.path)
            endpoint, segments = rules.find(request.path)
            self.throttle.enter(request, endpoint, segments, seats)
            reply = rules.respond(self, request, endpoint, segments)
        except Problem as refusal:
            reply = refusal.reply(request, endpoint.service.name if endpoint else "graph")
        if endpoint:
            reply.headers.update(self.throttle.gauges(request, endpoint, reply.status == 429))
        return reply

    def number(self, name: str, text: str, known: Mapping[str, Any]) -> Any:
        """The number behind an id in a path; None when there's nothing of that id."""
        finders: Mapping[str, Callable[[str], Any]] = {
            "user": lambda text: self.directory.find("user", text),
            "group": lambda text: self.directory.find("group", text),
            "app": lambda text: self.directory.find("servicePrincipal", text),
            "role": lambda text: self.directory.find("directoryRole", text),
            "team": self._team,
            "chat": self.teams.find_chat,
            "drive": self.files.find_drive,
            "site": self.files.find_site,
            "contactFolder": lambda text: self.outlook.find_folder("d", known["user"], text),
            "mailFolder": lambda text: self.outlook.find_folder("f", known["user"], text),
        }
        return finders[name](text)

    def _team(self, text: str) -> int | None:
        group = self.directory.find("group", text)
        return group if group is not None and group < self.size.teams else None

    def rows(self, stream: str, **forms: bool) -> Iterator[tuple[dict[str, str], Entity]]:
        """The true contents behind a stream, as (keys, entity) with every property a list can return.

        `immutable=True` gives Outlook's items their immutable ids, `text=True` plain bodies.
        """
        for parents, entities in truth.STREAMS[stream](self, **forms):
            for entity in map(thawed, entities):
                yield {"id": entity["id"], **parents}, entity


@lru_cache(maxsize=1)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)


def _usual_trouble(size: Size) -> dict[str, dict[Any, str]]:
    """Which users, teams and chats a service refuses, and with which problem; by area and number, open to change."""
    mailbox = ("mailbox_inactive", "mailbox_invalid_user", "mailbox_unresolved")
    onedrive = ("onedrive_missing", "onedrive_no_url", "onedrive_item_not_found")
    return {
        "user": {},
        "mailbox": {user: mailbox[user % 3] for user in size.guest_numbers}
        | dict.fromkeys(size.on_premises_numbers, "mailbox_on_premises"),
        "onedrive": {user: onedrive[user % 3] for user in size.guest_numbers}
        | dict.fromkeys(size.blocked_numbers, "onedrive_blocked")
        | dict.fromkeys(size.without_onedrive_numbers, "onedrive_missing"),
        "team": dict.fromkeys(range(size.teams - size.unprovisioned_teams, size.teams), "team_not_found"),
        "teams_user": {},
        "chat": {},
    }
