"""The Microsoft clouds: which login host issues tokens for which Graph.

Workloads and collections declare which clouds lack them.
https://learn.microsoft.com/graph/deployments, and for what each Graph has the metadata of its $metadata documents:
https://github.com/microsoftgraph/msgraph-metadata
"""

from __future__ import annotations

from collections.abc import Mapping

CHINA = "microsoftgraph.chinacloudapi.cn"
BLEU, DELOS, GOVSG = "graph.svc.sovcloud.fr", "graph.svc.sovcloud.de", "graph.svc.sovcloud.sg"
L4, L5, CHINA = "graph.microsoft.us", "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"
GRAPHS: Mapping[str, tuple[str, ...]] = {
    "login.microsoftonline.com": ("graph.microsoft.com",),
    "login.microsoftonline.us": (L4, L5),
    "login.chinacloudapi.cn": (CHINA,),
    "login.sovcloud-identity.fr": (BLEU,),
    "login.sovcloud-identity.de": (DELOS,),
    "login.sovcloud-identity.sg": (GOVSG,),
}


def knows(login_host: str, graph_host: str) -> bool:
    """Whether the login host issues tokens for that Graph; a host of no Microsoft cloud stands for any."""
    return login_host not in GRAPHS or graph_host in GRAPHS[login_host]
