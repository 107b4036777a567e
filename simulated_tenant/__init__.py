"""A simulated Microsoft 365 tenant behind HTTPS, with the rules of Microsoft Graph v1.0 and of its token endpoint.

tenant = Tenant(Size(users=100))
with serve(tenant) as server:
    ...  # server.config() is a connector configuration, server.ca_bundle goes to REQUESTS_CA_BUNDLE

Between two readings things may happen in it, the same way in every stream that can change:

key = tenant.add("mail_messages", user_id=...)  # as tenant.expected("mail_messages") yields it
tenant.advance(hours=1)
tenant.edit("mail_messages", key, subject="New")
key = tenant.move("mail_messages", key)
tenant.delete("mail_messages", key)
"""

from __future__ import annotations

from .faults import ALWAYS, Fault
from .mutations import Unchangeable
from .problems import Problem
from .server import Server, serve
from .size import Size, Traits
from .tenant import GRANTS, Tenant
from .wire import Reply, Request

__all__ = [
    "ALWAYS",
    "GRANTS",
    "Fault",
    "Problem",
    "Reply",
    "Request",
    "Server",
    "Size",
    "Tenant",
    "Traits",
    "Unchangeable",
    "serve",
]
