"""The Microsoft clouds: which login host issues tokens for which Graph, and what each Graph does not have.

https://learn.microsoft.com/graph/deployments, and for what each Graph has the metadata of its $metadata documents:
https://github.com/microsoftgraph/msgraph-metadata
"""

from __future__ import annotations

from collections.abc import Mapping

from .endpoint import words
from .problems import problem

GRAPHS: Mapping[str, tuple[str, ...]] = {
    "login.microsoftonline.com": ("graph.microsoft.com",),
    "login.microsoftonline.us": ("graph.microsoft.us", "dod-graph.microsoft.us"),
    "login.chinacloudapi.cn": ("microsoftgraph.chinacloudapi.cn",),
    "login.sovcloud-identity.fr": ("graph.svc.sovcloud.fr",),
    "login.sovcloud-identity.de": ("graph.svc.sovcloud.de",),
    "login.sovcloud-identity.sg": ("graph.svc.sovcloud.sg",),
}
ONLY = {
    "graph.svc.sovcloud.sg": words(
        "users applications servicePrincipals groups directoryRoles directoryRoleTemplates $batch"
    )
}
WITHOUT = {
    "graph.svc.sovcloud.fr": words("identity"),
    "graph.svc.sovcloud.de": words("identity teams chats"),
    "graph.svc.sovcloud.sg": words("chats messages events contacts contactFolders mailFolders drive drives"),
}


def knows(login_host: str, graph_host: str) -> bool:
    """Whether the login host issues tokens for that Graph; a host of no Microsoft cloud stands for any."""
    return login_host not in GRAPHS or graph_host in GRAPHS[login_host]


def check(host: str, path: str) -> None:
    """Refuse a path that the Graph of this host does not have, by the segment it does not know."""
    _, _, *segments = path.split("/")
    for place, segment in enumerate(segments):
        if segment in WITHOUT.get(host, ()) or (place == 0 and host in ONLY and segment not in ONLY[host]):
            raise problem("no_such_segment", segment)
