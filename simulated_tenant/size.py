"""How much a simulated tenant holds, and which of Graph's variable behaviours it shows."""

from __future__ import annotations

from dataclasses import dataclass

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
    administrative_units: int = 5
    messages_per_channel: int = 18
    applications: int = 8
    service_principals: int = 9
    devices: int = 5
    org_contacts: int = 4
    deleted_before: int = 7
    directory_roles: int = 6
    chats: int = 30
    messages_per_chat: int = 6
    messages_in_longest_chat: int = 130
    messages_per_user: int = 25
    message_bytes: int = 2048
    events_per_user: int = 12
    contact_folders: int = 2
    contacts_per_folder: int = 3
    contact_bytes: int = 0
    items_per_drive: int = 42
    other_sites: int = 2
    lists_per_site: int = 2
    items_per_list: int = 9
    sign_ins: int = 60
    directory_audits: int = 70
    provisioning_events: int = 14
    policies: int = 4
    named_locations: int = 8
    risky_users: int = 9
    risk_detections: int = 12
    incidents: int = 8
    managed_devices: int = 9
    health_issues: int = 11
    service_messages: int = 13
    secure_scores: int = 10
    secure_score_controls: int = 120
    partners: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "microsoft365_groups", min(self.microsoft365_groups, self.groups))
        object.__setattr__(self, "teams", min(self.teams, self.microsoft365_groups))

    def _special(self, kind: int) -> range:
        kinds = (
            self.guests,
            self.on_premises_mailboxes,
            self.blocked_onedrives,
            self.without_onedrive,
            self.disabled_accounts,
        )
        start = FIRST_SPECIAL_USER + sum(kinds[:kind])
        return range(min(start, self.users), min(start + kinds[kind], self.users))

    guest_numbers = property(lambda self: self._special(0))
    on_premises_numbers = property(lambda self: self._special(1))
    blocked_numbers = property(lambda self: self._special(2))
    without_onedrive_numbers = property(lambda self: self._special(3))
    disabled_numbers = property(lambda self: self._special(4))
    people = property(lambda self: self.users - len(self.guest_numbers))


@dataclass
class Traits:
    """Which behaviours a tenant shows, where Graph's documents leave a choice or tenants differ.

    Whether Outlook takes $top for the size of a page or for all that is wanted is told differently by its clients.
    In 2024 Graph refused its own links to pages of secure score control profiles where $top had been given.
    Pages may overlap by an object where objects move while they are listed, which no document rules out.
    A directory extension that does not exist is ignored in $select, as any undeclared name of an open type; some report
    a refusal.
    In what words SharePoint would refuse a timestamp for a token, and Outlook a filter on contacts, is not on record.
    """

    premium: bool = True
    governance: bool = True
    identity_protection: bool = True
    defender: bool = True
    intune: bool = True
    concealed_names: bool = False
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
    members_include_apps: bool = False
    outlook_top_is_a_total: bool = False
    refuses_sized_links: bool = False
    pages_overlap: bool = False
    refuses_unknown_extensions: bool = False
