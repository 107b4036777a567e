-- Which sites share with anyone?
-- Sites and OneDrives with links that let in whoever has them, without signing in; the most links first.
-- Not seen: links that have expired; groups such as Everyone except external users, and guests, whom links for anyone
-- do not need; what a folder's link opens, file by file. Subsites count for the site above them.
with permissions as (
    -- .NET's zero stands for never.
    select *, nullif(expiration_date_time, timestamp '0001-01-01') as expires
    from drive_item_permissions
),
open_links as (
    select
        drive_id,
        item_id,
        -- Below a folder that was shared, an item may list the folder's link as well.
        coalesce(share_id, link->>'web_url', id) as link_id,
        link->>'type' = 'edit' as may_edit,
        expires is null as is_for_ever,
        coalesce(has_password, false) as has_password
    from permissions
    where link->>'scope' = 'anonymous' and (expires is null or expires > now())
),
-- The site of a drive is the one whose address is the longest beginning of the drive's.
sites_of_drives as (
    select d.id as drive_id, arg_max(s.id, length(s.web_url)) as site_id
    from drives d
    join sites s on starts_with(lower(d.web_url) || '/', lower(rtrim(s.web_url, '/')) || '/')
    group by d.id
)
select
    coalesce(any_value(s.display_name), any_value(d.name)) as site,
    coalesce(any_value(s.web_url), any_value(d.web_url)) as web_url,
    any_value(d.drive_type) = 'business' as is_onedrive,
    count(distinct l.link_id) as links,
    count(distinct l.link_id) filter (l.may_edit) as may_edit,
    count(distinct l.link_id) filter (l.is_for_ever) as for_ever,
    count(distinct l.link_id) filter (not l.has_password) as without_password,
    count(distinct (l.drive_id, l.item_id)) as items
from open_links l
join drives d on d.id = l.drive_id
left join sites_of_drives o on o.drive_id = l.drive_id
left join sites s on s.id = o.site_id
group by coalesce(o.site_id, l.drive_id)
order by links desc, web_url;
