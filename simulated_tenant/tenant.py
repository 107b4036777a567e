"""A simulated Microsoft 365 tenant: its state, what can happen in it, and its replies to requests.

Everything in it follows from a seed. Entities are made when they are asked for, so a tenant of a million messages
costs no more memory than one of ten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from email.utils import formatdate
from functools import lru_cache
from threading import RLock
from typing import Any

from . import batch, downloads, router, signin
from .catalogue import CATALOGUE, Catalogue
from .expected import Expected
from .faults import Faults
from .mutations import Key
from .problems import Problem
from .shapes import Entity
from .size import Size, Traits
from .state import State
from .throttling import Throttle
from .tokens import issue
from .wire import Reply, Request
from .workloads.audit.contents import Audit
from .workloads.directory.contents import Directory
from .workloads.directory.extensions import Extensions
from .workloads.files.contents import Files
from .workloads.outlook.contents import Outlook
from .workloads.teams.contents import Teams

GRANTS = CATALOGUE.grants


class Tenant(State):
    """The tenant. `respond` is the whole of its behaviour, `expected` the whole of its contents."""

    def __init__(
        self,
        size: Size | None = None,
        *,
        seed: int = 1,
        traits: Traits | None = None,
        grants: Iterable[str] | None = None,
        today: datetime | None = None,
        clock: Callable[[], float] = time.time,
        catalogue: Catalogue = CATALOGUE,
    ) -> None:
        granted = catalogue.grants if grants is None else grants
        super().__init__(size, seed=seed, traits=traits, grants=granted, today=today, clock=clock)
        self.catalogue, self._lock = catalogue, RLock()
        self.trouble = catalogue.trouble(self.size)
        self.faults, self.throttle = Faults(self), Throttle(self)
        self.directory: Directory = self.of(Directory)
        self.extensions: Extensions = self.of(Extensions)
        self.teams: Teams = self.of(Teams)
        self.outlook: Outlook = self.of(Outlook)
        self.files: Files = self.of(Files)
        self.audit: Audit = self.of(Audit)

    def add(self, stream: str, **where: Any) -> Key:
        """Make a new object, and return its key as `expected` has it.

        `where` names the owner, as in the key; without it, it's the first without trouble. Messages and contacts take
        the number of a `folder`, Outlook's items `immutable=True` for that form of id, and logs how `late` an entry
        comes.
        """
        with self._lock:
            return self.catalogue.mutations(self, stream).add(**where)

    def edit(self, stream: str, key: Mapping[str, str], **properties: Any) -> None:
        """Change these properties, or one that every object has. The time of the last change follows."""
        with self._lock:
            self.catalogue.mutations(self, stream).edit(key, **properties)

    def delete(self, stream: str, key: Mapping[str, str], for_good: bool = False) -> None:
        """Directory objects can be restored unless they're deleted for good, which those in the bin may be too."""
        with self._lock:
            self.catalogue.mutations(self, stream).delete(key, for_good)

    def restore(self, stream: str, key: Mapping[str, str]) -> None:
        with self._lock:
            self.catalogue.mutations(self, stream).restore(key)

    def move(self, stream: str, key: Mapping[str, str]) -> Key:
        """Put an object into another folder, and return the key it has there."""
        with self._lock:
            return self.catalogue.mutations(self, stream).move(key)

    def expire_tokens(self, workload: str) -> None:
        """Expire the page and delta tokens that a workload has issued so far: `directory`, `outlook` or `files`."""
        self.token_generations[workload] += 1

    def token(self, *grants: str, host: str = "graph.microsoft.com", seconds: float | None = None) -> str:
        """An access token, without the detour of signing in."""
        lifetime = self.traits.token_seconds if seconds is None else seconds
        return issue(self, f"https://{host}", grants or self.grants, lifetime)

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
            reply = self.faults.around(request, self.throttle, lambda: self._reply(request))
        reply.headers = {**reply.headers, "Date": _http_date(int(self.clock()))}
        self.requests.add(self.clock(), request, reply)
        return reply

    def finish(self, reply: Reply) -> None:
        self.throttle.leave(reply.mailboxes)

    def _reply(self, request: Request) -> Reply:
        if batch.is_batch(request):
            return batch.respond(self, request, self._reply_in_batch)
        mailboxes: list[str] = []
        file = downloads.respond(self, self.catalogue, request)
        reply = file or signin.respond(self, request) or self._reply_of_graph(request, mailboxes)
        reply.mailboxes = mailboxes
        return reply

    def _reply_in_batch(self, request: Request, mailboxes: list[str]) -> Reply:
        return self.faults.around(request, self.throttle, lambda: self._reply_of_graph(request, mailboxes))

    def _reply_of_graph(self, request: Request, mailboxes: list[str]) -> Reply:
        """Graph's reply to one request, be it alone or in a batch. It adds the mailbox at which it is under way."""
        endpoint = None
        try:
            endpoint, segments = self.catalogue.find(request.path, request.host)
            self.throttle.enter(request, endpoint, segments, mailboxes)
            reply = router.respond(self, self.catalogue, request, endpoint, segments)
        except Problem as refusal:
            reply = refusal.reply(request, endpoint.workload.name if endpoint else "graph")
        if endpoint:
            reply.headers.update(self.throttle.headers(request, endpoint, reply.status == 429))
        return reply

    def expected(self, stream: str, immutable: bool = False, text: bool = False) -> Iterator[tuple[Key, Entity]]:
        """The contents of a stream: each object once, as (key, entity) with every property that a list can return.

        `immutable` gives Outlook's items their immutable ids, `text` plain bodies.
        """
        return Expected(self, self.catalogue, immutable, text).contents(stream)


@lru_cache(maxsize=1)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)
