"""What can go wrong, and what people are told about it.

    GraphError                  a response that is not a page
    ├── StreamRefused           the stream cannot be read until somebody acts: permission, licence, setting
    ├── GraphUnavailable        Graph kept failing; the same sync may well succeed later
    │   └── TokenRejected       Graph no longer accepts a delta token
    ├── ProtocolBroken          Graph broke its own paging rules; reading on would lose or repeat records
    └── ConnectionFailed        no stream can be read: every unfinished stream ends with this
        ├── SignInRefused       Microsoft Entra refuses to issue a token
        └── GraphUnreachable    nothing answers

    OutOfResources              this machine lacks what the sync needs, such as room for a temporary file

`graph/catalogue.py` lists what Graph refuses and `auth/refusals.py` what Entra refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils import AirbyteTracedException

from source_microsoft_graph.redaction import told


class GraphError(AirbyteTracedException):
    """Base of every error this connector raises while reading; the message may be printed as it is."""

    failure = FailureType.system_error

    def __init__(self, message: str) -> None:
        message = told(message)
        super().__init__(internal_message=message, message=message, failure_type=self.failure)


class StreamRefused(GraphError):
    failure = FailureType.config_error


class GraphUnavailable(GraphError):
    failure = FailureType.transient_error


class TokenRejected(GraphUnavailable):
    pass


class ProtocolBroken(GraphError):
    pass


class ConnectionFailed(GraphError):
    pass


class SignInRefused(ConnectionFailed):
    failure = FailureType.config_error


class GraphUnreachable(ConnectionFailed):
    failure = FailureType.transient_error


class OutOfResources(AirbyteTracedException):
    """Records that were read may be lost where a stream ends with this, so its state must not move."""

    def __init__(self, message: str) -> None:
        super().__init__(internal_message=message, message=message, failure_type=FailureType.system_error)


class Lack(Enum):
    """What has to be there before a stream can be read."""

    PERMISSION = "permission missing"
    LICENCE = "licence missing"
    CLOUD = "not in this cloud"
    REFUSED = "refused"
    ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Help:
    """What a failure means, what to do about it, and where Microsoft says more; the last two only if there is any.

    `lack` is set where the cause is that something is not there.
    """

    meaning: str
    remedy: str = ""
    link: str = ""
    lack: Lack | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.meaning, self.advice)))

    @property
    def advice(self) -> str:
        """What to do, and where Microsoft says more."""
        return " ".join(filter(None, (self.remedy, self.link and f"({self.link})")))


LEARN = "https://learn.microsoft.com"

GRANT = (
    "in the Microsoft Entra admin center (App registrations > API permissions > Microsoft Graph > Application "
    "permissions) and give admin consent."
)
PERMISSION = Help(
    "An application permission is missing.",
    f"Grant it {GRANT}",
    f"{LEARN}/entra/identity/enterprise-apps/grant-admin-consent",
    Lack.PERMISSION,
)
NO_ANSWER = Help(
    "No answer came back.",
    "Let the network, the proxy and the firewall reach the cloud's login and Graph hosts.",
    f"{LEARN}/microsoft-365/enterprise/urls-and-ip-address-ranges",
)
