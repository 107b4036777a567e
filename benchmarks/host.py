"""A simulated tenant in a process of its own, which tells afterwards what it was asked.

`python -m benchmarks.host CORE '{"size": {"users": 10}, "latency": 0.05, "throttling": false}'` prints how to reach the
tenant as a line of JSON. With `"counting": true` it tells afterwards how long its limits would take, which it does not
keep. It may also be given `faults`, in which `{user}` stands for the id of one user, and the `mail_bytes` of one mail
of that user. For each line it is given, the names of streams and every how manieth object of them is to change, it
changes them and prints what was asked of it before; when its input ends it prints what it has counted since. Nobody in
it lacks a mailbox or a OneDrive, and no page is empty.
"""

from __future__ import annotations

import gc
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from simulated_tenant import Fault, Problem, Request, Size, Tenant, Unchangeable, serve
from simulated_tenant.collection import Endpoint
from simulated_tenant.tenant import GRANTS
from simulated_tenant.throttling import Throttle, Window

NOBODY = dict.fromkeys(("guests", "on_premises_mailboxes", "blocked_onedrives", "without_onedrive"), 0)


class Meter(Throttle):
    """The tenant's own meters, with a count of what passed each of them: while they are on, or while it `counts`."""

    def __init__(self, tenant: Tenant, latency: float) -> None:
        super().__init__(tenant)
        self.latency = latency
        self.counts = False
        self.asked = self.defiant = 0
        self.asked_of: Counter[str] = Counter()
        self.passed: Counter[Hashable] = Counter()
        self.told: dict[Hashable, float] = {}

    def enter(self, request: Request, endpoint: Endpoint, segments: Mapping[str, str], mailboxes: list[str]) -> None:
        """A request that comes while a Retry-After holds is defiant if the client knows of it by now."""
        self.asked += 1
        self.asked_of[endpoint.workload.name] += 1
        measures = self._measures(request, endpoint, segments) if self.on or self.counts else ()
        costs = {key: cost for key, cost, _ in measures}
        now = self.state.clock()
        held = {key for key in costs if self._until.get(key, 0.0) > now}
        self.defiant += any(self.told[key] < now for key in held)
        try:
            super().enter(request, endpoint, segments, mailboxes)
        except Problem:
            self.told |= {key: now + self.latency for key in costs if key not in held}
            raise
        self.passed.update(costs)

    def shortest(self) -> dict[str, float]:
        """The seconds each limit needs for what it let through.

        A window lets its amount through at once, and again after its seconds; units flow back evenly.
        """
        needed: dict[str, float] = {}
        for key, passed in self.passed.items():
            meter, name = self._meters[key], str(key[0] if isinstance(key, tuple) else key)
            if isinstance(meter, Window):
                seconds = (math.ceil(passed / (meter.taken.maxlen or 1)) - 1) * meter.seconds
            else:
                seconds = max(0.0, (passed - meter.amount) / meter.pace)
            needed[name] = max(needed.get(name, 0.0), seconds)
        return needed


def change(tenant: Tenant, streams: Sequence[str], every: int) -> None:
    """Let an hour pass in which so many objects of these streams are edited, and a few are deleted or new."""
    tenant.advance(hours=1)
    for stream in streams:
        for number, (key, _) in enumerate(list(islice(tenant.expected(stream), every // 2, None, every))):
            with suppress(Unchangeable):
                # A user who is gone would take a mailbox and a drive along.
                (tenant.delete if number % 10 == 9 and stream != "users" else tenant.edit)(stream, key)
            if number % 10 == 8:
                with suppress(Unchangeable):
                    tenant.add(stream)
    tenant.advance(minutes=10)


def arrange(tenant: Tenant, faults: Sequence[Mapping[str, Any]], mail_bytes: int) -> None:
    """Give one user what no other user has."""
    user = tenant.directory.ids["user"][tenant.size.users // 2]
    for fault in faults:
        tenant.faults.add(Fault(**{**fault, "match": fault["match"].replace("{user}", user)}))
    if mail_bytes:
        mail = next(key for key, _ in tenant.expected("mail_messages") if key["user_id"] == user)
        tenant.edit("mail_messages", mail, body={"contentType": "text", "content": "a" * mail_bytes})


def main() -> None:
    core, wanted = int(sys.argv[1]), json.loads(sys.argv[2])
    os.sched_setaffinity(0, {core})
    size = Size(**{**NOBODY, **wanted["size"]})
    # Every tenant has service principals. Where this one has none, the app may not list them.
    grants = set(GRANTS) if size.service_principals else set(GRANTS) - {"Application.Read.All"}
    tenant = Tenant(size, grants=grants)
    tenant.traits.empty_pages = False
    tenant.requests.keep = False
    tenant.throttle = meter = Meter(tenant, wanted["latency"])
    meter.on, meter.counts = wanted["throttling"], wanted.get("counting", False)
    arrange(tenant, wanted.get("faults", ()), wanted.get("mail_bytes", 0))
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    with serve(tenant, latency=wanted["latency"]) as server:
        print(json.dumps({"config": server.config(), "ca_bundle": server.ca_bundle}), flush=True)
        started = time.process_time()
        for line in sys.stdin:
            wanted = json.loads(line)
            account = {f"asked of {workload}": number for workload, number in meter.asked_of.items()}
            account["tenant's CPU s"] = time.process_time() - started
            change(tenant, **wanted)
            meter.asked_of, started = Counter(), time.process_time()
            # The next read begins when this line is there.
            print(json.dumps(account), flush=True)
        account = {
            "requests": len(tenant.requests),
            "asked of Graph": meter.asked,
            "throttled": meter.throttled,
            "inside a Retry-After": meter.impatient,
            "knowingly so": meter.defiant,
            "tenant's CPU s": time.process_time() - started,
        }
        print(json.dumps({"account": account, "shortest": meter.shortest()}))


if __name__ == "__main__":
    main()
