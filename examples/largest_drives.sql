-- What fills our storage?
-- The ten drives that take most room: OneDrives, and libraries of groups and sites.
-- Not seen: mailboxes, and what deleted sites still take.
select
    name,
    drive_type,
    coalesce("owner"->>'$.user.display_name', "owner"->>'$.group.display_name') as owned_by,
    round((quota->>'used')::bigint / 1e9, 1) as gigabytes,
    web_url
from drives
where quota->>'used' is not null
order by (quota->>'used')::bigint desc, id
limit 10;
