-- Who has a licence and does not sign in?
-- Enabled accounts that hold a licence and have not signed in for 30 days, which is as far as Entra's log goes.
-- Not seen: sign-ins that are not interactive. An account that only a program uses looks inactive here.
select
    u.display_name,
    u.user_principal_name,
    json_array_length(u.assigned_licenses) as licences,
    u.created_date_time as created,
    max(s.created_date_time) as last_sign_in
from users u
left join audit_logs_signins s on s.user_id = u.id
where u.account_enabled and json_array_length(u.assigned_licenses) > 0
group by all
having last_sign_in is null or last_sign_in < now() - interval 30 days
order by last_sign_in nulls first, u.user_principal_name;
