-- Which guests may administer?
-- Guests with a directory role of their own, or as a member of a group that has one.
-- Not seen: roles that somebody may activate, but has not. They are in role_eligibility_schedules.
with holders as (
    select role_id, id as user_id, null as through_group from directory_role_member
    union
    select r.role_id, m.id, r.display_name
    from directory_role_member r join group_member m on m.group_id = r.id
)
select u.display_name, u.user_principal_name, r.display_name as role, h.through_group
from holders h
join users u on u.id = h.user_id
join directory_roles r on r.id = h.role_id
where u.user_type = 'Guest'
order by all;
