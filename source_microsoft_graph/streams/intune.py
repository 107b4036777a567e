"""What Microsoft Intune manages: https://learn.microsoft.com/graph/api/resources/intune-graph-overview"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import requests

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.changed import ChangedStream


class ManagedDevices(ChangedStream):
    """One row per device that Intune manages: https://learn.microsoft.com/graph/api/intune-devices-manageddevice-list"""

    path_template = "deviceManagement/managedDevices"
    # The time at which the device last reported. What an administrator changes shows once it reports again.
    cursor_field = "last_sync_date_time"
    changed_since = {"$filter": "lastSyncDateTime ge {since}"}
    service = Service.INTUNE_DEVICES
    permissions = (
        "DeviceManagementManagedDevices.Read.All",
        "DeviceManagementManagedDevices.ReadWrite.All",
        "DeviceManagementConfiguration.Read.All",
        "DeviceManagementConfiguration.ReadWrite.All",
    )

    # A list of devices fills these with 0, "" or null.
    defaulted = (
        "activation_lock_bypass_code",
        "ethernet_mac_address",
        "iccid",
        "notes",
        "physical_memory_in_bytes",
        "udid",
    )

    # A device with 0 bytes of memory is worse than one whose memory is not known. Only `GET managedDevices/{id}` with
    # $select has these: https://learn.microsoft.com/graph/api/resources/intune-devices-manageddevice
    def parse_response(
        self, response: requests.Response, *, stream_slice: Mapping[str, Any] | None = None, **more: Any
    ) -> Iterable[dict[str, Any]]:
        for record in super().parse_response(response, stream_slice=stream_slice, **more):
            for column in self.defaulted:
                record.pop(column, None)
            yield record
