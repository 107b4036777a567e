-- What gets past our policies?
-- Successful sign-ins to which no Conditional Access policy applied, by application and kind of client.
-- Not seen: sign-ins that are not interactive, and those of apps.
select
    app_display_name,
    client_app_used,
    count(*) as sign_ins,
    count(distinct user_id) as users,
    max(created_date_time) as latest
from audit_logs_signins
where conditional_access_status = 'notApplied' and (status->>'error_code')::int = 0
group by all
order by sign_ins desc, app_display_name, client_app_used;
