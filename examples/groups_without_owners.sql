-- Who answers for this group?
-- Groups without owners, the largest first.
-- Not seen: who manages a group that comes from an on-premises directory. It has no owners here.
select
    g.display_name,
    list_contains(g.group_types, 'Unified') as is_microsoft_365,
    coalesce(g.on_premises_sync_enabled, false) as is_from_on_premises,
    count(m.id) as members
from groups g
anti join group_owner o on o.group_id = g.id
left join group_member m on m.group_id = g.id
group by g.id, g.display_name, g.group_types, g.on_premises_sync_enabled
order by members desc, g.display_name;
